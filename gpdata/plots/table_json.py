"""Rows of a result as JSON and back: every value of the types that frames have survives, null and NaN told apart."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from gpdata.errors import InvalidInput

_PLAIN = {
    str(type_): type_
    for type_ in (
        pa.null(),
        pa.bool_(),
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float32(), pa.float64(), pa.string(), pa.date32()),
        *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")),
        *(pa.duration(unit) for unit in ("s", "ms", "us", "ns")),
    )
}


def to_json(table: pa.Table) -> dict[str, Any]:
    """Write a table as JSON: of each column its name, type and values.

    Parameters
    ----------
    table : pyarrow.Table
        Rows of any number. Dictionaries become their values, and large or view strings and lists plain ones.

    Returns
    -------
    dict
        Valid JSON: a number that is none is a string. `from_json` takes it.

    Raises
    ------
    InvalidInput
        A column is of a type that no frame of gpdata has, such as binary.

    Examples
    --------
    >>> to_json(pa.table({"a": [1.0, float("nan"), None]}))
    {'rows': 3, 'columns': [{'name': 'a', 'type': 'double', 'values': [1.0, 'nan', None]}]}
    """
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            type_ = _said(column.type)
        except KeyError:
            raise InvalidInput(
                f"the column {name!r} is of type {column.type}, which a figure cannot hold; leave it out"
            ) from None
        known = _type(type_)
        columns.append({"name": name, "type": type_, "values": _values(column.cast(known), known)})
    return {"rows": table.num_rows, "columns": columns}


def from_json(given: Any) -> pa.Table:
    """Read what `to_json` wrote.

    Parameters
    ----------
    given : dict
        Nothing in it is trusted.

    Returns
    -------
    pyarrow.Table
        The rows.

    Raises
    ------
    InvalidInput
        It is not what `to_json` writes.

    Examples
    --------
    >>> from_json(to_json(pa.table({"a": [1, None]}))).to_pydict()
    {'a': [1, None]}
    """
    try:
        columns = [(column["name"], _column(column["values"], _type(column["type"]))) for column in given["columns"]]
        if not columns:
            return pa.table({})
        return pa.Table.from_arrays([values for _, values in columns], names=[name for name, _ in columns])
    except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError, pa.ArrowException) as error:
        raise InvalidInput(f"the rows of a figure cannot be read: {error!r}") from error


def _said(type_: pa.DataType) -> Any:
    """Write a type as JSON, or raise KeyError."""
    if kinds.is_dictionary(type_):
        return _said(type_.value_type)
    if kinds.is_large_string(type_) or kinds.is_string_view(type_):
        return "string"
    if kinds.is_date64(type_):
        return "date32[day]"
    if kinds.is_decimal(type_):
        return ["decimal", type_.precision, type_.scale]
    if kinds.is_timestamp(type_) and type_.tz:
        return ["timestamp", type_.unit, type_.tz]
    if kinds.is_list(type_) or kinds.is_large_list(type_) or kinds.is_list_view(type_):
        return ["list", _said(type_.value_type)]
    if kinds.is_map(type_):
        return ["map", _said(type_.key_type), _said(type_.item_type)]
    if kinds.is_struct(type_):
        return ["struct", [[field.name, _said(field.type)] for field in type_]]
    return str(_PLAIN[str(type_)])


def _type(said: Any) -> pa.DataType:
    if isinstance(said, str):
        return _PLAIN[said]
    kind, *rest = said
    if kind == "list":
        return pa.list_(_type(rest[0]))
    if kind == "map":
        return pa.map_(_type(rest[0]), _type(rest[1]))
    if kind == "struct":
        return pa.struct([(name, _type(part)) for name, part in rest[0]])
    if kind == "decimal":
        return pa.decimal128(*rest) if rest[0] <= 38 else pa.decimal256(*rest)
    if kind == "timestamp":
        return pa.timestamp(*rest)
    raise KeyError(kind)


def _values(column: pa.ChunkedArray, type_: pa.DataType) -> list[Any]:
    return [_to_json(value) for value in column.cast(_bare(type_)).to_pylist()]


def _column(values: list[Any], type_: pa.DataType) -> pa.Array:
    bare = _bare(type_)
    return pa.array([_from_json(value, bare) for value in values], bare).cast(type_)


def _bare(type_: pa.DataType) -> pa.DataType:
    """Return the type with whole numbers in place of times, for Python has no nanoseconds."""
    if kinds.is_date32(type_):
        return pa.int32()
    if kinds.is_temporal(type_):
        return pa.int64()
    if kinds.is_list(type_):
        return pa.list_(_bare(type_.value_type))
    if kinds.is_map(type_):
        return pa.map_(_bare(type_.key_type), _bare(type_.item_type))
    if kinds.is_struct(type_):
        return pa.struct([(field.name, _bare(field.type)) for field in type_])
    return type_


def _to_json(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return [_to_json(part) for part in value]
    if isinstance(value, dict):
        return [_to_json(part) for part in value.values()]
    return str(value) if isinstance(value, Decimal) else value


def _from_json(value: Any, type_: pa.DataType) -> Any:
    if value is None:
        return None
    if kinds.is_floating(type_):
        return float(value)
    if kinds.is_decimal(type_):
        return Decimal(value)
    if kinds.is_list(type_):
        return [_from_json(part, type_.value_type) for part in value]
    if kinds.is_map(type_):
        return [(_from_json(key, type_.key_type), _from_json(item, type_.item_type)) for key, item in value]
    if kinds.is_struct(type_):
        return {field.name: _from_json(part, field.type) for field, part in zip(type_, value, strict=True)}
    return value
