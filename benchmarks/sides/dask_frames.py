"""What a person who knows Dask well would write: the files in parallel, each by pandas, and the parts put together.

A thread for each core reads: what is worked here lets go of the interpreter's lock, and processes would have to send
what they read. Runs are in several files, so what is asked of a run's end is asked again of the parts; no generation
is in two. `winner` and `ancestry` are left out: a run is a few row groups of one file, of which nothing is parallel,
and a walk from child to parent is no operation of a Dask frame.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.dataframe
import pandas as pd
import pyarrow as pa

from benchmarks.sides import pandas_arrays as arrays
from benchmarks.sides import pandas_summaries as summaries
from benchmarks.sides.pandas_frames import POPULATION, Files, ends, groups, last_rows, prepare, read, sizes

__all__ = ["ANSWERS", "prepare"]

frames: Any = dask.dataframe  # has no types

Part = Callable[[str], pd.DataFrame]


def last_generation(files: Files) -> pa.Table:
    """The last rows of each file, then of these."""
    return pa.Table.from_pandas(
        _last(_all(lambda file: last_rows([file], "outcome", "total_error_min").to_pandas(), files.generations)),
        preserve_index=False,
    )


def success_table(files: Files) -> pa.Table:
    return summaries.success_table(_last(_all(lambda file: ends([file]), files.generations)), _groups(files))


def cumulative_success(files: Files) -> pa.Table:
    return summaries.cumulative_success(_generations(files, "outcome"), _groups(files))


def error_curves(files: Files) -> pa.Table:
    return summaries.error_curves(_generations(files, "total_error_min"), _groups(files))


def size_curves(files: Files) -> pa.Table:
    return summaries.size_curves(_all(lambda file: sizes([file]), files.generations), _groups(files))


def ert(files: Files) -> pa.Table:
    return summaries.ert(_generations(files, "population_size", "outcome"), _groups(files))


def instruction_frequency(files: Files) -> pa.Table:
    """Genes are counted by file; few rows are left to be added up."""
    return summaries.instruction_frequency(_all(arrays.genes_counted, files.individuals), _groups(files))


def _population(name: str) -> Callable[[Files, str], pa.Table]:
    ask, columns = POPULATION[name]

    def part(file: str) -> pd.DataFrame:
        frame: pd.DataFrame = ask(read([file], *columns)).to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    return lambda files, run: pa.Table.from_pandas(_all(part, files.individuals), preserve_index=False)


def _all(part: Part, files: list[str]) -> pd.DataFrame:
    """The parts of all files, one after the other."""
    # Dask is told of no columns: to see them it would read a file.
    found = frames.from_map(part, files, meta=pd.DataFrame(), enforce_metadata=False).compute(scheduler="threads")
    assert isinstance(found, pd.DataFrame)
    return found.reset_index(drop=True)


def _generations(files: Files, *columns: str) -> pd.DataFrame:
    return _all(lambda file: read([file], "run_uuid", "generation", *columns).to_pandas(), files.generations)


def _groups(files: Files) -> pd.DataFrame:
    return _all(lambda file: groups([file]), files.runs)


def _last(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.loc[summaries.last_positions(rows)]


def _of_all(answer: Callable[[Files], pa.Table]) -> Callable[[Files, str], pa.Table]:
    return lambda files, run: answer(files)


ANSWERS: dict[str, Callable[[Files, str], pa.Table]] = {
    **{
        answer.__name__: _of_all(answer)
        for answer in (
            last_generation,
            success_table,
            cumulative_success,
            error_curves,
            size_curves,
            ert,
            instruction_frequency,
        )
    },
    **{name: _population(name) for name in POPULATION},
}
