"""The Arrow projection of the schema."""

from __future__ import annotations

import pyarrow as pa

from gpdata.schema.declaration import Table, Type

ARROW = {
    Type.STRING: pa.string(),
    Type.INT: pa.int32(),
    Type.DOUBLE: pa.float64(),
    Type.BOOL: pa.bool_(),
    Type.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    Type.STRINGS: pa.list_(pa.string()),
    Type.INTS: pa.list_(pa.int32()),
    Type.DOUBLES: pa.list_(pa.float64()),
    Type.BOOLS: pa.list_(pa.bool_()),
    Type.STRING_MAP: pa.map_(pa.string(), pa.string()),
    Type.DOUBLE_MAP: pa.map_(pa.string(), pa.float64()),
}


def arrow_schema(table: Table) -> pa.Schema:
    """Return the Arrow schema of a table.

    Parameters
    ----------
    table : Table
        One of `gpdata.schema.TABLES`.

    Returns
    -------
    pyarrow.Schema
        One field per declared column, in order, nullable where the declaration says what null means.

    Examples
    --------
    >>> from gpdata.schema import ERRORS
    >>> arrow_schema(ERRORS).field("error").type
    DataType(double)
    """
    return pa.schema([pa.field(c.name, ARROW[c.type], nullable=c.nullable) for c in table.columns])
