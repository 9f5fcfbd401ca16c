"""The analyses: frames of the canonical schema in, a frame of the same engine out.

One module per question. Each takes DuckDB relations, Spark DataFrames, Polars, pandas or Arrow frames, checks
the columns it needs, computes lazily where the engine is lazy, and declares its result columns next to it
(`SUCCESS_TABLE` for `success_table`, and so on).
"""

from gpdata.analyses.curves import ERROR_CURVES, error_curves
from gpdata.analyses.last import LAST_GENERATION, last_generation
from gpdata.analyses.success import SUCCESS_TABLE, success_table

__all__ = [
    "ERROR_CURVES",
    "LAST_GENERATION",
    "SUCCESS_TABLE",
    "error_curves",
    "last_generation",
    "success_table",
]
