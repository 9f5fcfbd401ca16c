"""What the tests of the wire share: lines of real runs, the lexical readers alone, and the way back to JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest

import gpdata.wire.columns as columns
from gpdata.spool.zstd import ZstdFile
from gpdata.wire import Decoded

DROPPED = {"history", "ancestors", "reuse-info", "repetition-info"}


@pytest.fixture(scope="session")
def streams(captures: Path) -> dict[str, list[bytes]]:
    """Return the lines of every captured stream, torn ones included, by its name."""
    found = {}
    for path in sorted(captures.glob("*.zst")):
        name = path.name.removesuffix(".zst")
        if ".log" not in name.removesuffix(".jsonl"):
            with ZstdFile(path) as file:
                found[name] = [line for line in file.read().split(b"\n") if line]
    return found


@pytest.fixture(scope="session")
def some_lines(streams: dict[str, list[bytes]]) -> list[bytes]:
    """Return the first and the last whole line of every stream, but none above 1 MB."""
    picked = [line for lines in streams.values() for line in (lines[0], lines[-1])]
    return [line for line in picked if len(line) < 1_000_000 and line.endswith(b"}")]


@contextmanager
def _lexical_only() -> Iterator[None]:
    def refuse(*_: object, **__: object) -> Any:
        raise msgspec.DecodeError

    kinds = {type(kind) for kind in vars(columns).values() if isinstance(kind, columns.Kind)}
    with ExitStack() as patches:
        for splitter in ("_without_space", "_split_object", "_split_array", "_split_objects"):
            patches.enter_context(mock.patch(f"gpdata.wire.members.{splitter}", refuse))
        for reader in ("coded_genomes", "typed_genomes"):
            patches.enter_context(mock.patch(f"gpdata.wire.genome.{reader}", refuse))
        for kind in kinds:
            patches.enter_context(mock.patch.object(kind, "at_once", refuse))
        yield


@pytest.fixture(scope="session")
def lexical_only() -> Callable[[], AbstractContextManager[None]]:
    """Return a context in which msgspec reads nothing: every value goes through the lexical readers."""
    return _lexical_only


class AsText:
    """A JSON value that is equal to its JSON text, in any spelling."""

    def __init__(self, value: Any) -> None:
        self.value = comparable(value)

    def __eq__(self, text: object) -> bool:
        return text == self.value or (isinstance(text, str) and comparable(json.loads(text)) == self.value)

    def __repr__(self) -> str:
        return f"AsText({self.value!r})"


def comparable(value: Any) -> Any:
    """Return a value in which NaN is equal to NaN, and to the string that stands for it; infinities likewise."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list | tuple):
        return [comparable(item) for item in value]
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()}
    return value


@pytest.fixture(scope="session")
def rows() -> Callable[[Decoded], dict[str, Any]]:
    """Return all rows of a line as Python values."""
    return lambda decoded: {
        "run": comparable(decoded.run.to_pylist()),
        "generation": comparable(decoded.generation_row.to_pylist()),
        "individuals": comparable(decoded.individuals.to_pylist()),
        "config_sha256": decoded.config_sha256,
    }


def _gene(row: dict[str, Any], position: int, left: dict[str, Any]) -> Any:
    kind, text = row["gene_type"][position], row["gene_instruction"][position]
    instruction = text if kind == "string" else json.loads(text) if kind else None
    names = ("close", "silent", "uuid", "parent-uuid", "random-insertion")
    columns_of = {name: row[f"gene_{name.replace('-', '_')}"] for name in names}
    gene = {name: values[position] for name, values in columns_of.items() if values is not None}
    left.pop("duplicate_keys", None)
    return {k: v for k, v in {"instruction": instruction, **gene, **left}.items() if v is not None}


@pytest.fixture(scope="session")
def rebuilt() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the way back: a row of INDIVIDUALS as the individual it was read from, nulls left out."""

    def rebuild(row: dict[str, Any]) -> dict[str, Any]:
        extra = json.loads(row["extra"] or "{}")
        individual = {
            name.replace("_", "-"): value
            for name, value in row.items()
            if value is not None and not name.startswith("gene_") and name not in ("run_uuid", "generation", "location")
        }
        individual.pop("extra", None)
        extra.pop("duplicate_keys", None)
        if row["behaviors"] is not None:
            individual["behaviors"] = [json.loads(text) for text in row["behaviors"]]
        if row["gene_instruction"] is not None:
            left = extra.pop("genome", {})
            individual["genome"] = [
                _gene(row, position, left.get(str(position), {})) for position in range(row["genome_size"])
            ]
            del individual["genome-size"]
        individual = comparable(individual | extra)
        if isinstance(individual.get("genetic-operators"), str):
            individual["genetic-operators"] = [individual["genetic-operators"]]
        return {k: v for k, v in individual.items() if v is not None}

    return rebuild


@pytest.fixture(scope="session")
def as_kept() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return an individual as sent, without what gpdata declares to say nothing, a lone operator as a list."""

    def keep(individual: dict[str, Any]) -> dict[str, Any]:
        kept = {k: v for k, v in individual.items() if v is not None and not (k in DROPPED and v == [])}
        program = kept.get("program", "")
        kept = comparable(kept)
        if isinstance(kept.get("genetic-operators"), str):
            kept["genetic-operators"] = [kept["genetic-operators"]]
        if not isinstance(program, str):
            kept["program"] = AsText(program)
        genome = kept.get("genome")
        if isinstance(genome, list):
            genes = [gene if isinstance(gene, dict) else {"instruction": gene} for gene in genome]
            kept["genome"] = [{k: v for k, v in gene.items() if v is not None} for gene in genes]
            if kept.get("genome-size") == len(genome) and not isinstance(kept["genome-size"], bool):
                del kept["genome-size"]
        return kept

    return keep
