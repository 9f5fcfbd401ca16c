"""One recorder line into record batches, or a rejection."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from msgspec import Raw

from gpdata.schema import GENERATIONS, INDIVIDUALS, OUTCOMES, RUNS, arrow_schema
from gpdata.wire.best import best_individuals, read_best
from gpdata.wire.config import Config, read_config
from gpdata.wire.generation import Generation, read_report, read_start_time
from gpdata.wire.individuals import Individuals, read_individuals
from gpdata.wire.lexical import Node, Verbatim, dump, parse
from gpdata.wire.limits import DEFAULT_LIMITS, Limits
from gpdata.wire.members import NULL, Members, compact, members, object_text, objects, text_of, without_space
from gpdata.wire.rejection import Rejected, Rejection
from gpdata.wire.summary import summarize

IDENTITY = ("config-uuid", "index", "outcome", "population")
"""The fields without which there is no row."""

_OTHERS = {"start-time", "config", "best", "population-report"}
_GREATEST_GENERATION = 2**31 - 1
_SPACE = b" \t\r\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SHOWN = 60
_KEPT_RUNS = 256
_INDEX = re.compile("0|[1-9][0-9]{0,9}")

_RUNS = arrow_schema(RUNS)
_GENERATIONS = arrow_schema(GENERATIONS)
_INDIVIDUALS = arrow_schema(INDIVIDUALS)


@dataclass(frozen=True, slots=True)
class Origin:
    """What the channel knows about a line.

    Parameters
    ----------
    source : str
        The way in: import, recorder, upload, plain.
    owner : str, optional
        The account it came by.
    received_at : datetime, optional
        When it was taken in; None where it is imported from a file.
    """

    source: str
    owner: str | None = None
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """One line as rows of the canonical schema.

    Parameters
    ----------
    run_uuid, generation
        The line's key.
    line_sha256 : str
        SHA-256 of the line's bytes, in hex.
    config_sha256 : str
        SHA-256 of the canonical JSON of the line's config, in hex: a run's lines should share it.
    run : pyarrow.RecordBatch
        One row of RUNS.
    generation_row : pyarrow.RecordBatch
        One row of GENERATIONS; `best_so_far` is null, since it needs the earlier lines.
    individuals : pyarrow.RecordBatch
        One row of INDIVIDUALS per individual, in the order of their locations.
    """

    run_uuid: str
    generation: int
    line_sha256: str
    config_sha256: str
    run: pa.RecordBatch
    generation_row: pa.RecordBatch
    individuals: pa.RecordBatch


@dataclass(slots=True)
class _Key:
    """The key of a line, as far as it has been read."""

    run_uuid: str | None = None
    generation: int | None = None


def decode(line: bytes, origin: Origin, limits: Limits = DEFAULT_LIMITS) -> Decoded | Rejection:
    """Turn one recorder line into rows, or say why it is none. Raises on no bytes whatever.

    Nothing that is sent is dropped: what no column holds is in `extra` of its table, as JSON text with numbers as
    they were written. A value that does not fit its column is null there (or the nearest double), verbatim in
    `extra`, and the generation's `flags` have `value_in_extra`. Of equal keys the column has the last value and
    `extra.duplicate_keys` all of them, and `flags` have `duplicate_keys`. Null and [] of history, ancestors,
    reuse-info and repetition-info say nothing and are not kept.

    Parameters
    ----------
    line : bytes
        The line without its newline.
    origin : Origin
        What the channel knows about it.
    limits : Limits, optional
        What a line may be at most.

    Returns
    -------
    Decoded or Rejection
        Rows, or a code of `REJECTIONS` with a detail.

    Examples
    --------
    >>> line = b'{"config-uuid":"r","index":0,"outcome":"failure","population":[{"total-error":3,"luck":7}]}'
    >>> decoded = decode(line, Origin("import"))
    >>> decoded.individuals.select(["location", "total_error", "extra"]).to_pylist()
    [{'location': 0, 'total_error': 3.0, 'extra': '{"luck":7}'}]
    >>> decode(line[:-2], Origin("import")).code
    'torn'
    """
    key = _Key()
    try:
        return _decode(line, origin, limits, key)
    except Rejected as rejected:
        return Rejection(rejected.code, rejected.detail, key.run_uuid, key.generation)


def _decode(line: bytes, origin: Origin, limits: Limits, key: _Key) -> Decoded:
    depth = limits.depth
    top = _top_level(line, limits)
    run_uuid, number, outcome = _identity(top, limits, key)
    values = top.values
    config, run = _run(bytes(values.get("config", NULL)), depth - 1, run_uuid, origin.source, origin.owner)
    population = _population(values["population"], depth - 1)
    best = values.get("best", NULL)
    named = best_individuals(best, depth - 1)
    individuals = read_individuals([*population, *named.values()], depth - 3)

    generation = Generation(
        unfit=config.unfit or individuals.unfit,
        duplicates=config.duplicates or individuals.duplicates,
    )
    line_sha256 = hashlib.sha256(line).hexdigest()
    generation.row |= {
        "run_uuid": run_uuid,
        "generation": number,
        "outcome": outcome,
        "received_at": origin.received_at,
        "population_size": len(population),
        "line_sha256": line_sha256,
    }
    read_start_time(generation, values.get("start-time", NULL), depth - 1)
    read_report(generation, values.get("population-report", NULL), depth - 1)
    read_best(generation, best, list(named), individuals, depth - 1)
    for name, raw in values.items():
        if name not in IDENTITY and name not in _OTHERS:
            generation.left[name] = compact(raw, depth - 1)
    generation.keep_duplicates(generation.left, top, depth - 1)

    rows = _rows(run_uuid, number, individuals, len(population))
    generation.row |= summarize(rows, individuals.genomes_left(len(population)))
    generation.row["flags"] = generation.flags()
    generation.row["extra"] = object_text(generation.left) if generation.left else None
    return Decoded(
        run_uuid,
        number,
        line_sha256,
        config.sha256,
        run,
        _row(generation.row, _GENERATIONS),
        rows,
    )


def _top_level(line: bytes, limits: Limits) -> Members:
    if len(line) > limits.line_bytes:
        raise Rejected("too_long", f"{len(line)} bytes; valid is at most {limits.line_bytes}")
    text = line.removeprefix(_BYTE_ORDER_MARK).strip(_SPACE)
    if not text:
        raise Rejected("empty_line", f"{len(line)} bytes of white space; valid is one JSON object")
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError as error:
            if error.end == len(text) and error.reason == "unexpected end of data":
                raise Rejected("torn", f"the line ends inside a character, at byte {error.start}") from error
            detail = f"{text[error.start : error.end]!r} at byte {error.start}; valid is UTF-8"
            raise Rejected("bad_utf8", detail) from error
    text = without_space(text, limits.depth)
    top = members(text, limits.depth)
    if top is None:
        given = text[:_SHOWN].decode(errors="replace")
        raise Rejected("not_an_object", f"{given}; valid is one JSON object")
    return top


def _identity(top: Members, limits: Limits, key: _Key) -> tuple[str, int, str]:
    """Return run, generation and outcome; the valid ones are in `key` even where another is not."""
    missing = [name for name in IDENTITY if name not in top.values]
    repeated = [name for name in IDENTITY if name in top.repeated]
    uuid, index, outcome = (
        None if name in missing or name in repeated else parse(text_of(top.values[name]), limits.depth)
        for name in ("config-uuid", "index", "outcome")
    )
    if _is_run_uuid(uuid, limits):
        key.run_uuid = str(uuid)
    if type(index) is Verbatim and _INDEX.fullmatch(index) and int(index) <= _GREATEST_GENERATION:
        key.generation = int(index)
    if missing:
        raise Rejected("missing_field", f"{', '.join(missing)} is missing; a line needs {', '.join(IDENTITY)}")
    if repeated:
        raise Rejected("duplicate_key", f"{', '.join(repeated)} is given more than once; valid is once")
    if key.run_uuid is None:
        valid = f"a string of 1 to {limits.uuid_chars} printable characters"
        raise Rejected("bad_field", f"config-uuid is {_shown(uuid)}; valid is {valid}")
    if key.generation is None:
        valid = f"an integer from 0 to {_GREATEST_GENERATION}"
        raise Rejected("bad_field", f"index is {_shown(index)}; valid is {valid}")
    if type(outcome) is not str or outcome not in OUTCOMES:
        raise Rejected("bad_field", f"outcome is {_shown(outcome)}; valid is {' or '.join(OUTCOMES)}")
    return key.run_uuid, key.generation, outcome


def _is_run_uuid(node: Node, limits: Limits) -> bool:
    return type(node) is str and 1 <= len(node) <= limits.uuid_chars and node.isprintable() and bool(node.strip())


def _population(raw: Raw, depth: int) -> list[Members]:
    given = objects(raw, depth)
    if given is None:
        raise Rejected("bad_field", f"population is {compact(raw, depth)[:_SHOWN]}; valid is a list of objects")
    if not given:
        raise Rejected("empty_population", "population is []; valid is at least one individual")
    found = [individual for individual in given if individual is not None]
    if len(found) < len(given):
        raise Rejected("bad_field", f"population[{given.index(None)}] is no object; valid is a list of objects")
    return found


def _shown(node: Node) -> str:
    text = dump(node)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _rows(run_uuid: str, generation: int, individuals: Individuals, size: int) -> pa.RecordBatch:
    """Return the population's rows of INDIVIDUALS; the individuals of `best` stand behind it."""
    columns = {
        "run_uuid": pa.array([run_uuid] * size, pa.string()),
        "generation": pa.array(np.full(size, generation, dtype=np.int32)),
        "location": pa.array(np.arange(size, dtype=np.int32)),
        "extra": pa.array(individuals.extra()[:size], pa.string()),
    }
    columns |= {name: column.slice(0, size) for name, column in individuals.columns.items()}
    return pa.RecordBatch.from_arrays([columns[name] for name in _INDIVIDUALS.names], schema=_INDIVIDUALS)


@lru_cache(maxsize=_KEPT_RUNS)
def _run(config: bytes, depth: int, run_uuid: str, source: str, owner: str | None) -> tuple[Config, pa.RecordBatch]:
    """Return what `config` says and the row of RUNS; a run's lines repeat it byte for byte."""
    read = read_config(config, depth)
    row = {"run_uuid": run_uuid, "owner": owner, "source": source, "flags": [], **read.row}
    return read, _row(row, _RUNS)


def _row(values: dict[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    columns = pa.array([values], pa.struct(list(schema)))
    return pa.RecordBatch.from_arrays(columns.flatten(), schema=schema)
