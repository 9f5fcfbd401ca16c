"""Axes with a line for each group, and the legend of their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gpdata.plots.axes import label, name_height, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_INSIDE = 4
"""Up to so many groups the legend stands inside the axes, above that beside them."""


def group_axes(ax: Axes | None, labels: Sequence[str], *, beside: bool = False) -> Axes:
    """Return the axes that were given, or new ones with room for a legend of these names, beside them where asked."""
    if ax is not None:
        return ax
    return new_axes(9.5 if beside or is_beside(labels) else 6.5, max(4, 0.9 + sum(map(name_height, labels))))


def is_beside(labels: Sequence[str]) -> bool:
    """Say whether the legend stands beside the axes."""
    return len(labels) > _MOST_INSIDE


def group_legend(ax: Axes, by: Sequence[str], labels: Sequence[str], *, beside: bool = False) -> None:
    """Show the names of what is drawn, under the columns that made the groups."""
    outside = beside or is_beside(labels)
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1, 1)} if outside else {"loc": "best"}
    ax.legend(title=label(by), frameon=False, fontsize="small", **place)
