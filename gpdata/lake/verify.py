"""Checking a lake: every file readable, every invariant of the schema page held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gpdata.errors import LakeDamaged
from gpdata.lake.delta import DataFile, Table
from gpdata.lake.encoding import STORAGE
from gpdata.lake.lake import Lake
from gpdata.lake.snapshot import take_snapshot
from gpdata.schema import GENERATIONS, INDIVIDUALS, RUNS, STORED
from gpdata.storage import listed
from gpdata.storage.reading import parquet

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a check found."""

    kind: Literal["error", "note"]
    """An error breaks a promise; a note is a fact that a reader should know, such as a lost generation."""
    where: str
    what: str


def verify(lake: Lake, *, progress: Callable[[str], None] | None = None) -> Iterator[Finding]:
    """Read every byte of a lake that its newest version names, and check its invariants.

    Parameters
    ----------
    lake : Lake
        The lake; no lock is needed.
    progress : callable, optional
        Called with the name of each file before it is read.

    Yields
    ------
    Finding
        In the order in which they are found; none where all is well.
    """
    try:
        snapshot = take_snapshot(lake)
    except LakeDamaged as error:
        yield Finding("error", "log", str(error))
        return
    check = _Check()
    for table in STORED:
        for file in snapshot.files[table.name]:
            if progress is not None:
                progress(f"{table.name}/{file.path}")
            yield from check.file(lake.tables[table.name], file, snapshot.version)
    yield from check.across()
    yield from _quarantine(lake)
    for path in listed(lake.path / "manifests", "*.json"):
        yield Finding("note", "manifests", f"batch {int(path.stem)} is unfinished; the next writer finishes it")
    if waiting := len(lake.spool().pending()):
        yield Finding("note", "spool", f"{waiting} files wait to be transformed; 'gpdata compact' does it now")


class _Check:
    """The facts of all tables, gathered file by file."""

    def __init__(self) -> None:
        self.runs: set[str] = set()
        self.sizes: dict[Key, int] = {}
        self.seen: dict[Key, npt.NDArray[np.bool_]] = {}

    def file(self, table: Table, file: DataFile, version: int) -> Iterator[Finding]:
        path = table.path / file.path
        where = f"{table.name}/{file.path}"
        try:
            if path.stat().st_size != file.size:
                yield Finding("error", where, f"has {path.stat().st_size} bytes; the log says {file.size}")
            opened = parquet(path)
            schema = STORAGE[table.name]
            rows = 0
            for number in range(opened.num_row_groups):
                group = opened.read_row_group(number, columns=schema.names).cast(schema)
                group.validate(full=True)
                rows += group.num_rows
                for what in self._group(table.name, group.filter(pc.less_equal(group.column("batch"), version))):
                    yield Finding("error", where, what)
        except (OSError, pa.ArrowException) as error:
            yield Finding("error", where, f"cannot be read: {error}")
            return
        if rows != file.rows:
            yield Finding("error", where, f"has {rows} rows; the log says {file.rows}")

    def across(self) -> Iterator[Finding]:
        """Check what holds between tables, once every file was read."""
        with_generations = {run for run, _ in self.sizes}
        for run in sorted(self.runs - with_generations):
            yield Finding("error", "runs", f"run {run} has no generation")
        for run in sorted(with_generations - self.runs):
            yield Finding("error", "generations", f"run {run} is not in runs")
        for (run, generation), size in sorted(self.sizes.items()):
            found = self.seen.get((run, generation))
            count = 0 if found is None else int(found.sum())
            if count != size or (found is not None and len(found) != size):
                yield Finding(
                    "error",
                    "individuals",
                    f"generation {generation} of run {run} has {count} of {size} locations",
                )
        for run, generation in sorted(self.seen.keys() - self.sizes.keys()):
            yield Finding("error", "individuals", f"generation {generation} of run {run} is not in generations")
        yield from _gaps(self.sizes)

    def _group(self, table: str, rows: pa.Table) -> Iterator[str]:
        if table == RUNS.name:
            for run in rows.column("run_uuid").to_pylist():
                if run in self.runs:
                    yield f"run {run} stands twice"
                self.runs.add(run)
        elif table == GENERATIONS.name:
            yield from self._generations(rows)
        elif table == INDIVIDUALS.name:
            yield from self._individuals(rows)

    def _generations(self, rows: pa.Table) -> Iterator[str]:
        order = [
            "total_error_min",
            "total_error_q1",
            "total_error_median",
            "total_error_q3",
            "total_error_max",
        ]
        for row in rows.select(["run_uuid", "generation", "population_size", *order]).to_pylist():
            key = (row["run_uuid"], row["generation"])
            if key in self.sizes:
                yield f"generation {key[1]} of run {key[0]} stands twice"
            self.sizes[key] = row["population_size"]
            values = [row[name] for name in order if row[name] is not None and row[name] == row[name]]
            if values != sorted(values):
                yield f"generation {key[1]} of run {key[0]}: {' <= '.join(order)} does not hold"

    def _individuals(self, rows: pa.Table) -> Iterator[str]:
        lengths = [
            pc.list_value_length(rows.column(name))
            for name in (
                "gene_instruction",
                "gene_type",
                "gene_close",
                "gene_silent",
                "gene_random_insertion",
            )
        ]
        for other in lengths[1:]:
            same = pc.fill_null(pc.equal(lengths[0], other), True)
            if not pc.all(same, min_count=0).as_py():
                yield "gene_* lists of an individual differ in length"
        runs = rows.column("run_uuid").combine_chunks().dictionary_encode()
        names = runs.dictionary.to_pylist()
        run = np.asarray(runs.indices)
        generation = np.asarray(rows.column("generation"))
        location = np.asarray(rows.column("location"))
        edges = np.flatnonzero((np.diff(run) != 0) | (np.diff(generation) != 0)) + 1
        for start, stop in zip([0, *edges], [*edges, len(run)], strict=True):
            if start == stop:
                continue
            key = (names[run[start]], int(generation[start]))
            here = location[start:stop]
            if len(np.unique(here)) < len(here) or self._mark(key, here):
                yield f"generation {key[1]} of run {key[0]}: a location stands twice"

    def _mark(self, key: Key, locations: npt.NDArray[np.int32]) -> bool:
        """Note locations as seen; return whether one of them was seen before."""
        seen = self.seen.get(key, np.zeros(0, bool))
        if len(seen) <= locations.max():
            seen = np.concatenate((seen, np.zeros(locations.max() + 1 - len(seen), bool)))
        twice = bool(seen[locations].any())
        seen[locations] = True
        self.seen[key] = seen
        return twice


def _gaps(sizes: dict[Key, int]) -> Iterator[Finding]:
    generations: dict[str, list[int]] = {}
    for run, generation in sorted(sizes):
        generations.setdefault(run, []).append(generation)
    for run, found in generations.items():
        if missing := sorted(set(range(found[-1] + 1)) - set(found)):
            shown = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
            yield Finding(
                "note",
                "generations",
                f"run {run} lacks {len(missing)} of its generations 0 to {found[-1]}: {shown}",
            )


def _quarantine(lake: Lake) -> Iterator[Finding]:
    for entry in lake.quarantine.entries():
        if (problem := lake.quarantine.check(entry)) is not None:
            yield Finding("error", f"quarantine/{entry.id}", problem)
