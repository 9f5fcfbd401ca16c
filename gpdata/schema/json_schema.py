"""The JSON Schema projection: one line of an upload, as a recorder sends it."""

from __future__ import annotations

import re
from typing import Any

from gpdata.schema.declaration import Column, Type
from gpdata.schema.tables import GENERATIONS, INDIVIDUALS, OUTCOMES, RUNS

RUN_UUID_CHARS = 200
"""The longest run uuid that is taken in unless a limit says otherwise."""

NON_FINITE = ("NaN", "Infinity", "-Infinity")
"""The strings that stand for the numbers that JSON cannot write."""

_INT32 = {"minimum": -(2**31), "maximum": 2**31 - 1}
_NUMBER: dict[str, Any] = {"anyOf": [{"type": ["number", "null"]}, {"enum": list(NON_FINITE)}]}
_OF_TYPE: dict[Type, dict[str, Any]] = {
    Type.STRING: {"type": ["string", "null"]},
    Type.INT: {"type": ["integer", "null"], **_INT32},
    Type.DOUBLE: _NUMBER,
    Type.BOOL: {"type": ["boolean", "null"]},
    Type.TIMESTAMP: {"type": ["number", "null"]},
    Type.STRINGS: {"type": ["array", "null"], "items": {"type": "string"}},
    Type.DOUBLES: {"type": ["array", "null"], "items": _NUMBER},
    Type.STRING_MAP: {"type": ["object", "null"]},
    Type.DOUBLE_MAP: {"type": ["object", "null"], "additionalProperties": _NUMBER},
}
_OF_GENE: dict[Type, dict[str, Any]] = {
    Type.INTS: _OF_TYPE[Type.INT],
    Type.BOOLS: _OF_TYPE[Type.BOOL],
    Type.STRINGS: _OF_TYPE[Type.STRING],
}
_OF_FIELD: dict[str, dict[str, Any]] = {
    "config-uuid": {"type": "string", "minLength": 1, "maxLength": RUN_UUID_CHARS},
    "index": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "outcome": {"enum": list(OUTCOMES)},
    "genetic-operators": {"type": ["string", "array", "null"], "items": {"type": "string"}},
    "behaviors": {"type": ["array", "null"]},
    "program": {},
    "instruction": {},
}
_PATH = re.compile(r"(?<!length of )(?<![\w.-])[a-z][a-z-]*(?:\[\])?(?:\.[a-z][a-z-]*(?:\[\])?)*")
_TOP = {"config-uuid", "index", "outcome", "start-time", "population-report"}


def json_schema() -> dict[str, Any]:
    """Return the schema of one line, as an uploader should send it.

    What does not fit its column but for the required fields is taken in all the same, and kept as it was written:
    the schema says what will be a column, not what will be refused. Fields beyond it are kept too.

    Returns
    -------
    dict
        JSON Schema, draft 2020-12. Names are those of the wire, descriptions those of the declaration.

    Examples
    --------
    >>> schema = json_schema()
    >>> schema["required"]
    ['config-uuid', 'index', 'outcome', 'population']
    >>> schema["properties"]["population-report"]["description"]
    "the sender's own statistics, names as sent"
    """
    fields = _fields()
    gene = _object({path.rpartition(".")[2]: field for path, field in fields.items() if "genome[]." in path})
    genome = {
        "type": ["array", "null"],
        "items": {"anyOf": [{"$ref": "#/$defs/gene"}, {"type": ["string", "number", "boolean", "array", "null"]}]},
        "description": "the genes in order: Plush genes are objects, Plushy genes bare values",
    }
    individual = _object(_under("population[]", fields) | {"genome": genome})
    some_individual = {"anyOf": [{"$ref": "#/$defs/individual"}, {"type": "null"}]}
    best = {"individual": some_individual, "individual-simplified": some_individual}
    config = _object(_under("config", fields))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "One generation of one run",
        "description": "One line of an upload: newline-delimited JSON in UTF-8, one object a generation.",
        "type": "object",
        "required": ["config-uuid", "index", "outcome", "population"],
        "properties": {name: fields[name] for name in fields if name in _TOP}
        | {
            "config": config | {"type": ["object", "null"], "description": "how the run was configured"},
            "population": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/individual"}},
            "best": _object(_under("best", fields) | best) | {"type": ["object", "null"]},
        },
        "$defs": {"individual": individual, "gene": gene},
    }


def _fields() -> dict[str, dict[str, Any]]:
    """Return the schema of every field that a column is read from, by its path on the wire."""
    fields: dict[str, dict[str, Any]] = {}
    for table in (RUNS, GENERATIONS, INDIVIDUALS):
        for column in table.columns:
            for path in _PATH.findall(column.source):
                if path in _TOP or (path.startswith(("config.", "best.", "population[].")) and not path.endswith("[]")):
                    fields.setdefault(path, _field(path.rpartition(".")[2], column))
    return fields


def _field(name: str, column: Column) -> dict[str, Any]:
    of_type = _OF_GENE if column.name.startswith("gene_") else _OF_TYPE
    schema = _OF_FIELD[name] if name in _OF_FIELD else of_type[column.type]
    unit = "unix seconds" if column.type is Type.TIMESTAMP else column.unit
    return {**schema, "description": f"{column.meaning} [{unit}]" if unit else column.meaning}


def _under(parent: str, fields: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the fields directly below another."""
    names = {path: path.removeprefix(f"{parent}.") for path in fields if path.startswith(f"{parent}.")}
    return {name: fields[path] for path, name in names.items() if "." not in name}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}
