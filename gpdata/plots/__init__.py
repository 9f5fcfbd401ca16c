"""Pictures of results: the frame that an analysis returned in, matplotlib Axes out.

Each picture checks the columns it needs, draws on the Axes that it is given or on new ones, and says what
stands in it: units, numbers of runs, how uncertain it is. matplotlib is loaded when a picture is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpdata.plots.age import age_error
    from gpdata.plots.counts import ancestry_counts
    from gpdata.plots.curves import error_curves
    from gpdata.plots.graph import ancestry
    from gpdata.plots.last import last_generation
    from gpdata.plots.rates import success

__all__ = ["age_error", "ancestry", "ancestry_counts", "error_curves", "last_generation", "success"]

_MODULES = {
    "age_error": "age",
    "ancestry": "graph",
    "ancestry_counts": "counts",
    "error_curves": "curves",
    "last_generation": "last",
    "success": "rates",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
