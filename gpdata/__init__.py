"""Record every individual of every genetic-programming run, keep it for good, and ask it anything.

Every name is imported when it is first used: `import gpdata` starts no JVM, no server and no log.

Examples
--------
>>> import gpdata as gp
>>> gp.schema.RUNS.key
('run_uuid',)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpdata import errors, plots, schema
    from gpdata.analyses import (
        age_error,
        ancestry,
        ancestry_counts,
        ancestry_edges,
        error_curves,
        last_generation,
        success_table,
        winner,
    )
    from gpdata.convert import to_arrow, to_pandas, to_polars
    from gpdata.lab import open
    from gpdata.sessions import spark
    from gpdata.upload import Recorder

    __version__: str

__all__ = [
    "Recorder",
    "age_error",
    "ancestry",
    "ancestry_counts",
    "ancestry_edges",
    "error_curves",
    "errors",
    "last_generation",
    "open",
    "plots",
    "schema",
    "spark",
    "success_table",
    "to_arrow",
    "to_pandas",
    "to_polars",
    "winner",
]

_HOME = {
    "Recorder": "gpdata.upload",
    "age_error": "gpdata.analyses",
    "ancestry": "gpdata.analyses",
    "ancestry_counts": "gpdata.analyses",
    "ancestry_edges": "gpdata.analyses",
    "error_curves": "gpdata.analyses",
    "last_generation": "gpdata.analyses",
    "open": "gpdata.lab",
    "spark": "gpdata.sessions",
    "success_table": "gpdata.analyses",
    "to_arrow": "gpdata.convert",
    "to_pandas": "gpdata.convert",
    "to_polars": "gpdata.convert",
    "winner": "gpdata.analyses",
}
"""The module of each public name; the others are modules themselves."""


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("gpdata")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in __all__:
        return import_module(f"gpdata.{name}")
    from gpdata.errors import near

    raise AttributeError(f"gpdata has no {name!r}: {near(name, __all__)}", name=name, obj=__name__)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
