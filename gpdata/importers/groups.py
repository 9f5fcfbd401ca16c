"""Rows of individuals into generations; a generation of which a row cannot be read is set aside whole.

A population with a hole in it would give wrong statistics, so such a generation goes to the quarantine with all of its
rows, and the ones before and behind it are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from msgspec import Raw

from gpdata.importers.items import Generation, Refused
from gpdata.importers.lines import Unreadable


@dataclass(frozen=True, slots=True)
class Row:
    """One individual of a source, or a record of it that is none."""

    number: int
    """The line where it begins, from 1."""
    raw: bytes
    generation: int = -1
    location: int | None = None
    individual: Raw | None = None
    problem: str = ""
    """Why it is no individual: what was given, and what is valid."""
    code: str = "bad_record"


def cut_off(error: Unreadable) -> Row:
    """Return what stands for a source that cannot be read further."""
    return Row(error.number, error.begun, problem=f"{error.reason}; what follows is not read", code=error.code)


@dataclass(slots=True)
class _Group:
    index: int
    number: int
    rows: list[Row] = field(default_factory=list)
    problem: str = ""
    code: str = "bad_record"


def generations(rows: Iterable[Row], *, size: int | None = None) -> Iterator[Generation | Refused]:
    """Group rows into generations.

    Parameters
    ----------
    rows : iterable of Row
        Those of a generation follow each other.
    size : int, optional
        The size of the population, where the source tells it.

    Yields
    ------
    Generation or Refused
        Refused is a generation with a record that cannot be read, whose locations are not 0, 1, 2, ..., or that has
        fewer individuals than `size` or than a generation before: a log that was cut off.
    """
    group: _Group | None = None
    torn: list[Row] = []
    most = size or 0
    for row in rows:
        if row.individual is None:
            torn.append(row)
            continue
        if group is None or row.generation != group.index:
            first_is_here = row.location in (None, 0)
            if group is not None:
                if first_is_here:
                    _taint(group, torn)
                    torn = []
                yield _ended(group, most)
                most = max(most, len(group.rows) if not group.problem else 0)
            group = _Group(row.generation, row.number)
        _taint(group, torn)
        torn = []
        if not group.problem and row.location not in (None, len(group.rows)):
            group.problem = (
                f"line {row.number} has location {row.location}; valid is {len(group.rows)}, the next one: "
                "individuals of the generation are missing, or out of order"
            )
        group.rows.append(row)
    if group is not None:
        if torn and len(group.rows) < max(most, 1):
            _taint(group, torn)
            torn = []
        yield _ended(group, most)
    if torn:  # behind a generation that is whole: the beginning of the next
        raw = b"".join(row.raw for row in torn)
        yield Refused(torn[0].number, raw, torn[0].code, f"line {torn[0].number}: {torn[0].problem}")


def _taint(group: _Group, torn: list[Row]) -> None:
    if torn and not group.problem:
        group.problem, group.code = f"line {torn[0].number}: {torn[0].problem}", torn[0].code
    group.rows += torn
    if torn:
        group.number = min(group.number, torn[0].number)


def _ended(group: _Group, most: int) -> Generation | Refused:
    if not group.problem and len(group.rows) < most:
        group.code = "torn"
        group.problem = (
            f"generation {group.index} ends after {len(group.rows)} individuals; valid is {most}, the population's "
            "size: the log was cut off there"
        )
    if group.problem:
        detail = f"{group.problem}; generation {group.index} is set aside whole"
        return Refused(group.number, b"".join(row.raw for row in group.rows), group.code, detail)
    return Generation(group.index, [row.individual for row in group.rows if row.individual is not None], group.number)
