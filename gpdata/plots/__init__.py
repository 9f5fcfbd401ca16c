"""Pictures of results: the frame that an analysis returned in, matplotlib Axes out.

Each picture checks the columns it needs, draws on the Axes that it is given or on new ones, and says what
stands in it: units, numbers of runs, how uncertain it is. matplotlib is loaded when a picture is asked for.

With `source=lab` a saved figure carries where its rows came from, the rows and how they were drawn: `source` reads
that from a PNG, SVG or PDF file, and `again` draws the figure anew from it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpdata.plots.age import age_error
    from gpdata.plots.cells import heatmap
    from gpdata.plots.counts import ancestry_counts
    from gpdata.plots.cumulative import cumulative_success
    from gpdata.plots.curves import error_curves
    from gpdata.plots.effort import computational_effort
    from gpdata.plots.graph import ancestry
    from gpdata.plots.instructions import instruction_frequency
    from gpdata.plots.last import last_generation
    from gpdata.plots.lexicase import lexicase_stats
    from gpdata.plots.operators import operator_effects
    from gpdata.plots.rates import success
    from gpdata.plots.redrawn import again, source
    from gpdata.plots.running_time import ecdf, ert
    from gpdata.plots.selection import hyperselection, selection_counts
    from gpdata.plots.sizes import size_curves
    from gpdata.plots.variety import diversity, homology

__all__ = [
    "again",
    "age_error",
    "ancestry",
    "ancestry_counts",
    "computational_effort",
    "cumulative_success",
    "diversity",
    "ecdf",
    "error_curves",
    "ert",
    "heatmap",
    "homology",
    "hyperselection",
    "instruction_frequency",
    "last_generation",
    "lexicase_stats",
    "operator_effects",
    "selection_counts",
    "size_curves",
    "source",
    "success",
]

_MODULES = {
    "age_error": "age",
    "again": "redrawn",
    "ancestry": "graph",
    "ancestry_counts": "counts",
    "computational_effort": "effort",
    "cumulative_success": "cumulative",
    "diversity": "variety",
    "ecdf": "running_time",
    "error_curves": "curves",
    "ert": "running_time",
    "heatmap": "cells",
    "homology": "variety",
    "hyperselection": "selection",
    "instruction_frequency": "instructions",
    "last_generation": "last",
    "lexicase_stats": "lexicase",
    "operator_effects": "operators",
    "selection_counts": "selection",
    "size_curves": "sizes",
    "source": "redrawn",
    "success": "rates",
}

PICTURES = tuple(name for name, module in _MODULES.items() if module != "redrawn")
"""The functions that draw; the others read what a saved figure carries."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
