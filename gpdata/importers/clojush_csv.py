"""Clojush's CSV log: a row for each individual, columns as the run chose them, test cases in `TC0`, `TC1`, ..."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from msgspec import Raw

from gpdata.importers.edn import EdnError, atom, read
from gpdata.importers.groups import Row, cut_off, generations
from gpdata.importers.items import Item, encoded
from gpdata.importers.lines import Unreadable, text_lines

_CASE = re.compile(r"TC(\d+)")
_EMPTY = ("", "nil")
_CLOSES = ("plush-genome-closes", "plushy-genome-closes", "genome-closes")
"""Columns that repeat what the genome says; kept, as `extra`, only where there is no genome."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def _number(text: str) -> Any:
    if text in _EMPTY:
        return None
    value = atom(text)
    if type(value) is Raw or value in ("NaN", "Infinity", "-Infinity"):
        return value
    raise EdnError(f"{text!r} is no number; valid is for instance 3 or 0.5")


def _truth(text: str) -> Any:
    if text in _EMPTY:
        return None
    if text not in ("true", "false"):
        raise EdnError(f"{text!r}; valid is true or false")
    return text == "true"


def _nonempty(text: str) -> Any:
    """Read a list; the log writes [] for none, which says nothing."""
    return None if text in _EMPTY or (value := read(text)) == [] else value


def _value(text: str) -> Any:
    return None if text in _EMPTY else read(text)


COLUMNS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "uuid": ("uuid", lambda text: text or None),
    "parent-uuids": ("parent-uuids", _nonempty),
    "genetic-operators": ("genetic-operators", _nonempty),
    "push-program-size": ("program-size", _number),
    "plush-genome-size": ("genome-size", _number),
    "push-program": ("program", _value),
    "plush-genome": ("genome", _value),
    "total-error": ("total-error", _number),
    "is-random-replacement": ("is-random-replacement", _truth),
}
"""Each column of the log that has one in the tables: the field of the wire, and what reads it."""


def is_clojush_csv(head: bytes) -> bool:
    r"""Whether a file that begins so is Clojush's CSV log: its header says it.

    Examples
    --------
    >>> is_clojush_csv(b"uuid,generation,location,total-error,TC0\n")
    True
    """
    names = head.partition(b"\n")[0].decode("utf-8", "replace").replace("_", "-").strip().split(",")
    return names[0] == "uuid" and "generation" in names


def read_csv(stream: BinaryIO, limit: int) -> Iterator[Item]:
    """Yield the generations of a CSV log.

    Parameters
    ----------
    stream : binary file
        Decompressed.
    limit : int
        Bytes of the longest record.

    Yields
    ------
    Item
        Generations, and what cannot be read.
    """
    csv.field_size_limit(limit)
    taken = _Taken(text_lines(stream, limit=limit), limit)
    return generations(_rows(taken))


class _Taken:
    """Lines for the csv module, and the bytes of the record that it is reading."""

    def __init__(self, lines: Iterator[tuple[int, bytes]], limit: int) -> None:
        self._lines, self._limit = lines, limit
        self.number, self.raw, self.first = 0, b"", 1

    def __iter__(self) -> Iterator[str]:
        for number, line in self._lines:
            self.number = number
            self.raw += line
            if len(self.raw) > self._limit:
                reason = f"a text in quotes that begins on line {self.first} does not end within {self._limit:,} bytes"
                raise Unreadable(self.first, self.raw, "too_long", reason)
            yield line.decode("utf-8", "surrogateescape")

    def record(self) -> tuple[int, bytes]:
        """Return where the record began and its bytes, and begin the next."""
        found = self.first, self.raw
        self.first, self.raw = self.number + 1, b""
        return found


def _rows(taken: _Taken) -> Iterator[Row]:
    reader = csv.reader(iter(taken), strict=True)
    names = [name.replace("_", "-") for name in next(reader)]
    taken.record()
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except Unreadable as error:
            yield cut_off(error)
            return
        except csv.Error as error:
            number, raw = taken.record()
            yield Row(number, raw, problem=f"{error}; valid is comma-separated values with quotes that end")
            continue
        number, raw = taken.record()
        if values:
            yield _row(number, raw, names, values)


def _row(number: int, raw: bytes, names: list[str], values: list[str]) -> Row:
    if len(values) != len(names):
        return Row(number, raw, problem=f"{len(values)} values; valid are {len(names)}, one for each column")
    individual: dict[str, Any] = {}
    errors: list[Any] = []
    key: dict[str, int] = {}
    try:
        for name, text in zip(names, values, strict=True):
            if _SURROGATE.search(text):
                raise EdnError("bytes that are not UTF-8")
            if name in ("generation", "location"):
                key[name] = _whole(text)
            elif name in COLUMNS:
                field, convert = COLUMNS[name]
                individual[field] = convert(text)
            elif _CASE.fullmatch(name):
                errors.append(_number(text))
            elif text:
                individual[name] = text
    except EdnError as error:
        return Row(number, raw, problem=f"the column {name}: {error}")
    if errors and any(error is not None for error in errors):
        individual["errors"] = errors
    if individual.get("genetic-operators") == "genesis" and individual.get("parent-uuids") is None:
        individual["parent-uuids"] = []
    if individual.get("genome") is not None:
        for closes in _CLOSES:
            individual.pop(closes, None)
    try:
        return Row(number, raw, key["generation"], key.get("location"), encoded(individual))
    except ValueError as error:
        return Row(number, raw, problem=str(error))


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise EdnError(f"{text!r}; valid is a whole number")
    return int(text)
