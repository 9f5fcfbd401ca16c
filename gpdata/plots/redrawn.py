"""`gpdata.plots.source` and `gpdata.plots.again`: what a saved figure says of itself, and the figure anew."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpdata import plots
from gpdata.errors import GpdataError, InvalidInput, near
from gpdata.origin import Provenance
from gpdata.plots.carried import damaged, read
from gpdata.plots.table_json import from_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LAYOUTS = ("constrained", "tight")
_MOST_INCHES = 200
_MOST_CELLS = 1000


def source(path: str | Path, *, picture: int | None = None) -> Provenance:
    """Return where the rows of a saved figure came from.

    Parameters
    ----------
    path : str or Path
        A PNG, SVG or PDF file that was saved by `figure.savefig` of a figure drawn with `source=`.
    picture : int, optional
        Which of several pictures in the figure, from 0 in the order of drawing; needed where they differ.

    Returns
    -------
    Provenance
        Lake, version, how new it was, and what was computed.

    Raises
    ------
    InvalidInput
        The file cannot be read, carries no source or a damaged one, or has several and `picture` names none.

    Examples
    --------
    >>> import tempfile, gpdata
    >>> folder = tempfile.mkdtemp()
    >>> with gpdata.Recorder(f"{folder}/lab", system="mine", problem="odd") as run:
    ...     run.generation([{"total_error": 1.0}], outcome="failure")
    >>> lab = gpdata.open(run.lake)
    >>> curve = gpdata.error_curves(lab.generations, lab.runs, by="problem")
    >>> gpdata.plots.error_curves(curve, source=lab).figure.savefig(f"{folder}/curve.png")
    >>> gpdata.plots.source(f"{folder}/curve.png").version
    1
    """
    pictures = read(path)["pictures"]
    try:
        names = [str(entry["picture"]) for entry in pictures]
        origins = [Provenance.from_dict(entry["provenance"]) for entry in pictures]
    except (GpdataError, KeyError, TypeError) as error:
        raise damaged(path, error) from error
    if picture is None and len({replace(origin, newest_version=0) for origin in origins}) == 1:
        return origins[0]
    if picture is None or not 0 <= picture < len(origins):
        said = ", ".join(f"{number}: {name}" for number, name in enumerate(names))
        raise InvalidInput(f"picture={picture!r} of the figure {path}; it has {said}. Name one by its number")
    return origins[picture]


def again(path: str | Path) -> Figure:
    """Draw a saved figure anew, from the file alone.

    Parameters
    ----------
    path : str or Path
        A PNG, SVG or PDF file that was saved by `figure.savefig` of a figure drawn with `source=`.

    Returns
    -------
    matplotlib.figure.Figure
        Every picture of the file in its place, from the rows and arguments that the file carries, and with the same
        source. What was changed by hand after drawing (a title, limits) is not in the file, nor is what other
        libraries drew.

    Raises
    ------
    InvalidInput
        The file cannot be read, carries no source or a damaged one, or its rows were too many to be carried: then the
        message says where they are.

    Notes
    -----
    Nothing in the file is executed. It holds JSON: rows, the name of a function of `gpdata.plots`, and arguments.

    Examples
    --------
    >>> import tempfile, gpdata
    >>> folder = tempfile.mkdtemp()
    >>> with gpdata.Recorder(f"{folder}/lab", system="mine", problem="odd") as run:
    ...     run.generation([{"total_error": 1.0}], outcome="failure")
    >>> lab = gpdata.open(run.lake)
    >>> curve = gpdata.error_curves(lab.generations, lab.runs, by="problem")
    >>> gpdata.plots.error_curves(curve, source=lab).figure.savefig(f"{folder}/curve.pdf")
    >>> gpdata.plots.again(f"{folder}/curve.pdf").axes[0].get_xlabel()
    'generation'
    """
    import matplotlib.pyplot as plt

    content = read(path)
    try:
        pictures = [_checked(path, entry) for entry in content["pictures"]]
        layout = content["layout"] if content["layout"] in _LAYOUTS else "none"
        width, height = (min(float(inches), _MOST_INCHES) for inches in content["size"])
        figure = plt.figure(figsize=(width, height), layout=layout)
    except GpdataError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, error) from error
    try:
        _draw(figure, pictures)
    except Exception as error:
        plt.close(figure)
        if isinstance(error, GpdataError | KeyError | TypeError | ValueError | ArithmeticError | LookupError):
            raise damaged(path, error) from error
        raise
    return figure


def _checked(path: str | Path, entry: dict[str, Any]) -> dict[str, Any]:
    """Check a picture of a file against what there is, and read its rows."""
    name = entry["picture"]
    if name not in plots.PICTURES:
        raise InvalidInput(f"{path} has a picture {name!r}, which this gpdata lacks; {near(str(name), plots.PICTURES)}")
    parameters = inspect.signature(getattr(plots, name)).parameters
    origin = Provenance.from_dict(entry["provenance"])
    if entry["frames"] is None:
        then = origin.definition or f"the analysis for gpdata.plots.{name}"
        raise InvalidInput(
            f"{path} carries no rows ({entry['why']}); they are in the lake: gpdata.open({origin.lake!r}, "
            f"version={origin.version}), then {then}"
        )
    options, frames = dict(entry["arguments"]), dict(entry["frames"])
    unknown = ({*options, *frames} - {*parameters}) | ({*options, *frames} & {"ax", "source"})
    if unknown:
        raise InvalidInput(f"{path} has arguments of {name} that this gpdata lacks: {', '.join(sorted(unknown))}")
    options |= {frame: from_json(rows) for frame, rows in frames.items()}
    return {"draw": getattr(plots, name), "options": options, "source": origin, **_position(entry)}


def _position(entry: dict[str, Any]) -> dict[str, Any]:
    place = entry["place"] or {"nrows": 1, "ncols": 1, "first": 0, "last": 0}
    if "bounds" not in place and not 0 < place["nrows"] * place["ncols"] <= _MOST_CELLS:
        raise ValueError(f"a grid of {place['nrows']} by {place['ncols']}")
    return {"place": place, "axes": int(entry["axes"])}


def _draw(figure: Figure, pictures: list[dict[str, Any]]) -> None:
    grids: dict[str, Any] = {}
    drawn: dict[int, Any] = {}
    for picture in pictures:
        place, number = dict(picture["place"]), picture["axes"]
        if number not in drawn and "bounds" in place:
            drawn[number] = figure.add_axes(tuple(place["bounds"]))
        elif number not in drawn:
            first, last = place.pop("first"), place.pop("last")
            grid = grids.setdefault(repr(place), figure.add_gridspec(**_grid(place)))
            drawn[number] = figure.add_subplot(grid[first : last + 1] if last != first else grid[first])
        picture["draw"](**picture["options"], ax=drawn[number], source=picture["source"])


def _grid(place: dict[str, Any]) -> dict[str, Any]:
    known = ("nrows", "ncols", "height_ratios", "width_ratios")
    return {name: place[name] for name in known if name in place}
