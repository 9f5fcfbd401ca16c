"""The pictures of docs/performance.md, each from the figures it shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from gpdata.plots.axes import GREY, colours, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 8.2
_MARKERS = "osD^vPX*hp"


@dataclass(frozen=True, slots=True)
class Dot:
    """A value in a row of a picture."""

    value: float
    least: float | None = None
    greatest: float | None = None
    beyond: bool = False
    """The true value is greater: what was measured was cut off here."""


@dataclass(frozen=True, slots=True)
class Series:
    """What one side says of the rows."""

    name: str
    dots: Mapping[str, Dot]
    """By row."""
    main: bool = False
    """Whether it is what the picture is about."""
    hollow: bool = False
    same_as: str | None = None
    """The series whose colour it has, too."""


@dataclass(frozen=True, slots=True)
class Line:
    """What something costs against a size."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    slope: float


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines against the same size."""

    title: str
    against: str
    lines: list[Line] = field(default_factory=list)


def dots(
    rows: Sequence[tuple[str, Sequence[str]]],
    series: Sequence[Series],
    label: str,
    *,
    at: float | None = None,
    unit: str = "",
    log: bool = True,
    behind: float | None = None,
) -> Figure:
    """Draw a row for each name, and a dot for each series in it.

    Parameters
    ----------
    rows : sequence of (str, sequence of str)
        Groups of rows, from the top.
    series : sequence of Series
        What stands in them.
    label : str
        Of the axis.
    at : float, optional
        Where a line stands for the eye.
    unit : str, optional
        `s` for seconds, `B` for bytes, `x` for times.
    log : bool, optional
        Whether the axis is logarithmic.
    behind : float, optional
        Left of it the ground is grey.
    """
    names = [name for _, group in rows for name in group]
    places = _places(rows)
    columns = 3 if max(len(one.name) for one in series) < 36 else 1
    height = 0.27 * len(names) + 0.3 * len(rows) + 0.8 + 0.2 * -(-len(series) // columns)
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    ax = figure.subplots()
    for one, (colour, marker) in zip(series, _looks(series), strict=True):
        if not one.dots:  # a side has the same colour in every picture
            continue
        _draw(ax, one, [(places[name], one.dots[name]) for name in names if name in one.dots], colour, marker)
    if log:
        ax.set_xscale("log")
    low, high = ax.get_xlim()
    if at is not None:
        low, high = min(low, at / 1.5), max(high, at * 1.5)
        ax.axvline(at, color="0.25", linewidth=1.1, zorder=1)
    if behind is not None:
        ax.axvspan(low / 1e3, behind, color="0.93", zorder=0, linewidth=0)
    ax.set_xlim(low if log or unit == "x" else 0, high)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value, unit)))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel(label)
    ax.set_yticks([places[name] for name in names], names)
    ax.set_ylim(max(places.values()) + 0.7, -1.3 if any(title for title, _ in rows) else -0.7)
    ax.tick_params(axis="y", length=0)
    for title, group in rows:
        if title and group:
            ax.text(0.004, places[group[0]] - 0.62, title, transform=ax.get_yaxis_transform(), fontsize="small",
                    color=GREY, style="italic", va="center",
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})  # fmt: skip
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=columns, frameon=False,
                  fontsize="small")  # fmt: skip
    finish(ax, "both")
    return figure


def growth(panels: Sequence[Panel]) -> Figure:
    """Draw seconds against sizes, a panel for each kind of question, with the slope beside each line's name."""
    columns = 2
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(_WIDTH, 3.3 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for ax, panel in zip(grid, panels, strict=False):
        for line, colour, marker in zip(panel.lines, colours(len(panel.lines)), _MARKERS * 3, strict=False):
            name = f"{line.name}: {line.slope:.2f}"
            ax.plot(line.x, line.y, marker=marker, markersize=4.5, linewidth=1.4, color=colour, label=name)
        ax.set_xscale("log")
        ax.set_yscale("log")
        drawn = [y for line in panel.lines for y in line.y]
        ax.set_ylim(min(drawn) / 1.6, max(drawn) * 1.6 * 1.45 ** len(panel.lines))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value, "s")))
        unit = "B" if panel.against == "bytes" else ""
        ax.set_xticks(sorted({x for line in panel.lines for x in line.x}), minor=False)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _, unit=unit: written(value, unit)))
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel(panel.against)
        ax.set_title(panel.title, fontsize="medium", loc="left")
        ax.legend(frameon=False, fontsize="x-small", loc="upper left", title="fitted slope", title_fontsize="x-small")
        finish(ax, "both")
    for ax in figure.axes[len(panels) :]:
        ax.set_visible(False)
    return figure


def shares(rows: Mapping[str, Mapping[str, float]], label: str, most: int = 7) -> Figure:
    """Draw a bar for each row, made of its parts; the parts that are small everywhere become one."""
    totals: dict[str, float] = {}
    for parts in rows.values():
        for name, value in parts.items():
            totals[name] = max(totals.get(name, 0.0), value)
    kept = sorted(totals, key=lambda name: -totals[name])[:most]
    figure = Figure(figsize=(_WIDTH, 0.42 * len(rows) + 1.5), layout="constrained")
    ax = figure.subplots()
    left = dict.fromkeys(rows, 0.0)
    for name, colour in zip([*kept, "all others"], [*colours(most), "0.7"], strict=False):
        values = [
            parts.get(name, 0.0) if name in kept else sum(v for k, v in parts.items() if k not in kept)
            for parts in rows.values()
        ]
        ax.barh(list(rows), values, left=list(left.values()), color=colour, label=name, edgecolor="white")
        left = {row: start + value for (row, start), value in zip(left.items(), values, strict=True)}
    ax.invert_yaxis()
    ax.set_xlabel(label)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False, fontsize="small")
    finish(ax, "x")
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a picture, the same bytes for the same figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    words: dict[Any, Any] = {"svg.hashsalt": path.stem, "svg.fonttype": "none", "font.family": "sans-serif"}
    with mpl.rc_context(words):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)


def written(value: float, unit: str) -> str:
    """Write a figure with its unit, to three digits.

    Examples
    --------
    >>> written(0.0213, "s"), written(2_340_000, "B"), written(12, "x"), written(1000, "")
    ('21.3 ms', '2.34 MB', '12×', '1,000')
    """
    if unit == "s":
        return f"{value:,.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"
    if unit == "B":
        for size, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
            if value >= size:
                return f"{value / size:.3g} {name}"
        return f"{value:.0f} B"
    if unit == "x":
        return f"{value:,.0f}×" if value >= 10 else f"{value:.3g}×"
    return f"{value:,.0f}" if value >= 1 else f"{value:.3g}"


def _places(rows: Iterable[tuple[str, Sequence[str]]]) -> dict[str, float]:
    places, at = {}, 0.0
    for _, group in rows:
        for name in group:
            places[name] = at
            at += 1
        at += 0.8
    return places


def _looks(series: Sequence[Series]) -> list[tuple[Any, str]]:
    """Return the colour and the marker of each series."""
    own = [one.name for one in series if one.same_as is None]
    looks = dict(zip(own, zip(colours(len(own)), _MARKERS, strict=False), strict=False))
    return [looks[one.same_as or one.name] for one in series]


def _draw(ax: Axes, series: Series, given: Sequence[tuple[float, Dot]], colour: Any, marker: str) -> None:
    whole = [(y, dot) for y, dot in given if not dot.beyond]
    for y, dot in whole:
        if dot.least is not None and dot.greatest is not None:
            ax.plot([dot.least, dot.greatest], [y, y], color=colour, linewidth=1.2, alpha=0.8, zorder=2)
    size = 52 if series.main else 34
    face = "white" if series.hollow else colour
    ax.scatter([dot.value for _, dot in whole], [y for y, _ in whole], s=size, marker=marker, facecolor=face,
               edgecolor=colour, linewidth=1.2, label=series.name, zorder=4 if series.main else 3)  # fmt: skip
    for y, dot in given:
        if dot.beyond:
            ax.annotate("", (dot.value * 1.9, y), (dot.value, y),
                        arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.2})  # fmt: skip
            ax.scatter([dot.value], [y], s=size, marker=marker, facecolor="white", edgecolor=colour, zorder=3)
            ax.plot([dot.value * 1.9], [y], alpha=0)
