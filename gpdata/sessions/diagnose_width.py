"""How many bytes a row is, as Spark computes it where the row is: no Python on the executors, no settings."""

from __future__ import annotations

from typing import Any

_FIXED = {"void": 0, "null": 0, "boolean": 1, "byte": 1, "short": 2, "integer": 4, "date": 4, "float": 4, "decimal": 16}
_NESTED = ("array", "map", "struct")
_OTHER = 8
_TEXTS = ("string", "binary", "char", "varchar")


def row_bytes(schema: Any) -> tuple[str, str]:
    """Return two SQL expressions over a frame's columns `c0`, `c1`, ...: its rows' bytes, and a check.

    Parameters
    ----------
    schema : pyspark.sql.types.StructType
        Of the frame.

    Returns
    -------
    size : str
        Bytes of the values of a row, without what a format adds.
    check : str
        A number that depends on every column that the size does not read: Spark leaves out what nothing needs.
    """
    types = [field.dataType for field in schema.fields]
    sizes = [_bytes(kind, f"c{place}") for place, kind in enumerate(types)]
    fixed = [f"c{place}" for place, kind in enumerate(types) if _kind(kind) not in (*_TEXTS, *_NESTED)]
    return " + ".join(["0L", *sizes]), f"xxhash64({', '.join(fixed)})" if fixed else "0L"


def _bytes(kind: Any, value: str, level: int = 0) -> str:
    name = _kind(kind)
    if name in _TEXTS:
        return f"coalesce(octet_length({value}), 0)"
    if name == "array":
        return _list_bytes(kind.elementType, value, level)
    if name == "map":
        keys = _list_bytes(kind.keyType, f"map_keys({value})", level)
        return f"({keys} + {_list_bytes(kind.valueType, f'map_values({value})', level)})"
    if name == "struct":
        parts = [_bytes(field.dataType, f"{value}.{quoted(field.name)}", level) for field in kind.fields]
        return f"({' + '.join(['0', *parts])})"
    return str(_FIXED.get(name, _OTHER))


def _list_bytes(kind: Any, value: str, level: int) -> str:
    if _kind(kind) not in (*_TEXTS, *_NESTED):
        return f"IF({value} IS NULL, 0, size({value})) * {_bytes(kind, '')}"
    each = _bytes(kind, f"x{level}", level + 1)
    return f"coalesce(aggregate({value}, 0L, (s{level}, x{level}) -> s{level} + {each}), 0L)"


def _kind(kind: Any) -> str:
    return str(kind.typeName()).partition("(")[0]


def quoted(name: str) -> str:
    """Return a column's name as SQL has it.

    Examples
    --------
    >>> quoted("parent-selection")
    '`parent-selection`'
    """
    return f"`{name.replace('`', '``')}`"
