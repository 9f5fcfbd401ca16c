"""The analyses: frames of the canonical schema in, a frame of the same engine out.

One module per question. Each takes DuckDB relations, Spark DataFrames, Polars, pandas or Arrow frames, checks
the columns it needs, computes lazily where the engine is lazy, and declares its result columns next to it
(`SUCCESS_TABLE` for `success_table`, and so on).
"""

from gpdata.analyses.age import AGE_ERROR, age_error
from gpdata.analyses.ancestors import ANCESTRY, ANCESTRY_COUNTS, ancestry, ancestry_counts
from gpdata.analyses.curves import ERROR_CURVES, error_curves
from gpdata.analyses.edges import ANCESTRY_EDGES, ancestry_edges
from gpdata.analyses.last import LAST_GENERATION, last_generation
from gpdata.analyses.success import SUCCESS_TABLE, success_table
from gpdata.analyses.winners import WINNER, winner

__all__ = [
    "AGE_ERROR",
    "ANCESTRY",
    "ANCESTRY_COUNTS",
    "ANCESTRY_EDGES",
    "ERROR_CURVES",
    "LAST_GENERATION",
    "SUCCESS_TABLE",
    "WINNER",
    "age_error",
    "ancestry",
    "ancestry_counts",
    "ancestry_edges",
    "error_curves",
    "last_generation",
    "success_table",
    "winner",
]
