"""Lines over generations: the median over runs, with the band between the quartiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Doubles = npt.NDArray[np.float64]

_FEW = 60
"""Up to so many generations each point is marked."""


class Curve(NamedTuple):
    """A value at each generation from the first to the last, NaN where there is none."""

    generations: npt.NDArray[np.int64]
    middle: Doubles
    low: Doubles
    high: Doubles


def over_runs(generation: npt.NDArray[Any], value: Doubles) -> Curve | None:
    """Take at each generation the median and the quartiles of some values, one of each run; None without any.

    Examples
    --------
    >>> curve = over_runs(np.array([0, 0, 2]), np.array([1.0, 3.0, 5.0]))
    >>> curve.generations.tolist(), curve.middle.tolist()
    ([0, 1, 2], [2.0, nan, 5.0])
    """
    known = np.flatnonzero(~np.isnan(value))
    if not len(known):
        return None
    known = known[np.argsort(generation[known], kind="stable")]
    at, starts = np.unique(generation[known], return_index=True)
    parts = np.split(value[known], starts[1:])
    whole = np.arange(at[0], at[-1] + 1)
    bands = np.full((3, len(whole)), np.nan)
    bands[:, at - at[0]] = np.transpose([np.quantile(part, [0.5, 0.25, 0.75]) for part in parts])
    middle, low, high = bands
    return Curve(whole, middle, low, high)


def without_gaps(
    generations: Sequence[int], middle: Sequence[Any], low: Sequence[Any], high: Sequence[Any]
) -> Curve | None:
    """Make a curve of one point at each generation, each None as NaN; None where no point has a middle."""
    points = {at: values for at, *values in zip(generations, middle, low, high, strict=True) if values[0] is not None}
    if not points:
        return None
    whole = np.arange(min(points), max(points) + 1)
    lines = np.array([points.get(int(at), [np.nan] * 3) for at in whole], dtype=np.float64).T
    return Curve(whole, lines[0], lines[1], lines[2])


def draw(ax: Axes, curve: Curve, *, colour: Any, line: str, label: str, alpha: float = 0.2) -> None:
    """Draw a curve; the line breaks where a generation is missing."""
    marker = "." if len(curve.generations) < _FEW else None
    ax.fill_between(curve.generations, curve.low, curve.high, color=colour, alpha=alpha, linewidth=0)
    ax.plot(curve.generations, curve.middle, line, color=colour, linewidth=1.8, marker=marker, label=label)


def generation_axis(ax: Axes) -> None:
    """Let the horizontal axis be whole generations."""
    ax.margins(x=0.02)
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
