"""The design that gpdata replaced, as files: a row for each generation, which holds its whole population.

Such files came about when Spark read the recorder's lines as JSON and wrote what it had inferred: every field of the
line under its own name, `config`, `best` and `population-report` as structs, `population` as an array of structs,
each with its genome as an array of structs. A field that nobody sent is no column. They are made here from a lake,
a few generations at a time.

Kinder than Spark in two things: a row group is what Spark would cut off at 128 MiB of encoded values, here at 128 MiB
of plain ones, in a file of its own, so that more of it can be read at once and less of it has to be held; and numbers
that a line wrote as texts (`"NaN"`) are numbers.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import gpdata as gp
from gpdata.schema import INDIVIDUALS

GROUP_BYTES = 128 << 20
_INDIVIDUALS = 10_000
"""What is held at a time, about."""
_BEST = {
    "uuid": "best_uuid",
    "total-error": "best_total_error",
    "errors": "best_errors",
    "test-errors": "best_test_errors",
    "program": "best_program",
}
_KEYS = ("run_uuid", "generation")


def nested_of(lake: Path) -> Path:
    """Return the folder beside a lake that holds its nested files."""
    return lake.with_name(f"{lake.name}-nested")


def make_nested(lake: Path, path: Path) -> None:
    """Write the nested files of a lake, or leave them where they are complete.

    Parameters
    ----------
    lake : Path
        The lake's directory.
    path : Path
        The folder of the files; `made` in it is written last, and says of which files of the lake they are.
    """
    lab = gp.open(lake, engine="duckdb")
    made = path / "made"
    of = "\n".join(f"{file} {Path(file).stat().st_mtime_ns}" for file in lab.files("individuals"))
    if made.exists() and made.read_text() == of:
        return
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    waiting: list[pa.Table] = []
    number = 0
    for rows in _rows(lab):
        waiting.append(rows)
        if sum(part.nbytes for part in waiting) >= GROUP_BYTES:
            _write(waiting, path / f"part-{number:05d}.parquet")
            waiting, number = [], number + 1
    if waiting:
        _write(waiting, path / f"part-{number:05d}.parquet")
    made.write_text(of)


def _write(parts: list[pa.Table], path: Path) -> None:
    rows = pa.concat_tables(parts)
    pq.write_table(rows, path, compression="snappy", row_group_size=rows.num_rows)


def _rows(lab: Any) -> Iterator[pa.Table]:
    """Yield the nested rows, those of a few generations of a run at a time."""
    runs = lab.runs.to_arrow_table()
    argmaps = pa.StructArray.from_arrays(
        [runs[name].combine_chunks() for name in lab.config_keys],
        [name.removeprefix("config.") for name in lab.config_keys],
    )
    generations = lab.sql("SELECT * FROM generations ORDER BY run_uuid, generation").to_arrow_table().combine_chunks()
    of_run = pc.index_in(generations["run_uuid"], value_set=runs["run_uuid"]).combine_chunks()
    heads = pa.table(
        {
            "config-uuid": generations["run_uuid"],
            "index": generations["generation"],
            "start-time": generations["started_at"],
            "outcome": generations["outcome"],
            "config": pa.StructArray.from_arrays(
                [runs["problem"].combine_chunks().take(of_run), argmaps.take(of_run)], ["problem-file", "argmap"]
            ),
            "best": _best(generations),
            "population-report": _report(generations["report"].combine_chunks()),
        }
    )
    sent = _sent(lab)
    for first, last in _batches(generations):
        head = heads.slice(first, last - first)
        sizes = generations["population_size"].slice(first, last - first).to_numpy()
        run, low, high = head["config-uuid"][0].as_py(), head["index"][0].as_py(), head["index"][-1].as_py()
        individuals = lab.sql(
            f"SELECT {', '.join(sent)} FROM individuals "
            f"WHERE run_uuid = '{run}' AND generation BETWEEN {low} AND {high} ORDER BY generation, location"
        ).to_arrow_table()
        if individuals.num_rows != sizes.sum():
            raise SystemExit(f"{individuals.num_rows} individuals of {run} in {low}-{high}, {sizes.sum()} expected")
        starts = pa.array(np.concatenate(([0], np.cumsum(sizes))), pa.int32())
        population = pa.ListArray.from_arrays(starts, _individuals(individuals.combine_chunks()))
        yield head.append_column("population", population)


def _batches(generations: pa.Table) -> Iterator[tuple[int, int]]:
    """Yield the first row and that after the last of consecutive generations of one run, as many as may be held."""
    runs, sizes = (generations[name].to_pylist() for name in ("run_uuid", "population_size"))
    first, held = 0, 0
    for at, (run, size) in enumerate(zip(runs, sizes, strict=True)):
        if at > first and (run != runs[first] or held + size > _INDIVIDUALS):
            yield first, at
            first, held = at, 0
        held += size
    if runs:
        yield first, len(runs)


def _sent(lab: Any) -> list[str]:
    """Return the columns of individuals that hold anything: a field that no line had, nobody inferred."""
    names = [name for name in INDIVIDUALS.names if name not in (*_KEYS, "extra")]
    ((*counts,),) = lab.sql(f"SELECT {', '.join(f'count({name})' for name in names)} FROM individuals").fetchall()
    sent = [name for name, count in zip(names, counts, strict=True) if count]
    # A line with genomes does not say how long they are.
    return [name for name in sent if name != "genome_size" or "gene_instruction" not in sent]


def _best(generations: pa.Table) -> pa.StructArray:
    columns = [generations[name].combine_chunks() for name in _BEST.values()]
    return pa.StructArray.from_arrays([pa.StructArray.from_arrays(columns, list(_BEST))], ["individual"])


def _report(reports: pa.MapArray) -> pa.StructArray | pa.NullArray:
    """Return the senders' statistics as a struct of their names; nulls where nobody sent any."""
    rows = [dict(row) if row else {} for row in reports.to_pylist()]
    names = sorted({name for row in rows for name in row})
    if not names:
        return pa.nulls(len(rows))
    columns = [pa.array([row.get(name) for row in rows], pa.float64()) for name in names]
    return pa.StructArray.from_arrays(columns, names)


def _individuals(rows: pa.Table) -> pa.StructArray:
    """Return individuals under the names of the wire, each with its genes."""
    plain = [name for name in rows.column_names if not name.startswith("gene_")]
    genes = [name for name in rows.column_names if name.startswith("gene_")]
    columns = {name.replace("_", "-"): _only(rows[name]) for name in plain}
    if genes:
        columns["genome"] = _genomes(
            {name.removeprefix("gene_").replace("_", "-"): _only(rows[name]) for name in genes}
        )
    return pa.StructArray.from_arrays(list(columns.values()), list(columns))


def _genomes(lists: dict[str, pa.ListArray]) -> pa.ListArray:
    """Return parallel lists as one list of structs; a list that a genome lacks is nulls."""
    whole = lists["instruction"]
    lengths = pc.fill_null(pc.list_value_length(whole), 0).to_numpy()
    starts = np.concatenate(([0], np.cumsum(lengths)))
    within = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
    fields = {}
    for name, values in lists.items():
        if values.is_valid().equals(whole.is_valid()):
            fields[name] = values.flatten()
        else:
            lacking = np.repeat(~values.is_valid().to_numpy(zero_copy_only=False), lengths)
            at = np.repeat(values.offsets.to_numpy()[:-1], lengths) + within
            fields[name] = values.values.take(pa.array(at, mask=lacking))
    genes = pa.StructArray.from_arrays(list(fields.values()), list(fields))
    missing = None if not whole.null_count else whole.is_null()
    return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), genes, mask=missing)


def _only(column: pa.ChunkedArray) -> Any:
    """Return the column as one array; a table of no rows has no chunk."""
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
