"""Where the marks of a layered graph stand in their rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gpdata.analyses.genealogy import Numbers

_SWEEPS = 6
_APART = 2.0
"""The room between the graphs of two runs, in marks."""

Places = npt.NDArray[np.float64]


def side_by_side(run: Numbers, layer: Numbers, parent: Numbers, child: Numbers) -> tuple[Places, dict[Any, float]]:
    """Place the nodes of layered graphs, one graph per run, so that few edges cross.

    Parameters
    ----------
    run, layer : array
        Of each node.
    parent, child : array
        Of each edge: its two nodes, of one run; the parent's layer is less.

    Returns
    -------
    x : array
        Of each node: its place in its layer; neighbours are 1 apart, and a layer stands in the middle of its run.
    centres : dict
        The middle of each run.
    """
    width = layer.max(initial=0) + 1
    cells, cell = np.unique(run * width + layer, return_inverse=True)
    counts = np.bincount(cell)
    x = _ranks(cell, np.arange(len(cell)), counts)
    for sweep in range(_SWEEPS):
        # Downwards nodes move to the middle of their parents, upwards to that of their children.
        moved, fixed = (child, parent) if sweep % 2 else (parent, child)
        x = _sweep(x, layer, cell, moved, fixed, counts, down=bool(sweep % 2))
    centres, at = {}, 0.0
    for r in np.unique(run).tolist():
        widest = counts[cells // width == r].max()
        centres[r] = at + widest / 2
        at += widest + _APART
    return x + np.array([centres[r] for r in run.tolist()]), centres


def _sweep(
    x: Places, layer: Numbers, cell: Numbers, moved: Numbers, fixed: Numbers, counts: Numbers, *, down: bool
) -> Places:
    """Order layer after layer by the mean place of each node's neighbours in the layers already passed."""
    x = x.copy()
    order = np.argsort(layer[moved] if down else -layer[moved], kind="stable")
    for edges in np.split(order, np.flatnonzero(np.diff(layer[moved[order]])) + 1):
        if not len(edges):
            continue
        nodes = np.flatnonzero(layer == layer[moved[edges[0]]])
        number = np.searchsorted(nodes, moved[edges])
        degree = np.bincount(number, minlength=len(nodes))
        total = np.bincount(number, x[fixed[edges]], minlength=len(nodes))
        wanted = np.where(degree > 0, total / np.maximum(degree, 1), x[nodes])
        x[nodes] = _ranks(cell[nodes], wanted, counts)
    return x


def _ranks(cell: Numbers, wanted: npt.NDArray[Any], counts: Numbers) -> Places:
    """Place the nodes of each cell 1 apart around 0, in the wanted order."""
    order = np.lexsort((wanted, cell))
    sorted_cells = cell[order]
    rank = np.empty(len(cell))
    rank[order] = np.arange(len(cell)) - np.searchsorted(sorted_cells, sorted_cells)
    return rank - (counts[cell] - 1) / 2
