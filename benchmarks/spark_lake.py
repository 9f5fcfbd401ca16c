"""A lake of many runs: those of a small one again and again under fresh uuids, written by the lake's own writer."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gpdata.demo.example import make_example_lake
from gpdata.importers import import_paths
from gpdata.lake import Lake
from gpdata.lake.compaction import compact
from gpdata.lake.encoding import STORAGE
from gpdata.lake.parquet import QUICK, Profile, TableWriter
from gpdata.lake.snapshot import take_snapshot

ORDER = ("individuals", "generations", "runs")
_FILES = 16
"""Files of the individuals: a compacted lake has few."""


def make(path: Path, captures: Path | None, runs: int, individuals: int) -> None:
    """Make the lake, or leave it where it is there already.

    Parameters
    ----------
    path : Path
        Its directory.
    captures : Path or None
        The folder of recorder streams; None: runs of the example.
    runs, individuals : int
        How many runs, and about how many individuals they have together.
    """
    if (path / "made").exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        small = Lake.create(Path(folder) / "small")
        if captures is None:
            make_example_lake(small.path)
        else:
            import_paths([captures], small)
        compact(small)
        _repeat(small, Lake.create(path), runs, individuals)
    (path / "made").touch()


def _repeat(small: Lake, lake: Lake, runs: int, individuals: int) -> None:
    snapshot = take_snapshot(small)
    tables = {name: _read(snapshot.paths(name), name) for name in ORDER}
    counts = tables["individuals"].group_by("run_uuid").aggregate([([], "count_all")])
    sizes = dict(zip(counts["run_uuid"].to_pylist(), counts["count_all"].to_pylist(), strict=True))
    chosen = sorted(sizes, key=lambda run: sizes[run])
    # Without the largest runs, as long as there are enough individuals.
    while sum(sizes[run] for run in chosen[:-1]) * runs >= individuals * len(chosen[:-1]) > 0:
        chosen.pop()
    tables = {name: rows.filter(pc.is_in(rows["run_uuid"], pa.array(chosen))) for name, rows in tables.items()}
    with ExitStack() as stack:
        stack.enter_context(lake.lock())
        for number, part in enumerate(_parts(chosen, runs), 1):
            files = {}
            for name in ORDER:
                writer = stack.enter_context(
                    TableWriter(
                        name,
                        lake.tables[name].path,
                        f"batch-{number:012d}.parquet",
                        Profile(QUICK),
                        lake.disk,
                        lake.scratch,
                    )
                )
                for copies in part:
                    writer.add(_copied(tables[name], copies, number).to_batches())
                files[name] = writer.close()
            for name in ORDER:
                lake.tables[name].commit("WRITE", add=[files[name]], batch=number)


def _read(paths: list[str], name: str) -> pa.Table:
    rows = pa.concat_tables(pq.read_table(path, partitioning=None).cast(STORAGE[name]) for path in paths)
    return rows.combine_chunks()


def _parts(chosen: list[str], runs: int) -> Iterator[list[dict[str, str]]]:
    """Yield, for each file, the copies in it: the new uuid of each run that is copied."""
    copies = []
    for first in range(0, runs, len(chosen)):
        copies.append({run: str(uuid.uuid4()) for run in chosen[: runs - first]})
    each = -(-len(copies) // _FILES)
    for first in range(0, len(copies), each):
        yield copies[first : first + each]


def _copied(rows: pa.Table, copies: dict[str, str], batch: int) -> pa.Table:
    place = pc.index_in(rows["run_uuid"], pa.array(list(copies)))
    new = pa.array(list(copies.values())).take(place.combine_chunks())
    copied = rows.set_column(rows.schema.get_field_index("run_uuid"), rows.schema.field("run_uuid"), new)
    numbers = pa.array([batch] * rows.num_rows, pa.int64())
    copied = copied.set_column(rows.schema.get_field_index("batch"), rows.schema.field("batch"), numbers)
    return copied.filter(place.is_valid())
