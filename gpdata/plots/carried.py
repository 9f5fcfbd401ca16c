"""What a saved figure carries in its metadata: how it is written there and read again."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import os
import re
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from gpdata.errors import InvalidInput
from gpdata.origin import Provenance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BYTES = 2**21
"""Rows that take more when compressed are left out of the file."""
_MOST_READ = 2**28
"""Nothing that is longer when decompressed is read: who writes stops far below."""
_START = "gpdata-figure/1:"
_FOUND = re.compile(rb"gpdata-figure/1:([A-Za-z0-9+/=]*);")
_KEYS = {"png": ("gpdata", "Description"), "svg": ("Source", "Description"), "pdf": ("gpdata", "Subject")}
"""Of each format: the key of what `again` reads, and of what people read; SVG and its readers know few keys."""


@dataclass(frozen=True)
class Picture:
    """One call of a function of `gpdata.plots`, ready to be written into a file.

    Attributes
    ----------
    name : str
        The function.
    arguments : dict
        Its keyword arguments, as JSON has them.
    frames : dict or None
        Its frames, as `gpdata.plots.table_json.to_json` writes them; None: they are not kept.
    why : str or None
        Why they are not.
    origin : Provenance
        Where the rows came from.
    place : dict or None
        Where in the figure the axes are; None: they are alone.
    """

    name: str
    arguments: dict[str, Any]
    frames: dict[str, Any] | None
    why: str | None
    origin: Provenance
    place: dict[str, Any] | None

    def to_dict(self, axes: int) -> dict[str, Any]:
        """Return all of it as JSON has it, with the number of its axes in the figure."""
        return {
            "picture": self.name,
            "arguments": self.arguments,
            "frames": self.frames,
            "why": self.why,
            "provenance": self.origin.to_dict(),
            "place": self.place,
            "axes": axes,
        }


class Savefig:
    """Stands in for the `savefig` of a figure that has a source: the same, and the source goes into the metadata."""

    __doc__ = Figure.savefig.__doc__

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.pictures: list[tuple[Picture, Axes, list[Any]]] = []

    def __call__(self, fname: Any, **options: Any) -> None:
        """Save as matplotlib's `Figure.savefig`, with the source where the format can hold it."""
        there = [(picture, ax) for picture, ax, marks in self.pictures if any(mark.axes is ax for mark in marks)]
        there = [(picture, ax) for picture, ax in there if ax in self.figure.axes]
        format_ = _format(self.figure, fname, options)
        keys = _KEYS.get(format_.removesuffix("z"))
        if isinstance(fname, PdfPages):
            keys, format_ = None, "one page of several"
        if there and keys is None:
            warnings.warn(
                f"a figure was saved as {format_} without its source: PNG, SVG and PDF files can hold it", stacklevel=2
            )
        if there and keys is not None:
            options["metadata"] = self._metadata(there, keys, options.get("metadata") or {})
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Unknown infodict keyword: 'gpdata'")
            Figure.savefig(self.figure, fname, **options)

    def _metadata(
        self, there: list[tuple[Picture, Axes]], keys: tuple[str, str], given: dict[str, Any]
    ) -> dict[str, Any]:
        machine, people = keys
        numbers: dict[Axes, int] = {}
        entries = [picture.to_dict(numbers.setdefault(ax, len(numbers))) for picture, ax in there]
        whole = _pack(self._content(entries))
        if len(whole) > MOST_BYTES:
            for entry in entries:
                if entry["frames"] is not None:
                    entry.update(frames=None, why=f"the figure's rows take {len(whole):,} bytes when compressed")
            whole = _pack(self._content(entries))
        for why in dict.fromkeys(entry["why"] for entry in entries if entry["why"]):
            warnings.warn(f"a figure was saved without its rows, with the rest of its source: {why}", stacklevel=4)
        carried = f"{_START}{base64.b64encode(whole).decode()};"
        said = "; ".join(dict.fromkeys(f"{picture.name}: {picture.origin}" for picture, _ in there))
        return {people: said, **given, machine: f"{given[machine]}\n{carried}" if given.get(machine) else carried}

    def _content(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        engine = self.figure.get_layout_engine()
        layouts = {"ConstrainedLayoutEngine": "constrained", "TightLayoutEngine": "tight"}
        return {
            "size": list(map(float, self.figure.get_size_inches())),
            "layout": layouts.get(type(engine).__name__),
            "pictures": entries,
        }


def carry(ax: Axes, picture: Picture, marks: list[Any]) -> None:
    """Let the figure of some axes carry a picture, as long as some of its marks are there."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    if not isinstance(figure.savefig, Savefig):
        figure.savefig = Savefig(figure)  # type: ignore[method-assign]
    assert isinstance(figure.savefig, Savefig)
    figure.savefig.pictures.append((picture, ax, marks))


def place_of(ax: Axes) -> dict[str, Any]:
    """Say where axes are, before a colour bar takes some of the room: a cell of a grid, or a part of the figure."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    if isinstance(figure.savefig, Savefig):
        for picture, known, _ in figure.savefig.pictures:
            if known is ax and picture.place is not None:
                return picture.place
    spec = ax.get_subplotspec()
    if spec is not None and isinstance(grid := spec.get_gridspec(), GridSpec) and ax.get_figure(root=False) is figure:
        rows, columns, first, last = map(int, spec.get_geometry())
        heights: Any = grid.get_height_ratios()
        widths: Any = grid.get_width_ratios()
        ratios = {"height_ratios": list(map(float, heights)), "width_ratios": list(map(float, widths))}
        return {"nrows": rows, "ncols": columns, "first": first, "last": last, **ratios}
    box = ax.bbox.transformed(figure.transFigure.inverted())
    return {"bounds": [float(box.x0), float(box.y0), float(box.width), float(box.height)]}


def read(path: str | Path) -> dict[str, Any]:
    """Read what a saved figure carries.

    Parameters
    ----------
    path : str or Path
        A PNG, SVG or PDF file.

    Returns
    -------
    dict
        Its `size`, `layout` and `pictures`, one at least; what stands in each is checked by who uses it.

    Raises
    ------
    InvalidInput
        There is no such file, it carries no source, or what it carries is damaged.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"the figure {path} cannot be read: {error.strerror}; name a PNG, SVG or PDF file"
        ) from error
    try:
        if content[:2] == b"\x1f\x8b":  # svgz
            with gzip.GzipFile(path) as file:
                content = file.read(_MOST_READ)
        found = _FOUND.search(content)
        if found is None and _START.encode() not in content:
            raise InvalidInput(
                f"{path} carries no source: figures do that were drawn by gpdata.plots with source=lab and saved by "
                "figure.savefig as PNG, SVG or PDF; other programs may have taken it away"
            )
        if found is None:
            raise ValueError("its end is missing")
        unpacked = json.loads(_unpack(base64.b64decode(found[1], validate=True)))
        if not unpacked["pictures"] or not isinstance(unpacked["pictures"], list):
            raise ValueError("it has no pictures")
    except (ValueError, KeyError, TypeError, EOFError, OSError, RecursionError, binascii.Error, zlib.error) as error:
        if isinstance(error, InvalidInput):
            raise
        raise damaged(path, error) from error
    return dict(unpacked)


def damaged(path: str | Path, error: Exception) -> InvalidInput:
    """Say that what a file carries cannot be used."""
    return InvalidInput(
        f"the source that {path} carries is damaged ({type(error).__name__}: {error}); take the file as it was saved"
    )


def _pack(content: dict[str, Any]) -> bytes:
    return zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 9)


def _unpack(packed: bytes) -> bytes:
    stream = zlib.decompressobj()
    content = stream.decompress(packed, _MOST_READ)
    if not stream.eof:
        raise ValueError("it is cut off, or too long")
    return content


def _format(figure: Figure, fname: Any, options: dict[str, Any]) -> str:
    given = options.get("format")
    if given is None and isinstance(fname, str | os.PathLike):
        given = Path(fname).suffix[1:]
    return (given or figure.canvas.get_default_filetype()).lower()
