"""The Spark projection of the schema: a StructType, and its JSON for those who want no JVM."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gpdata.schema.declaration import Table, Type

if TYPE_CHECKING:
    from pyspark.sql.types import StructType


def _array(element: str) -> dict[str, Any]:
    return {"type": "array", "elementType": element, "containsNull": True}


def _map(value: str) -> dict[str, Any]:
    return {"type": "map", "keyType": "string", "valueType": value, "valueContainsNull": True}


SPARK: dict[Type, Any] = {
    Type.STRING: "string",
    Type.INT: "integer",
    Type.DOUBLE: "double",
    Type.BOOL: "boolean",
    Type.TIMESTAMP: "timestamp",
    Type.STRINGS: _array("string"),
    Type.INTS: _array("integer"),
    Type.DOUBLES: _array("double"),
    Type.BOOLS: _array("boolean"),
    Type.STRING_MAP: _map("string"),
    Type.DOUBLE_MAP: _map("double"),
}
"""Each declared type as Spark writes it in a schema's JSON."""


def spark_json(table: Table) -> str:
    """Return the JSON of a table's Spark schema, without importing pyspark.

    Parameters
    ----------
    table : Table
        One of `gpdata.schema.TABLES`.

    Returns
    -------
    str
        What `StructType.json()` gives and `StructType.fromJson(json.loads(...))` reads: one field per
        declared column, in order, nullable where the declaration says what null means.

    Examples
    --------
    >>> from gpdata.schema import ERRORS
    >>> json.loads(spark_json(ERRORS))["fields"][-1]
    {'metadata': {}, 'name': 'error', 'nullable': True, 'type': 'double'}
    """
    fields = [{"metadata": {}, "name": c.name, "nullable": c.nullable, "type": SPARK[c.type]} for c in table.columns]
    return json.dumps({"fields": fields, "type": "struct"}, separators=(",", ":"), sort_keys=True)


def spark_schema(table: Table) -> StructType:
    """Return the Spark schema of a table; imports pyspark, starts no JVM.

    Parameters
    ----------
    table : Table
        One of `gpdata.schema.TABLES`.

    Returns
    -------
    pyspark.sql.types.StructType
        The schema to read a lake's files with: `spark.read.schema(spark_schema(RUNS)).parquet(*files)`.

    Examples
    --------
    >>> from gpdata.schema import ERRORS
    >>> spark_schema(ERRORS)["error"]
    StructField('error', DoubleType(), True)
    """
    from pyspark.sql.types import StructType

    return StructType.fromJson(json.loads(spark_json(table)))
