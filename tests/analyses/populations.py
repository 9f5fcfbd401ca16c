"""Tables of the schema from rows, with the columns that a test names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from gpdata.schema import Table, arrow_schema


def table_of(table: Table, rows: Iterable[dict[str, Any]], names: Sequence[str] | None = None) -> pa.Table:
    """Return an Arrow table of some columns, those of the first row by default."""
    rows = list(rows)
    schema = arrow_schema(table)
    return pa.Table.from_pylist(rows, pa.schema([schema.field(name) for name in names or rows[0]]))
