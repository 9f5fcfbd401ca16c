"""Clojush's EDN log: the run's arguments, then a record for each individual."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

from msgspec import Raw

from gpdata.importers.edn import EdnError, read
from gpdata.importers.groups import Row, cut_off, generations
from gpdata.importers.items import Facts, Item, Refused, encoded
from gpdata.importers.lines import Unreadable, text_lines

_TAG, _RUN, _INDIVIDUAL = b"#clojush/", b"#clojush/run", b"#clojush/individual"
_NAMES = {"push-program-size": "program-size", "plush-genome-size": "genome-size"}


def is_clojush_edn(head: bytes) -> bool:
    """Whether a file that begins so is Clojush's EDN log.

    Examples
    --------
    >>> is_clojush_edn(b"#clojush/run{:max-points 200}")
    True
    """
    return head.lstrip().startswith((_RUN, _INDIVIDUAL))


def run_uuid(head: bytes) -> str | None:
    """Return the run that the beginning of an EDN log names."""
    try:
        arguments = _record(head.lstrip().split(b"\n", 1)[0])
    except (EdnError, UnicodeDecodeError):
        return None
    found = arguments.get("run-uuid")
    return found if isinstance(found, str) else None


def read_edn(stream: BinaryIO, limit: int) -> Iterator[Item]:
    """Yield the facts and the generations of an EDN log.

    Parameters
    ----------
    stream : binary file
        Decompressed.
    limit : int
        Bytes of the longest record.

    Yields
    ------
    Item
        Facts, generations, and what cannot be read.
    """
    records = _records(stream, limit)
    size = None
    first = next(records, None)
    if first is None:
        return
    if first.raw.startswith(_RUN):
        try:
            facts = _facts(_record(first.raw))
        except (EdnError, UnicodeDecodeError) as error:
            detail = f"line {first.number}: {error}; the run's arguments are not known"
            yield Refused(first.number, first.raw, "bad_record", detail)
        else:
            size = _integer(facts.config["argmap"].get("population-size"))
            yield facts
    else:
        records = chain([first], records)
    yield from generations(map(_row, records), size=size)


def _records(stream: BinaryIO, limit: int) -> Iterator[Row]:
    """Yield each record's bytes; one that was printed over several lines is one."""
    first, parts, size = 1, list[bytes](), 0
    try:
        for number, line in text_lines(stream, limit=limit):
            if line.startswith(_TAG) and any(part.strip() for part in parts):
                yield Row(first, b"".join(parts))
                parts, size = [], 0
            if not parts:
                first = number
            parts.append(line)
            size += len(line)
            if size > limit:
                raise Unreadable(first, b"".join(parts), "too_long", f"the record is longer than {limit:,} bytes")
    except Unreadable as error:
        yield cut_off(error)
        return
    if any(part.strip() for part in parts):
        yield Row(first, b"".join(parts))


def _record(raw: bytes) -> dict[str, Any]:
    found = read(raw.decode())
    if not isinstance(found, dict):
        raise EdnError("a record that is no map; valid is #clojush/individual{...}")
    return found


def _facts(arguments: dict[str, Any]) -> Facts:
    found = arguments.get("run-uuid")
    return Facts(found if isinstance(found, str) else None, {"argmap": arguments})


def _row(record: Row) -> Row:
    number, raw = record.number, record.raw
    if record.problem:
        return record
    if not raw.startswith(_INDIVIDUAL):
        return Row(number, raw, problem="no individual; valid is #clojush/individual{...}")
    try:
        individual = _record(raw)
        generation, location = (_integer(individual.pop(name, None)) for name in ("generation", "location"))
        if generation is None:
            raise EdnError(":generation is missing, or no whole number; the run's :edn-additional-keys name it")
        named = {_NAMES.get(name, name): value for name, value in individual.items()}
        return Row(number, raw, generation, location, encoded(named))
    except (EdnError, UnicodeDecodeError) as error:
        return Row(number, raw, problem=str(error))
    except ValueError as error:
        return Row(number, raw, problem=f"a text that UTF-8 cannot hold: {error}")


def _integer(value: Any) -> int | None:
    if not isinstance(value, Raw):
        return None
    text = bytes(value)
    return int(text) if text.isdigit() and len(text) < 10 else None
