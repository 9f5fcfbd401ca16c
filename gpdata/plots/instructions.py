"""The picture of what genomes are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpdata.analyses import INSTRUCTION_FREQUENCY
from gpdata.errors import InvalidInput
from gpdata.plots.axes import Row, colours, finish, grouped, label, name_height, new_axes, read, say_empty
from gpdata.plots.sourced import sourced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gpdata.origin import Source

_MARKERS = "oDsv^PX"


@sourced
def instruction_frequency(
    frequency: Any, *, ax: Axes | None = None, most: int = 20, source: Source | None = None
) -> Axes:
    """Draw the share of genes that each instruction has, group beside group.

    Parameters
    ----------
    frequency : frame
        What `gpdata.instruction_frequency` returned, of any engine.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes when left out.
    most : int
        How many instructions to draw: those of the greatest mean share over the groups. The legend says which share
        of each group's genes are others.
    source : Lab or Provenance, optional
        Where the rows came from: the saved figure then carries that, the rows and how they were drawn.

    Returns
    -------
    matplotlib.axes.Axes
        A row for each instruction, the most frequent above: a line from zero and a mark for each group, whose genes
        are counted in the legend. An instruction that a group lacks has the share zero there.

    Raises
    ------
    InvalidInput
        `most` is less than 1.
    UnknownColumn
        `frequency` lacks a column of `gpdata.analyses.INSTRUCTION_FREQUENCY`.

    Examples
    --------
    >>> import polars as pl
    >>> key = {"instruction": ["exec_if", "1"], "type": ["string", "int"], "genes": [3, 1], "share": [0.75, 0.25]}
    >>> ax = instruction_frequency(pl.DataFrame(key | {"runs": [1, 1]}))
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['exec_if', '1 (int)']
    """
    if most < 1:
        raise InvalidInput(f"most={most!r}: give the number of instructions to draw, 1 or more.")
    by, rows = read(frequency, INSTRUCTION_FREQUENCY, "instruction_frequency")
    groups = {
        key: {(row["instruction"], row["type"]): row for row in group} for key, group in grouped(rows, by).items()
    }
    total: dict[tuple[str, str], float] = {}
    for group in groups.values():
        for name, row in group.items():
            total[name] = total.get(name, 0.0) + row["share"]
    names = sorted(total, key=lambda name: (-total[name], name))
    drawn = names[:most]
    ticks = [_name(*name) for name in drawn]
    labels = [f"{label(key)} ({_said(group, names[most:])})" for key, group in groups.items()]
    ax = new_axes(7, 1.2 + 0.24 * max(len(ticks), 3) + sum(map(name_height, labels))) if ax is None else ax
    ax.set_xlabel("share of the group's genes")
    ax.set_ylabel("instruction")
    if not rows:
        say_empty(ax, "no genes")
        return finish(ax, "x")
    height = 0.6 / len(groups)
    for index, (group, colour) in enumerate(zip(groups.values(), colours(len(groups)), strict=True)):
        shares = [_share(group, name) for name in drawn]
        places = [y + (index - (len(groups) - 1) / 2) * height for y in range(len(drawn))]
        ax.hlines(places, 0, shares, color=colour, linewidth=1.5)
        ax.plot(shares, places, _MARKERS[index % len(_MARKERS)], color=colour, markersize=4.5, label=labels[index])
    ax.set_yticks(range(len(ticks)), ticks)
    ax.set_ylim(len(ticks) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.legend(title=label(by) if by else None, frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0, 1))
    return finish(ax, "x")


def _share(group: dict[tuple[str, str], Row], name: tuple[str, str]) -> float:
    return float(group[name]["share"]) if name in group else 0.0


def _said(group: dict[tuple[str, str], Row], others: list[tuple[str, str]]) -> str:
    genes = f"{sum(row['genes'] for row in group.values()):,} genes"
    rest = sum(_share(group, name) for name in others)
    return f"{genes}, {100 * rest:.0f} % others" if rest else genes


def _name(instruction: str, type_: str) -> str:
    """Name an instruction; a constant by its type too, for "1" and 1 are two."""
    text = instruction if len(instruction) <= 28 else f"{instruction[:27]}…"
    return text.replace("$", r"\$") if type_ == "string" else f"{text} ({type_})"
