"""A large lake out of small ones: the runs of recorder streams again and again, under fresh uuids, with other values.

A run of the lake is a run of the streams whose population in each generation is several copies of the real one side
by side, until the run is large enough. Each copy has ids of its own, the links to parents kept, and values of its own:
some genes have another instruction of the run's vocabulary, some individuals that are not the best a greater error.
The summaries of the generations are computed anew from what came out. What the sender said of a generation, its best
individual and its report, stays, and so do behaviors, programs and whatever else no analysis reads.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.copies import Source
from gpdata.demo.example import make_example_lake
from gpdata.importers import import_paths
from gpdata.lake import Lake
from gpdata.lake.compaction import compact
from gpdata.lake.encoding import STORAGE
from gpdata.lake.parquet import QUICK, Profile, TableWriter
from gpdata.lake.snapshot import take_snapshot

ORDER = ("individuals", "generations", "runs")
_MARKER = "made"
_FILES = 16
"""Files of the individuals: a compacted lake has few."""
_LARGE = 8
"""So many of the largest runs are the sources of a lake of a given number of genes."""
_LEAST = 1000
"""Individuals of a run below which it is no source of long genomes."""


def make(path: Path, captures: Path | None, runs: int, individuals: int, genes: int = 0) -> None:
    """Make the lake, or leave it where it is there already; one whose making was cut off is made anew.

    Parameters
    ----------
    path : Path
        Its directory.
    captures : Path or None
        The folder of recorder streams; None: runs of the example.
    runs : int
        How many runs it has.
    individuals, genes : int
        How many they have together, at least. Without a number of genes the small runs of the streams are repeated,
        too, as they are; with one the largest, and so many of those with the longest genomes that the genes suffice.
    """
    if (path / _MARKER).exists():
        return
    if path.exists():
        shutil.rmtree(path)
    with tempfile.TemporaryDirectory() as folder:
        small = Lake.create(Path(folder) / "small")
        if captures is None:
            make_example_lake(str(small.path))
        else:
            import_paths([captures], small)
        compact(small)
        path.parent.mkdir(parents=True, exist_ok=True)
        repeat(small, path, runs, individuals, genes)
    (path / _MARKER).touch()


def repeat(small: Lake, path: Path, runs: int, individuals: int, genes: int = 0) -> None:
    """Make a large lake of the runs of a small one, as `make` does."""
    _fill(Lake.create(path), _sources(small), runs, individuals, genes)


def _sources(lake: Lake) -> list[Source]:
    snapshot = take_snapshot(lake)
    tables = {
        name: pa.concat_tables(pq.read_table(file, partitioning=None).cast(STORAGE[name]) for file in files)
        for name, files in ((name, snapshot.paths(name)) for name in ORDER)
    }
    found = []
    for run in sorted(tables["runs"]["run_uuid"].to_pylist()):
        rows = {name: table.filter(pc.equal(table["run_uuid"], run)) for name, table in tables.items()}
        if rows["individuals"].num_rows:
            found.append(Source(*(rows[name].combine_chunks() for name in ORDER)))
    return found


def _fill(lake: Lake, sources: list[Source], runs: int, individuals: int, genes: int) -> None:
    chosen = _planned(sources, runs, individuals, genes)
    random = np.random.default_rng(12)
    with ExitStack() as stack:
        stack.enter_context(lake.lock())
        for number, part in enumerate(_parts(chosen), 1):
            profile, files = Profile(QUICK), {}
            writers = {
                name: stack.enter_context(
                    TableWriter(
                        name,
                        lake.tables[name].path,
                        f"batch-{number:012d}.parquet",
                        profile,
                        lake.disk,
                        lake.scratch,
                    )
                )
                for name in ORDER
            }
            for source, copies, longer in part:
                for name, rows in zip(ORDER, source.copied(copies, longer, number, random), strict=True):
                    writers[name].add(rows.to_batches())
            files = {name: writer.close() for name, writer in writers.items()}
            for name in ORDER:
                lake.tables[name].commit("WRITE", add=[files[name]], batch=number)


def _planned(sources: list[Source], runs: int, individuals: int, genes: int) -> list[tuple[Source, int, int]]:
    """Return for each run its source, the copies of its population, and how often a genome follows itself."""
    each = -(-individuals // runs)
    by_size = sorted(sources, key=lambda source: source.size)
    if genes == 0:
        # Without the largest runs, as long as there are enough individuals.
        while sum(source.size for source in by_size[:-1]) >= each * len(by_size[:-1]) > 0:
            by_size.pop()
        copies = -(-each * len(by_size) // sum(source.size for source in by_size))
        return [(by_size[number % len(by_size)], copies, 1) for number in range(runs)]
    wanted = genes / individuals
    longest = max(source.mean_genes for source in by_size)
    longer = max(1, int(np.ceil(wanted / longest)))  # where no run's genomes are long enough
    long = [source for source in by_size if source.mean_genes * longer >= wanted and source.size >= _LEAST]
    long = long or [max(by_size, key=lambda source: source.mean_genes)]
    large = [source for source in by_size[-_LARGE:] if source not in long] or long
    plan: list[tuple[Source, int, int]] = []
    counts = {"long": 0, "large": 0}
    found = 0.0
    for number in range(runs):
        # As many genes as are due by now: the runs of both kinds are mixed in every file.
        kind, of = ("long", long) if found < wanted * each * (number + 1) else ("large", large)
        source = of[counts[kind] % len(of)]
        counts[kind] += 1
        copies = -(-each // source.size)
        found += copies * source.size * source.mean_genes * longer
        plan.append((source, copies, longer))
    return plan


def _parts(plan: list[tuple[Source, int, int]]) -> Iterator[list[tuple[Source, int, int]]]:
    """Yield what each file holds."""
    each = -(-len(plan) // _FILES)
    for first in range(0, len(plan), each):
        yield plan[first : first + each]
