"""The `runs` frame: one row per run, and one column per config key of the snapshot."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpdata.lake.encoding import STORAGE
from gpdata.lake.snapshot import Snapshot
from gpdata.schema import GENERATIONS, RUNS, arrow_schema
from gpdata.storage.reading import parquet


def runs_table(snapshot: Snapshot, runs: Sequence[str] | None = None) -> pa.Table:
    """Return the runs of a snapshot, ordered by start and uuid.

    Parameters
    ----------
    snapshot : Snapshot
        The snapshot.
    runs : sequence of str, optional
        Only these runs; those that the snapshot lacks are left out.

    Returns
    -------
    pyarrow.Table
        The declared columns, then one string column per config key in the order of the keys, named as the
        key: JSON strings unquoted, other values as JSON text, null where the run lacks the key. A key that
        collides with a column, in whatever case, becomes ``config.<key>``.
    """
    stored = read_rows(snapshot, RUNS.name, STORAGE[RUNS.name].names, runs)
    flags = _flags(snapshot, runs)
    uuids = stored.column("run_uuid").to_pylist()
    stored = stored.append_column("flags", pa.array([flags.get(u, []) for u in uuids], pa.list_(pa.string())))
    table = stored.select(arrow_schema(RUNS).names).cast(arrow_schema(RUNS))
    table = table.sort_by([("started_at", "ascending"), ("run_uuid", "ascending")]).combine_chunks()
    taken = {name.casefold() for name in table.column_names}
    for key, values in sorted(_config_columns(table.column("config")).items()):
        name = key
        while name.casefold() in taken:
            name = f"config.{name}"
        taken.add(name.casefold())
        table = table.append_column(name, values)
    return table


def _config_columns(config: pa.ChunkedArray) -> dict[str, pa.Array]:
    n = len(config)
    if n == 0:
        return {}
    maps = config.combine_chunks()
    row = np.repeat(np.arange(n), np.diff(np.asarray(maps.offsets)))
    start, stop = maps.offsets[0].as_py(), maps.offsets[-1].as_py()
    keys = maps.keys.slice(start, stop - start).dictionary_encode()
    items = maps.items.slice(start, stop - start)
    position = np.asarray(keys.indices)
    columns = {}
    for number, key in enumerate(keys.dictionary.to_pylist()):
        here = np.flatnonzero(position == number)
        source = np.full(n, -1)
        source[row[here]] = here
        values = items.take(pa.array(source, mask=source < 0))
        columns[key] = _unquoted(values)
    return columns


def _unquoted(values: pa.Array) -> pa.Array:
    """Turn JSON texts of strings into the strings; leave other JSON texts as they are."""
    distinct = pc.unique(values)
    plain = [json.loads(text) if text is not None and text[:1] == '"' else text for text in distinct.to_pylist()]
    return pa.array(plain, pa.string()).take(pc.index_in(values, distinct))


def _flags(snapshot: Snapshot, runs: Sequence[str] | None) -> dict[str, list[str]]:
    rows = read_rows(snapshot, GENERATIONS.name, ["run_uuid", "flags", "batch"], runs)
    flagged = rows.filter(pc.greater(pc.list_value_length(rows.column("flags")), 0))
    found: dict[str, set[str]] = {}
    for row in flagged.to_pylist():
        found.setdefault(row["run_uuid"], set()).update(row["flags"])
    return {run: sorted(flags) for run, flags in found.items()}


def read_rows(snapshot: Snapshot, table: str, columns: list[str], runs: Sequence[str] | None) -> pa.Table:
    """Read stored columns of a snapshot's rows, `run_uuid` and `batch` among them, into this process.

    Parameters
    ----------
    snapshot : Snapshot
        The snapshot.
    table : str
        A stored table, in its storage form.
    columns : list of str
        Its columns.
    runs : sequence of str or None
        Only rows of these runs.
    """
    schema = pa.schema([STORAGE[table].field(name) for name in columns])
    parts = [parquet(place).read(columns=columns).cast(schema) for place in snapshot.readable(table, runs)]
    rows = pa.concat_tables(parts) if parts else schema.empty_table()
    keep = pc.less_equal(rows.column("batch"), snapshot.version)
    if runs is not None:
        keep = pc.and_(keep, pc.is_in(rows.column("run_uuid"), pa.array(runs, pa.string())))
    return rows.filter(keep)
