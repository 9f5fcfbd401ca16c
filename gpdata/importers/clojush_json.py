"""Clojush's JSON log: no JSON file, but a list of individuals for each generation, the later ones behind a comma."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw

from gpdata.importers.edn import EdnError, read
from gpdata.importers.items import Generation, Item, Refused, encoded
from gpdata.importers.lines import Unreadable, text_lines

_NAMES = {"size": "program-size"}
_decode = msgspec.json.Decoder(list[dict[str, Raw]]).decode


def is_clojush_json(head: bytes) -> bool:
    """Whether a file that begins so is Clojush's JSON log.

    Examples
    --------
    >>> is_clojush_json(b'[{"total-error":3,"generation":0,"size":31}]')
    True
    """
    begin = head[:4096].lstrip(b"\xef\xbb\xbf \t\r\n,[")
    return head.lstrip().startswith((b"[", b",[")) and begin.startswith(b"{") and b'"total-error"' in head


def read_json(stream: BinaryIO, limit: int) -> Iterator[Item]:
    """Yield the generations of a JSON log; one that was made a valid file by brackets around it is read, too.

    Parameters
    ----------
    stream : binary file
        Decompressed.
    limit : int
        Bytes of the longest generation.

    Yields
    ------
    Item
        Generations, and what cannot be read.
    """
    most = 0
    try:
        for number, raw in text_lines(stream, limit=limit):
            text = raw.strip().strip(b",").strip()
            if text in (b"", b"[", b"]"):
                continue
            text = text.removeprefix(b"[") if text.startswith(b"[[") else text
            text = text.removesuffix(b"]") if text.endswith(b"]]") and not text.startswith(b"[[") else text
            item = _generation(number, raw, text)
            if isinstance(item, Generation):
                if len(item.population) < most:
                    detail = f"line {number}: {len(item.population)} individuals; valid is {most}, as in those before"
                    yield Refused(number, raw, "bad_record", detail)
                    continue
                most = len(item.population)
            yield item
    except Unreadable as error:
        yield Refused(error.number, error.begun, error.code, f"line {error.number}: {error.reason}")


def _generation(number: int, raw: bytes, text: bytes) -> Generation | Refused:
    try:
        individuals = _decode(text)
        indices = {bytes(individual.pop("generation", b"absent")) for individual in individuals}
        if len(indices) != 1 or not (index := indices.pop()).isdigit() or len(index) > 9:
            raise EdnError('"generation" is not the same whole number in every individual')
        return Generation(int(index), [encoded(_individual(individual)) for individual in individuals], number)
    except msgspec.DecodeError as error:
        torn = "truncated" in str(error)
        code, what = ("torn", "the log was cut off there") if torn else ("bad_record", str(error))
        return Refused(number, raw, code, f"line {number}: {what}; valid is a list of individuals, [{{...}}, ...]")
    except (EdnError, UnicodeDecodeError) as error:
        return Refused(number, raw, "bad_record", f"line {number}: {error}")


def _individual(sent: dict[str, Raw]) -> dict[str, Any]:
    found: dict[str, Any] = {_NAMES.get(name, name): value for name, value in sent.items()}
    program = found.get("program")
    if isinstance(program, Raw) and bytes(program).startswith(b'"'):
        text = msgspec.json.decode(program, type=str)
        try:
            found["program"] = read(text)
        except EdnError:
            found["program"] = text  # as sent: a program that is printed otherwise is no error
    return found
