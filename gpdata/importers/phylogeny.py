"""A phylogeny in the ALife standard: CSV with `id` and `ancestor_list`, a row for each individual, in any order.

Rows go through a database in a temporary file, which sorts them in bounded memory.
"""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw

from gpdata.importers.edn import atom
from gpdata.importers.items import Facts, Generation, Item, Refused, encoded
from gpdata.importers.lines import Unreadable, text_lines

SYSTEM = "unknown"
"""The standard does not say which system made a phylogeny."""

_OWN = {"id", "ancestor_list", "origin_time", "run_uuid", "generation", "location", "taxon_label", "parents_missing"}
_NONE = {"", "none", "nan"}
_MOST = 10_000_000
"""A location beyond is none that anybody has."""
_TIME = re.compile(r"(\d{1,9})(\.0*)?")
_TABLE = (
    "CREATE TABLE taxa (row INTEGER PRIMARY KEY, line INTEGER, id TEXT, run TEXT, time INTEGER, location INTEGER, "
    "label TEXT, parents TEXT, rest BLOB)"
)
_NAMED = "SELECT COALESCE(label, id) FROM taxa WHERE run IS ? AND id = ?"


def is_phylogeny(head: bytes) -> bool:
    r"""Whether a file that begins so is a phylogeny in the ALife standard: its header says it.

    Examples
    --------
    >>> is_phylogeny(b"id,ancestor_list,origin_time\n0,[NONE],0\n")
    True
    """
    return {"id", "ancestor_list"} <= set(_header(head.partition(b"\n")[0]))


def _header(line: bytes) -> list[str]:
    text = line.decode("utf-8-sig", "replace").strip()
    try:
        return [name.strip() for name in next(csv.reader(io.StringIO(text)), [])]
    except csv.Error:
        return []


def read_phylogeny(stream: BinaryIO, limit: int) -> Iterator[Item]:
    """Yield the generations of a phylogeny: those of equal origin time.

    Where the file says locations, as gpdata's own do, individuals that it leaves out are there, of which nothing is
    known. An individual's uuid is its `taxon_label`, else its id.

    Parameters
    ----------
    stream : binary file
        Decompressed.
    limit : int
        Bytes of the longest row.

    Yields
    ------
    Item
        Facts, generations, and what cannot be read.
    """
    yield Facts(config={"system": SYSTEM})
    # An empty name is a temporary file of SQLite's own, which ends with the connection.
    with closing(sqlite3.connect("", isolation_level=None)) as database:
        database.execute("PRAGMA cache_size = -65536")
        database.execute("PRAGMA journal_mode = OFF")
        database.execute(_TABLE)
        try:
            yield from _load(text_lines(stream, limit=limit), database)
        except Unreadable as error:
            yield Refused(error.number, error.begun, error.code, f"line {error.number}: {error.reason}")
        database.execute("CREATE INDEX of_id ON taxa (run, id)")
        yield from _generations(database)


def _load(lines: Iterator[tuple[int, bytes]], database: sqlite3.Connection) -> Iterator[Refused]:
    """Put the rows into the database; yield those that cannot be read."""
    first = next(lines, (1, b""))
    names = _header(first[1])
    if "origin_time" not in names:
        detail = "the column origin_time is missing, which says the generation of each individual; add it to the file"
        yield Refused(1, first[1], "bad_record", detail)
        return
    for row, (number, raw) in enumerate(lines):
        try:
            text = raw.decode()
            values = next(csv.reader([text], strict=True), [])
            if not values:
                continue
            if len(values) != len(names):
                raise ValueError(f"{len(values)} values; valid are {len(names)}, one for each column")
            database.execute("INSERT INTO taxa VALUES (?,?,?,?,?,?,?,?,?)", (row, number, *_taxon(names, values)))
        except (ValueError, csv.Error) as error:
            yield Refused(number, raw, "bad_record", f"line {number}: {error}")


def _taxon(names: list[str], values: list[str]) -> tuple[Any, ...]:
    sent = dict(zip(names, values, strict=True))
    time = _TIME.fullmatch(sent["origin_time"].strip())
    if time is None:
        raise ValueError(f"origin_time is {sent['origin_time']!r}; valid is a whole number, the generation")
    location = sent.get("location", "").strip()
    if location and not (location.isascii() and location.isdigit() and int(location) < _MOST):
        raise ValueError(f"location is {location!r}; valid is a whole number below {_MOST:,}")
    inside = sent["ancestor_list"].strip()
    if not (inside.startswith("[") and inside.endswith("]")):
        raise ValueError(f"ancestor_list is {inside!r}; valid is for instance [NONE], [3] or [3,4]")
    parents = [name.strip().strip("\"'") for name in inside[1:-1].split(",")]
    parents = [name for name in parents if name.lower() not in _NONE]
    rest = {name: atom(text) for name, text in sent.items() if name not in _OWN and text}
    return (
        sent["id"].strip(),
        sent.get("run_uuid") or None,
        int(time[1]),
        int(location) if location else None,
        sent.get("taxon_label") or None,
        ",".join(parents),
        msgspec.json.encode(rest) if rest else None,
    )


def _generations(database: sqlite3.Connection) -> Iterator[Generation | Refused]:
    order = "SELECT line, id, run, time, location, label, parents, rest FROM taxa ORDER BY run, time, location, row"
    found: Generation | None = None
    for line, id_, run, time, location, label, parents, rest in database.execute(order):
        if found is None or (found.run_uuid, found.index) != (run, time):
            if found is not None:
                yield found
            found = Generation(time, [], line, run_uuid=run)
        if location is not None:
            if location < len(found.population):
                detail = f"line {line}: location {location} of generation {time} stands twice; valid is once"
                yield Refused(line, f"{id_},[{parents or 'NONE'}],{time}".encode(), "bad_record", detail)
                continue
            found.population += [Raw(b"{}")] * (location - len(found.population))
        individual: dict[str, Any] = {"uuid": label or id_}
        if parents:
            individual["parent-uuids"] = [_name(database, run, parent) for parent in parents.split(",")]
        found.population.append(encoded(individual | (msgspec.json.decode(rest, type=dict[str, Raw]) if rest else {})))
        found.number = min(found.number, line)
    if found is not None:
        yield found


def _name(database: sqlite3.Connection, run: str | None, id_: str) -> str:
    found = database.execute(_NAMED, (run, id_)).fetchone()
    return id_ if found is None else str(found[0])
