"""The canonical schema of a GP lab's data, declared once, and its projections."""

from gpdata.schema.arrow import arrow_schema
from gpdata.schema.declaration import Column, Table, Type
from gpdata.schema.tables import (
    ERRORS,
    GENERATIONS,
    GENES,
    INDIVIDUALS,
    OUTCOMES,
    RUNS,
    SCHEMA_VERSION,
    STORED,
    TABLES,
)

__all__ = [
    "ERRORS",
    "GENERATIONS",
    "GENES",
    "INDIVIDUALS",
    "OUTCOMES",
    "RUNS",
    "SCHEMA_VERSION",
    "STORED",
    "TABLES",
    "Column",
    "Table",
    "Type",
    "arrow_schema",
]
