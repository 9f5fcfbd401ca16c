from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpdata.schema import GENERATIONS, INDIVIDUALS, RUNS
from gpdata.schema.json_schema import json_schema
from gpdata.spool.zstd import ZstdFile
from gpdata.wire import Decoded, Origin, decode

SCHEMA = json_schema()
CORPUS = Path(__file__).parent.parent / "wire" / "corpus"
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}


def is_of(value: Any, name: str) -> bool:
    if name == "integer":
        return is_of(value, "number") and value % 1 == 0
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def is_valid(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value fits a schema, for the words that ours uses; any other is an error here."""
    unknown = set(schema) - {"$schema", "$defs", "title", "description"}
    checks = {
        "$ref": lambda ref: is_valid(value, SCHEMA["$defs"][ref.rpartition("/")[2]]),
        "anyOf": lambda some: any(is_valid(value, one) for one in some),
        "enum": lambda values: value in values,
        "type": lambda names: any(is_of(value, name) for name in ([names] if isinstance(names, str) else names)),
        "required": lambda names: not isinstance(value, dict) or set(names) <= set(value),
        "properties": lambda fields: (
            not isinstance(value, dict)
            or all(is_valid(value[name], field) for name, field in fields.items() if name in value)
        ),
        "additionalProperties": lambda field: (
            not isinstance(value, dict) or all(is_valid(item, field) for item in value.values())
        ),
        "items": lambda item: not isinstance(value, list) or all(is_valid(one, item) for one in value),
        "minItems": lambda least: not isinstance(value, list) or len(value) >= least,
        "minLength": lambda least: not isinstance(value, str) or len(value) >= least,
        "maxLength": lambda most: not isinstance(value, str) or len(value) <= most,
        "minimum": lambda least: not is_of(value, "number") or value >= least,
        "maximum": lambda most: not is_of(value, "number") or value <= most,
    }
    return all(checks[word](schema[word]) for word in unknown)


def corpus(name: str) -> dict[str, Any]:
    """Return the lines of a corpus file, as text and as read."""
    lines = (CORPUS / name).read_text(encoding="utf-8").replace("\ufeff", "").split("\n")
    return {line: json.loads(line) for line in lines if line.strip()}


def test_captured_lines_are_valid(captures: Path) -> None:
    for path in captures.glob("*.jsonl.zst"):
        with ZstdFile(path) as file:
            assert is_valid(json.loads(file.readline()), SCHEMA), path.name


@pytest.mark.parametrize("name", ["not_an_object.jsonl", "missing_field.jsonl", "empty_population.jsonl"])
def test_lines_without_the_structure_are_invalid(name: str) -> None:
    assert not any(is_valid(line, SCHEMA) for line in corpus(name).values())


def test_bad_fields_are_invalid_but_for_what_a_schema_cannot_say() -> None:
    spellings = ('"index":0.0', '"index":1e0', '"index":-0,', '"config-uuid":" "', r"\u0000", r"a\nb", r"\ud800")
    for text, line in corpus("bad_field.jsonl").items():
        assert is_valid(line, SCHEMA) == any(spelling in text for spelling in spellings), text


def test_values_that_do_not_fit_are_invalid_but_for_what_a_schema_cannot_say() -> None:
    sizes = ("9007199254740993", "1111111111", "1e999", "1e30")
    others = (r"\ud", '"genome-size":2', '"problem-file":"b"')
    for text, line in corpus("value_in_extra.jsonl").items():
        assert is_valid(line, SCHEMA) == any(mark in text for mark in (*sizes, *others)), text


def test_a_valid_line_is_taken_in() -> None:
    for name in ("accepted.jsonl", "value_in_extra.jsonl", "duplicate_keys.jsonl"):
        for text, line in corpus(name).items():
            if is_valid(line, SCHEMA):
                assert isinstance(decode(text.encode(), Origin("upload")), Decoded)


def test_accepted_lines_are_valid_but_for_reports_of_other_than_numbers() -> None:
    for text, line in corpus("accepted.jsonl").items():
        assert is_valid(line, SCHEMA) or '"b":"text"' in text, text


def test_every_field_with_a_column_is_described() -> None:
    individual, gene = (SCHEMA["$defs"][name]["properties"] for name in ("individual", "gene"))
    computed = {"location", "run_uuid", "generation", "extra", "gene_type"}
    for column in INDIVIDUALS.columns:
        if column.name in computed:
            continue
        name = column.name.removeprefix("gene_").replace("_", "-")
        field = (gene if column.name.startswith("gene_") else individual)[name]
        assert field["description"].startswith(column.meaning)
    described = json.dumps(SCHEMA)
    for column in (*RUNS.columns, *GENERATIONS.columns):
        if column.source.startswith(("config.", "best.m", "best.g", "best.p")) and column.name != "label":
            assert json.dumps(column.meaning)[1:-1] in described


def test_the_schema_is_json() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
