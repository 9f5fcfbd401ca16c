"""A generation's row in the making, and the sender's report in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from msgspec import Raw

from gpdata.wire.columns import DOUBLE
from gpdata.wire.lexical import parse
from gpdata.wire.members import (
    DUPLICATE_KEYS,
    NULL,
    Members,
    compact,
    duplicates_text,
    members,
    object_text,
    text_of,
)
from gpdata.wire.values import timestamp, utf8


@dataclass(slots=True)
class Generation:
    """A row of GENERATIONS in the making.

    Parameters
    ----------
    row : dict
        Values by column.
    left : dict of str to str
        JSON texts of what no column holds, by field of the line.
    unfit, duplicates : bool
        Whether a value of the line did not fit its column, and whether an object of it held equal keys.
    """

    row: dict[str, Any] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    unfit: bool = False
    duplicates: bool = False

    def keep_duplicates(self, left: dict[str, str], of: Members, depth: int) -> None:
        """Put the values of equal keys into `left`."""
        if of.repeated:
            self.duplicates = True
            left[DUPLICATE_KEYS] = duplicates_text(
                {key: [compact(raw, depth) for raw in values] for key, values in of.repeated.items()}
            )

    def flags(self) -> list[str]:
        """Return the flags of the line, in alphabetical order."""
        flags = {DUPLICATE_KEYS: self.duplicates, "value_in_extra": self.unfit}
        return [flag for flag, raised in flags.items() if raised]


def read_start_time(generation: Generation, raw: Raw, depth: int) -> None:
    """Add `start-time` to the row."""
    generation.row["started_at"], fits = timestamp(parse(text_of(raw), depth))
    if not fits:
        generation.left["start-time"] = compact(raw, depth)
        generation.unfit = True


def read_report(generation: Generation, raw: Raw, depth: int) -> None:
    """Add `population-report` to the row: its numbers to `report`, anything else to `extra`."""
    report = members(raw, depth)
    if report is None:
        if raw != NULL:
            generation.left["population-report"] = compact(raw, depth)
            generation.unfit = True
        return
    numbers, unfit = DOUBLE.read(list(report.values.values()), depth - 1)
    entries: list[tuple[str, float]] = []
    left: dict[str, str] = {}
    for place, (name, number) in enumerate(zip(report.values, numbers.to_pylist(), strict=True)):
        nameable = utf8(name)[1]
        if number is not None and nameable:
            entries.append((name, number))
        if number is None or not nameable or place in unfit:
            left[name] = compact(report.values[name], depth - 1)
            generation.unfit |= left[name][0] in "-0123456789"
    generation.row["report"] = entries
    generation.keep_duplicates(left, report, depth - 1)
    if left:
        generation.left["population-report"] = object_text(left)
