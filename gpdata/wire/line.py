"""One recorder line: its key, and its fields."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
import pyarrow as pa
from msgspec import Raw

from gpdata.schema import OUTCOMES, RUNS, arrow_schema
from gpdata.wire.best import best_individuals
from gpdata.wire.config import Config, read_config
from gpdata.wire.lexical import Node, Verbatim, dump, parse
from gpdata.wire.limits import DEFAULT_LIMITS, Limits
from gpdata.wire.members import NULL, REFUSED, Members, compact, members, objects, text_of, without_space
from gpdata.wire.rejection import Rejected, Rejection

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


@dataclass(slots=True)
class _Key:
    """The key of a line, as far as it has been read."""

    run_uuid: str | None = None
    generation: int | None = None


def identify(line: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[str, int] | Rejection:
    """Return the run and the generation of a line, or say why it has none; its other fields are not read.

    Parameters
    ----------
    line : bytes
        The line without its newline.
    limits : Limits, optional
        What a line may be at most.

    Returns
    -------
    tuple of (str, int), or Rejection
        The key, or the first thing that makes it impossible.

    Examples
    --------
    >>> identify(b'{"config-uuid":"r","index":0,"outcome":"failure","population":[{}]}')
    ('r', 0)
    """
    key = _Key()
    try:
        run_uuid, generation, _ = _identity(_top_level(line, limits), limits, key)
    except Rejected as rejected:
        return Rejection(rejected.code, rejected.detail, key.run_uuid, key.generation)
    return run_uuid, generation


class _Skimmed(msgspec.Struct):
    config_uuid: str = msgspec.field(name="config-uuid")
    index: Raw


_skim = msgspec.json.Decoder(_Skimmed).decode


def skim(line: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[str, int] | None:
    """Return the run and the generation of a line of any length in little more memory than its own.

    Parameters
    ----------
    line : bytes
        The line without its newline.
    limits : Limits, optional
        What a line may be at most.

    Returns
    -------
    tuple of (str, int), or None
        The key, of equal names the last; None where only `decode` can say what the line is.

    Examples
    --------
    >>> skim(b'{"population":[{"index":1}],"config-uuid":"r","index":0}')
    ('r', 0)
    """
    try:
        found = _skim(line)
    except (*REFUSED, UnicodeDecodeError):
        return None
    index = bytes(found.index)
    if not _is_run_uuid(found.config_uuid, limits) or not _INDEX.fullmatch(index.decode(errors="replace")):
        return None
    return (found.config_uuid, int(index)) if int(index) <= _GREATEST_GENERATION else None


@dataclass(frozen=True, slots=True)
class Head:
    """A line, split into its fields; what makes it impossible has been looked for but in the individuals.

    Parameters
    ----------
    run_uuid, generation, outcome
        As in GENERATIONS.
    sha256 : str
        SHA-256 of the line's bytes, in hex.
    received_at : datetime, optional
        When it was taken in.
    config : Config
        What its config says.
    run : pyarrow.RecordBatch
        The row of RUNS.
    population : list of Members
        At least one individual.
    best : dict of str to Members
        The individuals of `best`, by field.
    fields : Members
        All fields.
    """

    run_uuid: str
    generation: int
    outcome: str
    sha256: str
    received_at: datetime | None
    config: Config
    run: pa.RecordBatch
    population: list[Members]
    best: dict[str, Members]
    fields: Members

    def field(self, name: str) -> Raw:
        """Return the value of a field, `NULL` where it was not sent."""
        return self.fields.values.get(name, NULL)

    def others(self) -> dict[str, Raw]:
        """Return the fields that the wire does not know."""
        known = {*IDENTITY, *_OTHERS}
        return {name: raw for name, raw in self.fields.values.items() if name not in known}


def read_head(line: bytes, origin: Origin, limits: Limits) -> Head | Rejection:
    """Split a line, or say why it is not taken."""
    key = _Key()
    depth = limits.depth
    try:
        top = _top_level(line, limits)
        run_uuid, number, outcome = _identity(top, limits, key)
        values = top.values
        config, run = _run(bytes(values.get("config", NULL)), depth - 1, run_uuid, origin.source, origin.owner)
        population = _population(values["population"], depth - 1)
        best = best_individuals(values.get("best", NULL), depth - 1)
    except Rejected as rejected:
        return Rejection(rejected.code, rejected.detail, key.run_uuid, key.generation)
    sha256 = hashlib.sha256(line).hexdigest()
    return Head(run_uuid, number, outcome, sha256, origin.received_at, config, run, population, best, top)


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
    top = members(without_space(text, limits.depth), limits.depth)
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


@lru_cache(maxsize=_KEPT_RUNS)
def _run(config: bytes, depth: int, run_uuid: str, source: str, owner: str | None) -> tuple[Config, pa.RecordBatch]:
    """Return what `config` says and the row of RUNS; a run's lines repeat it byte for byte."""
    read = read_config(config, depth)
    row = {"run_uuid": run_uuid, "owner": owner, "source": source, "flags": [], **read.row}
    return read, rows_of([row], _RUNS)


def rows_of(values: list[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    """Return rows as a record batch."""
    columns = pa.array(values, pa.struct(list(schema)))
    return pa.RecordBatch.from_arrays(columns.flatten(), schema=schema)
