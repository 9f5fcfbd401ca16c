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
    from gpdata import errors, exports, plots, schema, stats
    from gpdata.analyses import (
        age_error,
        ancestry,
        ancestry_counts,
        ancestry_edges,
        best_parent_chain,
        computational_effort,
        cumulative_success,
        diversity,
        ecdf,
        elite_cases,
        error_curves,
        ert,
        genetic_ancestry,
        homology,
        hyperselection,
        instruction_frequency,
        last_generation,
        lexicase_stats,
        operator_effects,
        phylogeny,
        runs_table,
        select_runs,
        selection_counts,
        shared_parameters,
        size_curves,
        smooth,
        success_table,
        tournament_expectation,
        winner,
    )
    from gpdata.convert import to_arrow, to_pandas, to_polars
    from gpdata.lab import open
    from gpdata.origin import provenance
    from gpdata.sessions import doctor, spark, spark_settings, stop
    from gpdata.sessions.diagnose import diagnose
    from gpdata.sessions.hours import executor_hours
    from gpdata.sessions.local import local
    from gpdata.stats import compare_success
    from gpdata.sweeps.start import sweep
    from gpdata.upload import Recorder
    from gpdata.upload.adapters.deap import record_deap
    from gpdata.upload.adapters.gplearn import record_gplearn
    from gpdata.upload.adapters.leap import record_leap
    from gpdata.upload.adapters.pyshgp import record_pyshgp
    from gpdata.widgets import explore

    __version__: str

__all__ = [
    "Recorder",
    "age_error",
    "ancestry",
    "ancestry_counts",
    "ancestry_edges",
    "best_parent_chain",
    "compare_success",
    "computational_effort",
    "cumulative_success",
    "diagnose",
    "diversity",
    "doctor",
    "ecdf",
    "elite_cases",
    "error_curves",
    "errors",
    "ert",
    "executor_hours",
    "explore",
    "exports",
    "genetic_ancestry",
    "homology",
    "hyperselection",
    "instruction_frequency",
    "last_generation",
    "lexicase_stats",
    "local",
    "open",
    "operator_effects",
    "phylogeny",
    "plots",
    "provenance",
    "record_deap",
    "record_gplearn",
    "record_leap",
    "record_pyshgp",
    "runs_table",
    "schema",
    "select_runs",
    "selection_counts",
    "shared_parameters",
    "size_curves",
    "smooth",
    "spark",
    "spark_settings",
    "stats",
    "stop",
    "success_table",
    "sweep",
    "to_arrow",
    "to_pandas",
    "to_polars",
    "tournament_expectation",
    "winner",
]

_HOME = {
    "Recorder": "gpdata.upload",
    "age_error": "gpdata.analyses",
    "ancestry": "gpdata.analyses",
    "ancestry_counts": "gpdata.analyses",
    "ancestry_edges": "gpdata.analyses",
    "best_parent_chain": "gpdata.analyses",
    "compare_success": "gpdata.stats",
    "computational_effort": "gpdata.analyses",
    "cumulative_success": "gpdata.analyses",
    "diagnose": "gpdata.sessions.diagnose",
    "diversity": "gpdata.analyses",
    "doctor": "gpdata.sessions",
    "ecdf": "gpdata.analyses",
    "elite_cases": "gpdata.analyses",
    "error_curves": "gpdata.analyses",
    "ert": "gpdata.analyses",
    "executor_hours": "gpdata.sessions.hours",
    "explore": "gpdata.widgets",
    "genetic_ancestry": "gpdata.analyses",
    "homology": "gpdata.analyses",
    "hyperselection": "gpdata.analyses",
    "instruction_frequency": "gpdata.analyses",
    "last_generation": "gpdata.analyses",
    "lexicase_stats": "gpdata.analyses",
    "local": "gpdata.sessions.local",
    "open": "gpdata.lab",
    "operator_effects": "gpdata.analyses",
    "phylogeny": "gpdata.analyses",
    "provenance": "gpdata.origin",
    "record_deap": "gpdata.upload.adapters.deap",
    "record_gplearn": "gpdata.upload.adapters.gplearn",
    "record_leap": "gpdata.upload.adapters.leap",
    "record_pyshgp": "gpdata.upload.adapters.pyshgp",
    "runs_table": "gpdata.analyses",
    "select_runs": "gpdata.analyses",
    "selection_counts": "gpdata.analyses",
    "shared_parameters": "gpdata.analyses",
    "size_curves": "gpdata.analyses",
    "smooth": "gpdata.analyses",
    "spark": "gpdata.sessions",
    "spark_settings": "gpdata.sessions",
    "stop": "gpdata.sessions",
    "success_table": "gpdata.analyses",
    "sweep": "gpdata.sweeps.start",
    "to_arrow": "gpdata.convert",
    "to_pandas": "gpdata.convert",
    "to_polars": "gpdata.convert",
    "tournament_expectation": "gpdata.analyses",
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
