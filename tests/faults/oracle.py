"""What must hold of a lake after whatever befell it: acknowledged is stored, once, unchanged, or in quarantine."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import pyarrow.parquet as pq

from gpdata.lake import Lake
from gpdata.lake.encoding import STORAGE
from gpdata.schema import GENERATIONS, INDIVIDUALS, RUNS

Key: TypeAlias = tuple[str, int]
_CACHED = 4000


@dataclass(frozen=True)
class Sent:
    """A line that a client sent."""

    raw: bytes
    key: Key | None
    """None of what is no line."""
    codes: frozenset[str] = frozenset()
    """Reasons for which it may be in quarantine; where there is none it must become a row."""
    row: bool = True
    """Whether it may become a row."""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()


@dataclass(frozen=True)
class Row:
    """A generation, with its individuals and its run, as a lake holds it."""

    key: Key
    sha256: str
    content: int
    """A hash of all its columns, those of its individuals, and those of its run; the batch left out."""
    batch: int


@dataclass
class Contents:
    """All of a lake's rows."""

    rows: list[Row] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Rows that stand twice, and those without what belongs to them."""

    def until(self, version: int) -> frozenset[tuple[Key, str, int]]:
        """What a reader of a version sees."""
        return frozenset((row.key, row.sha256, row.content) for row in self.rows if row.batch <= version)

    @property
    def version(self) -> int:
        return max((row.batch for row in self.rows), default=0)


_Rows: TypeAlias = list[tuple[str, int, int, str, int]]
_cache: dict[tuple[str, frozenset[str], bytes], _Rows] = {}


def contents(lake: Lake, *, ignore: frozenset[str] = frozenset()) -> Contents:
    """Read every row of a lake's newest version, not through gpdata's own readers; some columns do not count."""
    found: dict[str, _Rows] = {}
    for name, table in lake.tables.items():
        found[name] = [
            row for file in table.files() for row in _rows(name, (table.path / file.path).read_bytes(), ignore)
        ]
    result = Contents()
    runs: dict[str, int] = {}
    for run, _, _, _, content in found[RUNS.name]:
        if run in runs:
            result.wrong.append(f"the run {run} stands twice")
        runs[run] = content
    individuals: dict[Key, list[int]] = {}
    for run, generation, batch, _, content in sorted(found[INDIVIDUALS.name]):
        individuals.setdefault((run, generation), []).extend((batch, content))
    seen: set[Key] = set()
    for run, generation, batch, sha256, content in found[GENERATIONS.name]:
        key = (run, generation)
        if key in seen:
            result.wrong.append(f"generation {key} stands twice")
        seen.add(key)
        if run not in runs or key not in individuals:
            result.wrong.append(f"generation {key} lacks its run or its individuals")
        of = individuals.pop(key, [])
        if len(of) > 2 or (of and of[0] != batch):
            result.wrong.append(f"the individuals of generation {key} are of other batches: {of[::2]} for {batch}")
        result.rows.append(Row(key, sha256, hash((content, runs.get(run), *of[1::2])), batch))
    if individuals:
        result.wrong.append(f"individuals without a generation: {sorted(individuals)}")
    if lost := runs.keys() - {row.key[0] for row in result.rows}:
        result.wrong.append(f"runs without a generation: {sorted(lost)}")
    return result


def violations(
    lake: Lake,
    *,
    sent: Iterable[Sent],
    acknowledged: Iterable[Sent],
    expected: Mapping[tuple[Key, str], int],
    versions: Mapping[int, frozenset[tuple[Key, str, int]]],
    ignore: frozenset[str] = frozenset(),
) -> list[str]:
    """Say what of the promise does not hold.

    `expected` has the content of each line that becomes a row; `versions` what readers saw before the crash.
    """
    found = contents(lake, ignore=ignore)
    wrong = list(found.wrong)
    by_hash: dict[str, list[Sent]] = {}
    for line in sent:
        by_hash.setdefault(line.sha256, []).append(line)
    stored = set()
    for row in found.rows:
        stored.add((row.key, row.sha256))
        if not any(line.row and line.key == row.key for line in by_hash.get(row.sha256, ())):
            wrong.append(f"the row {row.key} was never sent so, or had to be set aside: {row.sha256}")
        elif expected.get((row.key, row.sha256)) != row.content:
            wrong.append(f"the row {row.key} has another content than it had")
    aside: dict[str, set[str]] = {}
    for entry in lake.quarantine.entries():
        aside.setdefault(entry.sha256, set()).add(entry.code)
        if (problem := lake.quarantine.check(entry)) is not None:
            wrong.append(f"quarantine {entry.id}: {problem}")
        if not any(entry.code in line.codes for line in by_hash.get(entry.sha256, ())):
            wrong.append(f"in quarantine without need: {entry.code}, {entry.detail}")
    for line in acknowledged:
        as_row = line.row and line.key is not None and (line.key, line.sha256) in stored
        if not as_row and not aside.get(line.sha256, set()) & line.codes:
            wrong.append(f"LOST: {line.key} {line.sha256} (row: {line.row}, {', '.join(sorted(line.codes))})")
    for version, saw in versions.items():
        if found.until(version) != saw:
            wrong.append(f"version {version} is no longer what a reader saw")
    return wrong


def _rows(table: str, data: bytes, ignore: frozenset[str]) -> _Rows:
    """Return (run, generation, batch, hash of the line, hash of the content) of each generation in a file, or run."""
    key = (table, ignore, hashlib.blake2b(data, digest_size=16).digest())
    if (known := _cache.get(key)) is not None:
        return known
    rows = pq.ParquetFile(io.BytesIO(data)).read(columns=STORAGE[table].names).cast(STORAGE[table]).to_pylist()
    groups: dict[tuple[str, int, int, str], list[str]] = {}
    for row in rows:
        batch = row.pop("batch")
        line = row["line_sha256"].hex() if "line_sha256" in row else ""
        place = (row["run_uuid"], row.get("generation", 0), batch, line)
        # Rows of generations and runs that stand twice are kept apart, to be seen.
        if table != INDIVIDUALS.name and place in groups:
            place = (*place[:3], line + " twice")
        groups.setdefault(place, []).append(repr([(name, value) for name, value in row.items() if name not in ignore]))
    found = [(*place, hash(tuple(sorted(texts)))) for place, texts in groups.items()]
    if len(_cache) >= _CACHED:
        _cache.clear()
    _cache[key] = found
    return found
