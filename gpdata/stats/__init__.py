"""Statistics over small frames: is one treatment better than another, and how sure is that.

Each comparison says which test it made, which p-values it adjusted together and at which alpha it judged. scipy and
pandas are loaded when a function is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpdata.stats.comparison import Comparison
    from gpdata.stats.counts import Tested, chi_squared, fisher_exact, odds_ratio, wilson
    from gpdata.stats.families import holm
    from gpdata.stats.samples import VarghaDelaney, a12, bootstrap
    from gpdata.stats.success import compare_success
    from gpdata.stats.values import compare_values, kruskal

__all__ = [
    "Comparison",
    "Tested",
    "VarghaDelaney",
    "a12",
    "bootstrap",
    "chi_squared",
    "compare_success",
    "compare_values",
    "fisher_exact",
    "holm",
    "kruskal",
    "odds_ratio",
    "wilson",
]

_MODULES = {
    "Comparison": "comparison",
    "Tested": "counts",
    "VarghaDelaney": "samples",
    "a12": "samples",
    "bootstrap": "samples",
    "chi_squared": "counts",
    "compare_success": "success",
    "compare_values": "values",
    "fisher_exact": "counts",
    "holm": "families",
    "kruskal": "values",
    "odds_ratio": "counts",
    "wilson": "counts",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
