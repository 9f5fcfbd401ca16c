"""Engines: a snapshot of a lake as native frames, one module each."""

from __future__ import annotations

from typing import Any

from gpdata.engines.base import Engine
from gpdata.errors import InvalidInput, near

NAMES = ("duckdb", "polars")

__all__ = ["Engine", "choose_engine"]


def choose_engine(engine: Any = None) -> Engine:
    """Return the engine that a person asked for; only its own library is imported.

    Parameters
    ----------
    engine : str or SparkSession, optional
        "duckdb" (the default), "polars", or a Spark session, classic or Connect.

    Raises
    ------
    InvalidInput
        There is no such engine.

    Examples
    --------
    >>> choose_engine().name
    'duckdb'
    """
    if engine is None or engine == "duckdb":
        from gpdata.engines.duckdb import DuckDB

        return DuckDB()
    if engine == "polars":
        from gpdata.engines.polars import Polars

        return Polars()
    if type(engine).__module__.startswith("pyspark.sql"):
        from gpdata.engines.spark import Spark

        return Spark(engine)
    hint = "start a session with gpdata.spark() and give that" if engine == "spark" else near(str(engine), NAMES)
    raise InvalidInput(
        f"the engine {engine!r} was asked for; valid are {' and '.join(map(repr, NAMES))}, or a Spark session; {hint}"
    )
