"""What a format's reader gives, generation by generation, and the lines of the wire that become of it.

A format that names no run gets a name from its content: a run's uuid is made from the first two generations, so that
the same log is the same run however it is called, packed and moved, and also when it has grown.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Raw

from gpdata.importers.lines import Line

NAMESPACE = uuid.UUID("6b7d3a1e-8a55-5c8f-9b62-2f0c4b1d7e90")
"""Of the uuids of runs whose format has none; never changed."""
_IDENTITY = 2
"""Generations that make a run's uuid: two of one seed differ in the second where their selection does."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Bytes of a source that cannot become rows, for the quarantine."""

    number: int
    """The line of the source where they begin, from 1."""
    raw: bytes | Iterator[bytes]
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a source says of its run before its first generation."""

    run_uuid: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    """As on the wire: `problem-file`, `version-number`, `argmap`, ..."""


@dataclass(slots=True)
class Generation:
    """One generation of a source."""

    index: int
    population: list[Raw]
    """Each individual as JSON text."""
    number: int
    """The line of the source where it begins, from 1."""
    outcome: str = "continue"
    run_uuid: str | None = None
    """Its run, where a source holds several; else that of `Facts`."""
    other: dict[str, Any] = field(default_factory=dict)
    """The line's other fields: `best`, `population-report`, ..."""


Item = Facts | Generation | Refused
"""What a format's reader yields: facts first, where it has any."""


def encoded(value: Any) -> Raw:
    """Return a value as JSON text, to be put into others.

    Raises
    ------
    ValueError
        It holds a lone surrogate, which UTF-8 cannot.
    """
    return Raw(msgspec.json.encode(value))


def merged(config: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return a source's configuration with what its name and the command say of it; what the source says stays.

    Examples
    --------
    >>> merged({"argmap": {"max-points": 9}}, {"problem": "odd", "argmap": {"max-points": 1, "seed": 7}})
    {'problem': 'odd', 'argmap': {'max-points': 9, 'seed': 7}}
    """
    arguments = given.get("argmap", {}) | config.get("argmap", {})
    if "problem-file" in config:
        given = {name: value for name, value in given.items() if name != "problem"}
    return given | config | ({"argmap": arguments} if arguments else {})


def wire_lines(items: Iterable[Item], *, tag: str, given: dict[str, Any], limit: int) -> Iterator[Line | Refused]:
    """Turn generations into lines of the wire.

    Parameters
    ----------
    items : iterable of Item
        What a format's reader gave.
    tag : str
        The format: part of what a run's uuid is made from.
    given : dict
        What the source's name says of the configuration.
    limit : int
        Bytes of the longest line.

    Yields
    ------
    Line or Refused
        In the order of the source.
    """
    facts = Facts()
    waiting: list[Generation] = []
    known: str | None = None
    for item in items:
        if isinstance(item, Facts):
            facts = item
            known = facts.run_uuid
            continue
        if isinstance(item, Refused):
            yield item
            continue
        if known is not None or item.run_uuid is not None:
            yield _line(item, known, facts, given, limit)
            continue
        waiting.append(item)
        if len(waiting) == _IDENTITY:
            known = _identity(tag, waiting)
            yield from (_line(waits, known, facts, given, limit) for waits in waiting)
            waiting = []
    if waiting:
        known = _identity(tag, waiting)
        yield from (_line(waits, known, facts, given, limit) for waits in waiting)


def _identity(tag: str, items: Iterable[Generation]) -> str:
    found = hashlib.sha256()
    for item in items:
        found.update(msgspec.json.encode([item.index, item.population, item.other], order="sorted"))
    return str(uuid.uuid5(NAMESPACE, f"{tag}:{found.hexdigest()}"))


def _line(item: Generation, run_uuid: str | None, facts: Facts, given: dict[str, Any], limit: int) -> Line | Refused:
    content = msgspec.json.encode(
        {
            "config-uuid": item.run_uuid or run_uuid,
            "index": item.index,
            "outcome": item.outcome,
            "config": merged(facts.config, given),
            "population": item.population,
            **item.other,
        }
    )
    if len(content) > limit:
        detail = (
            f"generation {item.index} has {len(content):,} bytes as a line; valid is at most {limit:,}: "
            "raise GPDATA_MAX_LINE_BYTES and import the file again"
        )
        return Refused(item.number, content, "too_long", detail)
    return Line(item.number, content)
