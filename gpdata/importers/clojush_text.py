"""What Clojush prints: its parameters, and a report for each generation. Of the population it tells statistics only.

The individuals of a generation are there, of each of which nothing is known: a run's population size, best
individual and statistics are right, and everything else is null.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from msgspec import Raw

from gpdata.importers.clojush_report import Report
from gpdata.importers.edn import EdnError, atom, read
from gpdata.importers.items import Facts, Generation, Item, Refused
from gpdata.importers.lines import Unreadable, text_lines

_SIGNS = re.compile(
    rb"^(Command line args: |Starting PushGP run\.|Clojush version = |;; -\*- Report at generation \d+\s*$"
    rb"|Registered instructions: #\{)",
    re.MULTILINE,
)
_REPORT = re.compile(r";; -\*- Report at generation (\d+)\s*")
_END = re.compile(r";; -\*- End of report for generation (\d+)\s*")
_SUCCESS = re.compile(r"SUCCESS at generation (\d+)\s*")
_PARAMETER = re.compile(r"([A-Za-z][\w\-?*!]*) = (.*)")
_VERSION = re.compile(r"Clojush version = (?!version number)(.+?)(?:Hash of last Git commit = .*)?$")
_HASH = re.compile(r"Hash of last Git commit = ([0-9a-f]{7,40})\s*$")
_COMMAND = "Command line args: "
_INSTRUCTIONS = "Registered instructions: "
_NOT_ARGUMENTS = ("GitHub link", "Hash of last Git commit", "Clojush version")
_UUID = re.compile(rb'^run-uuid = #uuid "([0-9a-fA-F-]{36})"', re.MULTILINE)
_MOST = 10_000_000
"""A population of more individuals is none that anybody ran."""


def is_clojush_text(head: bytes) -> bool:
    r"""Whether a file that begins so is what Clojush printed.

    Examples
    --------
    >>> is_clojush_text(b"WARNING: abs\nStarting PushGP run.\n")
    True
    """
    return _SIGNS.search(head) is not None


def run_uuid(head: bytes) -> str | None:
    """Return the run that the beginning of such a file names."""
    found = _UUID.search(head)
    return found[1].decode() if found else None


def read_text(stream: BinaryIO, limit: int) -> Iterator[Item]:
    """Yield the facts and the generations of a standard output.

    Parameters
    ----------
    stream : binary file
        Decompressed.
    limit : int
        Bytes of the longest line, and of a generation's report.

    Yields
    ------
    Item
        Facts, generations, and what cannot be read.
    """
    try:
        yield from _Reader(limit).read(text_lines(stream, limit=limit))
    except Unreadable as error:
        yield Refused(error.number, error.begun, error.code, f"line {error.number}: {error.reason}")


class _Reader:
    """Holds back a generation until the next begins: only then its outcome is known."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._config: dict[str, Any] = {}
        self._arguments: dict[str, Any] = {}
        self._report: Report | None = None
        self._ended = False

    def read(self, lines: Iterator[tuple[int, bytes]]) -> Iterator[Item]:
        """Yield what the lines say."""
        for number, raw in lines:
            text = raw.decode("utf-8", "replace").rstrip("\r\n")
            if (begins := _REPORT.fullmatch(text)) is not None:
                yield from self._finish() if self._report else [self._facts()]
                self._report, self._ended = Report(int(begins[1]), number), False
                self._report.raw.append(raw)
            elif self._report is None:
                self._parameter(text)
            else:
                self._report.raw.append(raw)
                self._report.size += len(raw)
                if self._report.size > self._limit:
                    reason = f"the report of generation {self._report.index} is longer than {self._limit:,} bytes"
                    raise Unreadable(self._report.number, b"".join(self._report.raw), "too_long", reason)
                self._reported(text)
        if self._report is not None:
            yield from self._finish(last=True)
        else:
            yield self._facts()

    def _reported(self, text: str) -> None:
        report = self._report
        assert report is not None
        if _END.fullmatch(text):
            self._ended = True
        elif not self._ended:
            report.line(text)
        elif _SUCCESS.fullmatch(text):
            report.outcome = "success"
        elif text.strip() == "FAILURE" and report.outcome == "continue":
            report.outcome = "failure"
        elif report.outcome == "success":
            report.final.append(text)

    def _finish(self, *, last: bool = False) -> Iterator[Generation | Refused]:
        report = self._report
        assert report is not None
        raw = b"".join(report.raw)
        if last and not self._ended:
            detail = f"the report of generation {report.index} does not end: the output was cut off there"
            yield Refused(report.number, raw, "torn", detail)
            return
        size = self._size()
        if size is None:
            detail = (
                f"how many individuals generation {report.index} has is not said; valid is a line "
                "'population-size = NUMBER' among the parameters"
            )
            yield Refused(report.number, raw, "bad_record", detail)
            return
        try:
            yield report.generation(size)
        except EdnError as error:
            yield Refused(report.number, raw, "bad_record", f"the report of generation {report.index}: {error}")

    def _size(self) -> int | None:
        value = self._arguments.get("population-size")
        text = bytes(value) if isinstance(value, Raw) else b""
        return int(text) if text.isdigit() and len(text) < 9 and 0 < int(text) <= _MOST else None

    def _facts(self) -> Facts:
        found = self._arguments.get("run-uuid")
        config = self._config | ({"argmap": self._arguments} if self._arguments else {})
        return Facts(found if isinstance(found, str) else None, config)

    def _parameter(self, text: str) -> None:
        if text.startswith(_COMMAND):
            command = text.removeprefix(_COMMAND).strip()
            self._config["command"] = command
            self._config["problem-file"] = command.split(" ", 1)[0]
        elif text.startswith(_INSTRUCTIONS):
            try:
                self._config["registered-instructions"] = read(text.removeprefix(_INSTRUCTIONS))
            except EdnError:
                self._config["registered-instructions"] = text.removeprefix(_INSTRUCTIONS)
        elif text.startswith(_NOT_ARGUMENTS):
            if (version := _VERSION.search(text)) is not None:
                self._config["version-number"] = version[1].strip()
            if (commit := _HASH.search(text)) is not None:
                self._config["git-hash"] = commit[1]
        elif (match := _PARAMETER.fullmatch(text)) is not None:
            self._arguments[match[1]] = _argument(match[1], match[2].strip())


def _argument(name: str, text: str) -> Any:
    """Return an argument's value as the recorder sends it; texts are printed without quotes."""
    if name == "random-seed" and (seed := _seed(text)) is not None:
        return seed
    if text and text[0] in ':#[({"':
        try:
            return read(text)
        except EdnError:
            return text
    return atom(text) if text and " " not in text and not text.startswith(":") else text


def _seed(text: str) -> str | None:
    """Return a seed of bytes as the recorder's base64.

    Examples
    --------
    >>> _seed("51 1 2 3")
    'MwECAw=='
    """
    numbers = text.split()
    if len(numbers) < 2 or not all(re.fullmatch(r"-?\d{1,3}", number) for number in numbers):
        return None
    if not all(-128 <= int(number) < 128 for number in numbers):
        return None
    return base64.b64encode(bytes(int(number) % 256 for number in numbers)).decode()
