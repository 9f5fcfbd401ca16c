"""The analyses: frames of the canonical schema in, a frame of the same engine out.

One module per question. Each takes DuckDB relations, Spark DataFrames, Polars, pandas or Arrow frames, checks
the columns it needs, computes lazily where the engine is lazy, and declares its result columns next to it
(`SUCCESS_TABLE` for `success_table`, and so on).
"""

from gpdata.analyses.age import AGE_ERROR, age_error
from gpdata.analyses.ancestors import ANCESTRY, ANCESTRY_COUNTS, ancestry, ancestry_counts
from gpdata.analyses.cumulative import CUMULATIVE_SUCCESS, cumulative_success
from gpdata.analyses.curves import ERROR_CURVES, error_curves
from gpdata.analyses.diversity import DIVERSITY, diversity
from gpdata.analyses.edges import ANCESTRY_EDGES, ancestry_edges
from gpdata.analyses.effort import COMPUTATIONAL_EFFORT, computational_effort
from gpdata.analyses.genetic import GENETIC_ANCESTRY, genetic_ancestry
from gpdata.analyses.homology import HOMOLOGY, homology
from gpdata.analyses.instructions import INSTRUCTION_FREQUENCY, instruction_frequency
from gpdata.analyses.last import LAST_GENERATION, last_generation
from gpdata.analyses.lexicase import ELITE_CASES, LEXICASE_STATS, elite_cases, lexicase_stats
from gpdata.analyses.operators import OPERATOR_EFFECTS, operator_effects
from gpdata.analyses.parameters import RUNS_TABLE, SHARED_PARAMETERS, runs_table, select_runs, shared_parameters
from gpdata.analyses.parents import BEST_PARENT_CHAIN, best_parent_chain
from gpdata.analyses.phylogeny import PHYLOGENY, phylogeny
from gpdata.analyses.running_time import ECDF, ERT, ecdf, ert
from gpdata.analyses.selection import (
    HYPERSELECTION,
    SELECTION_COUNTS,
    hyperselection,
    selection_counts,
    tournament_expectation,
)
from gpdata.analyses.sizes import SIZE_CURVES, size_curves
from gpdata.analyses.smoothing import smooth
from gpdata.analyses.success import SUCCESS_TABLE, success_table
from gpdata.analyses.winners import WINNER, winner

__all__ = [
    "AGE_ERROR",
    "ANCESTRY",
    "ANCESTRY_COUNTS",
    "ANCESTRY_EDGES",
    "BEST_PARENT_CHAIN",
    "COMPUTATIONAL_EFFORT",
    "CUMULATIVE_SUCCESS",
    "DIVERSITY",
    "ECDF",
    "ELITE_CASES",
    "ERROR_CURVES",
    "ERT",
    "GENETIC_ANCESTRY",
    "HOMOLOGY",
    "HYPERSELECTION",
    "INSTRUCTION_FREQUENCY",
    "LAST_GENERATION",
    "LEXICASE_STATS",
    "OPERATOR_EFFECTS",
    "PHYLOGENY",
    "RUNS_TABLE",
    "SELECTION_COUNTS",
    "SHARED_PARAMETERS",
    "SIZE_CURVES",
    "SUCCESS_TABLE",
    "WINNER",
    "age_error",
    "ancestry",
    "ancestry_counts",
    "ancestry_edges",
    "best_parent_chain",
    "computational_effort",
    "cumulative_success",
    "diversity",
    "ecdf",
    "elite_cases",
    "error_curves",
    "ert",
    "genetic_ancestry",
    "homology",
    "hyperselection",
    "instruction_frequency",
    "last_generation",
    "lexicase_stats",
    "operator_effects",
    "phylogeny",
    "runs_table",
    "select_runs",
    "selection_counts",
    "shared_parameters",
    "size_curves",
    "smooth",
    "success_table",
    "tournament_expectation",
    "winner",
]
