"""What a person who knows pandas well would write: Arrow reads the columns needed, NumPy counts over list offsets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import gpdata
from benchmarks.contests import BY
from benchmarks.sides import pandas_arrays as arrays
from benchmarks.sides import pandas_summaries as summaries
from benchmarks.sides.pandas_ancestry import walk

POPULATION: dict[str, tuple[Callable[[pa.Table], pa.Table], tuple[str, ...]]] = {
    "diversity": (arrays.diversity, ("run_uuid", "generation", "total_error", "errors", "program")),
    "age_error": (
        arrays.age_error,
        ("run_uuid", "generation", "location", "age", "total_error", "ids", "parent_uuids_text"),
    ),
    "lexicase_stats": (arrays.lexicase_stats, ("run_uuid", "generation", "errors")),
    "elite_cases": (arrays.elite_cases, ("run_uuid", "generation", "location", "errors")),
}
"""What is asked of whole generations, and the columns that it takes: no generation is in two files."""


@dataclass(frozen=True, slots=True)
class Files:
    """The lake's files as they are stored."""

    runs: list[str]
    generations: list[str]
    individuals: list[str]


def prepare(lake: Path) -> Files:
    """Find the files."""
    lab = gpdata.open(lake)
    return Files(lab.files("runs"), lab.files("generations"), lab.files("individuals"))


def read(files: list[str], *columns: str) -> pa.Table:
    """Read columns; runs and programs repeat, and stay numbers with a dictionary."""
    rows = pq.read_table(files, columns=list(columns), read_dictionary=["run_uuid", "program"], partitioning=None)
    return rows.unify_dictionaries()


def groups(files: list[str]) -> pd.DataFrame:
    """Return the group of each run; the config holds JSON texts."""
    rows = pq.read_table(files, columns=["run_uuid", "config"], partitioning=None)
    named = pc.utf8_trim(pc.map_lookup(rows["config"], BY, "first"), '"')
    return pd.DataFrame({"run_uuid": rows["run_uuid"].to_pandas(), "g": named.to_pandas()})


def last_rows(files: list[str], *columns: str) -> pa.Table:
    """Return the rows of each run's greatest generation."""
    rows = read(files, "run_uuid", "generation", *columns)
    return rows.take(summaries.last_positions(rows.select(["run_uuid", "generation"]).to_pandas()))


def ends(files: list[str]) -> pd.DataFrame:
    """Return how each run ended, and whether its best was tested on unseen cases and solved them."""
    last = last_rows(files, "outcome", "best_test_errors")
    tested, zeros = arrays.zeros(last["best_test_errors"].combine_chunks())
    frame: pd.DataFrame = last.drop_columns("best_test_errors").to_pandas()
    return frame.assign(tested=tested > 0, solved=(tested > 0) & (zeros == tested))


def sizes(files: list[str]) -> pd.DataFrame:
    """Return the mean sizes of each generation; some are numbers in the map of the report."""
    rows = read(files, "run_uuid", "generation", "genome_size_mean", "program_size_mean", "report")
    frame: pd.DataFrame = rows.select(["run_uuid", "generation"]).to_pandas()
    own = rows["program_size_mean"].to_pandas()
    said, parens = (
        pc.map_lookup(rows["report"], name, "first").to_pandas()
        for name in ("mean-program-size", "mean-program-percent-params")
    )
    return frame.assign(
        genome_size=rows["genome_size_mean"].to_pandas(), program_size=own.fillna(said), percent_parens=parens
    )


def winner(files: Files, run: str) -> pa.Table:
    """Return the best of the last generation of a run; of equals the one of the lowest location."""
    mine = pc.field("run_uuid") == run
    last = pc.max(pq.read_table(files.generations, columns=["generation"], filters=mine)["generation"])
    columns = ["run_uuid", "generation", "location", "total_error"]
    rows = pq.read_table(files.individuals, columns=columns, filters=mine & (pc.field("generation") == last))
    return rows.take(arrays.best(rows)).drop_columns("total_error")


def ancestry(files: Files, run: str) -> pa.Table:
    """Read what names the individuals of the run and their parents, and walk."""
    best = winner(files, run).to_pylist()[0]
    columns = ["generation", "location", "ids", "uuid_text", "parent_uuids_text"]
    rows = pq.read_table(files.individuals, columns=columns, filters=pc.field("run_uuid") == run)
    return walk(rows, best["generation"], best["location"])


def _population(name: str) -> Callable[[Files, str], pa.Table]:
    ask, columns = POPULATION[name]
    # File by file: as fast as all at once, in less memory.
    return lambda files, run: pa.concat_tables(ask(read([file], *columns)) for file in files.individuals)


ANSWERS: dict[str, Callable[[Files, str], pa.Table]] = {
    "last_generation": lambda files, run: last_rows(files.generations, "outcome", "total_error_min"),
    "success_table": lambda files, run: summaries.success_table(ends(files.generations), groups(files.runs)),
    "cumulative_success": lambda files, run: summaries.cumulative_success(
        read(files.generations, "run_uuid", "generation", "outcome").to_pandas(), groups(files.runs)
    ),
    "error_curves": lambda files, run: summaries.error_curves(
        read(files.generations, "run_uuid", "generation", "total_error_min").to_pandas(), groups(files.runs)
    ),
    "size_curves": lambda files, run: summaries.size_curves(sizes(files.generations), groups(files.runs)),
    "ert": lambda files, run: summaries.ert(
        read(files.generations, "run_uuid", "generation", "population_size", "outcome").to_pandas(), groups(files.runs)
    ),
    **{name: _population(name) for name in POPULATION},
    "instruction_frequency": lambda files, run: summaries.instruction_frequency(
        pd.concat([arrays.genes_counted(file) for file in files.individuals]), groups(files.runs)
    ),
    "winner": winner,
    "ancestry": ancestry,
}
