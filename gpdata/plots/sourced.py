"""`source=` of the pictures: a saved figure carries where its rows came from, the rows, and how they were drawn."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, cast

import narwhals.stable.v2 as nw
import pyarrow as pa

from gpdata.analyses.frames import wrap
from gpdata.convert import to_arrow
from gpdata.errors import InvalidInput
from gpdata.origin import provenance
from gpdata.plots.carried import Picture, carry, place_of
from gpdata.plots.table_json import to_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes

P = ParamSpec("P")
Arguments = Mapping[str, Any]

_MOST_BYTES = 2**26
"""Rows of more memory are not even tried: no figure holds them."""


def sourced(picture: Callable[P, Axes]) -> Callable[P, Axes]:
    """Give a picture its keyword `source`: every frame that it takes is kept whole.

    Parameters
    ----------
    picture : callable
        A function of `gpdata.plots`: frames by place, the rest by keyword, `ax` and `source` among them.

    Returns
    -------
    callable
        The same; with a source it draws what it keeps, so that the file holds what is seen.

    Examples
    --------
    >>> import polars as pl
    >>> @sourced
    ... def nothing(rows, *, ax=None, source=None):
    ...     return ax
    >>> nothing(pl.DataFrame()) is None
    True
    """
    return sourced_by(_whole)(picture)


def sourced_by(keep: Callable[[Arguments], dict[str, pa.Table]]) -> Callable[[Callable[P, Axes]], Callable[P, Axes]]:
    """Give a picture its keyword `source`, and say which rows it needs: a frame may be a whole table of the lake.

    Parameters
    ----------
    keep : callable
        Takes the arguments by name, returns the frames among them with the rows and columns that are drawn.

    Returns
    -------
    callable
        The decorator; otherwise as `sourced`.
    """

    def decorate(picture: Callable[P, Axes]) -> Callable[P, Axes]:
        signature = inspect.signature(picture)

        @wraps(picture)
        def drawn(*args: P.args, **options: P.kwargs) -> Axes:
            if options.get("source") is None:
                return picture(*args, **options)
            given: dict[str, Any] = signature.bind(*args, **options).arguments
            origin = provenance(given.pop("source"))
            ax: Axes | None = given.pop("ax", None)
            frames = keep(given)
            arguments = {name: _json(name, value) for name, value in given.items() if name not in frames}
            place = None if ax is None else place_of(ax)
            before = set() if ax is None else set(_marks(ax))
            made: Axes = cast("Callable[..., Axes]", picture)(**{**given, **frames}, ax=ax)
            marks = [mark for mark in _marks(made) if mark not in before]
            written, why = _written(frames)
            carry(made, Picture(picture.__name__, arguments, written, why, origin, place), marks)
            return made

        return drawn

    return decorate


def columns(frame: Any, name: str, wanted: list[str]) -> pa.Table:
    """Read some columns of a frame; all where one is missing, so that the picture says which and what is near."""
    wrapped = wrap(frame, name)
    present = wrapped.collect_schema().names()
    names = list(dict.fromkeys(wanted)) if set(wanted) <= set(present) else present
    return to_arrow(wrapped.select(*map(nw.col, names)).to_native())


def _whole(given: Arguments) -> dict[str, pa.Table]:
    frames = {name: value for name, value in given.items() if _is_frame(value)}
    return {name: to_arrow(frame) for name, frame in frames.items()}


def _is_frame(value: Any) -> bool:
    try:
        nw.from_native(value)
    except TypeError:
        return False
    return True


def _written(frames: Mapping[str, pa.Table]) -> tuple[dict[str, Any] | None, str | None]:
    """Write the rows as JSON, or say why not."""
    size = sum(table.nbytes for table in frames.values())
    if size > _MOST_BYTES:
        return None, f"the rows take {size:,} bytes"
    try:
        return {name: to_json(table) for name, table in frames.items()}, None
    except InvalidInput as error:
        return None, str(error)


def _json(name: str, value: Any) -> Any:
    """Return an argument as JSON has it."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_json(name, part) for part in value]
    if hasattr(value, "item"):  # numpy's numbers
        return _json(name, value.item())
    raise InvalidInput(
        f"{name}={value!r} cannot be written into a figure; with source= valid are text, numbers and lists of them"
    )


def _marks(ax: Axes) -> list[Any]:
    return [*ax.lines, *ax.collections, *ax.patches, *ax.texts, *ax.images]
