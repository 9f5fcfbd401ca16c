"""What a person who knows Polars well would write: one set of lazy queries, for whichever engine collects them.

`benchmarks.spark_by_hand` says what each question means; the columns come in the order of `CONTESTS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
from polars._typing import EngineType

import gpdata
from benchmarks.contests import BY
from benchmarks.sides.polars_ancestry import Collect, walk
from gpdata.lake.encoding import TYPE_PATTERNS

_Z = 1.959963984540054
_RUN_GENERATION = ("run_uuid", "generation")


@dataclass(frozen=True, slots=True)
class Files:
    """The lake's files as they are stored: scanned, not read."""

    runs: pl.LazyFrame
    generations: pl.LazyFrame
    individuals: pl.LazyFrame


def prepare(lake: Path) -> Files:
    """Find the files."""
    lab = gpdata.open(lake)
    return Files(*(pl.scan_parquet(lab.files(name), glob=False) for name in ("runs", "generations", "individuals")))


def last_generation(files: Files) -> pl.LazyFrame:
    """The fields of the greatest generation of each run: no sort, no window."""
    return files.generations.group_by("run_uuid").agg(
        pl.col("generation").max(), *(pl.col(name).max_by("generation") for name in ("outcome", "total_error_min"))
    )


def success_table(files: Files) -> pl.LazyFrame:
    """Left join, for a run without a generation counts as well."""
    last = files.generations.group_by("run_uuid").agg(
        pl.col("generation").max(), *(pl.col(name).max_by("generation") for name in ("outcome", "best_test_errors"))
    )
    tests = pl.col("best_test_errors")
    tested = tests.list.len() > 0
    # A null among the errors is no zero: `all` is not told to skip it.
    solved = tests.list.eval(pl.element() == 0).list.all(ignore_nulls=False)
    success = pl.col("outcome") == "success"
    at = pl.col("generation").filter(success)
    n = pl.col("finished").cast(pl.Float64)
    return (
        _grouped(files)
        .join(last, on="run_uuid", how="left")
        .group_by("g")
        .agg(
            pl.len().alias("runs"),
            (pl.col("outcome") != "continue").sum().alias("finished"),
            success.sum().alias("successes"),
            pl.when(tested.any()).then((success & tested & solved).sum()).alias("generalising"),
            at.min().alias("generations_min"),
            at.median().alias("generations_median"),
            at.max().alias("generations_max"),
        )
        .select(
            *("g", "runs", "finished", "successes", "generalising"),
            *_rates("rate", pl.col("successes").cast(pl.Float64), pl.when(n > 0).then(n)),
            *("generations_min", "generations_median", "generations_max"),
        )
    )


def cumulative_success(files: Files) -> pl.LazyFrame:
    """What is known of a run's end stands in each of its rows: one pass."""
    generation, outcome = pl.col("generation"), pl.col("outcome")
    is_end = generation == generation.max()
    return (
        files.generations.select("run_uuid", "generation", "outcome")
        .group_by("run_uuid")
        .agg("generation", outcome.max_by("generation").alias("final"), is_end.alias("is_end"))
        .filter(pl.col("final") != "continue")
        .join(_grouped(files), on="run_uuid")
        .explode("generation", "is_end")
        .group_by("g", "generation")
        .agg((pl.col("is_end") & (pl.col("final") == "success")).sum().alias("new"), pl.col("is_end").sum())
        .with_columns(
            pl.col("is_end").sum().over("g").alias("runs"),
            pl.col("new").cum_sum().over("g", order_by="generation").alias("solved"),
        )
        .select(
            *("g", "generation", "runs", "solved"),
            *_rates("probability", pl.col("solved").cast(pl.Float64), pl.col("runs").cast(pl.Float64)),
        )
    )


def error_curves(files: Files) -> pl.LazyFrame:
    """NaN contributes nothing."""
    best = pl.col("total_error_min").fill_nan(None)
    return (
        files.generations.select(*_RUN_GENERATION, best.alias("best"))
        .join(_grouped(files), on="run_uuid")
        .group_by("g", "generation")
        .agg(
            pl.col("best").count().alias("runs"),
            pl.col("best").median().alias("best_median"),
            pl.col("best").quantile(0.25, "linear").alias("best_q1"),
            pl.col("best").quantile(0.75, "linear").alias("best_q3"),
            pl.col("best").mean().alias("best_mean"),
        )
    )


def size_curves(files: Files) -> pl.LazyFrame:
    """The report is a map."""
    report = pl.col("report").map
    sizes = {
        "genome_size": pl.col("genome_size_mean").fill_nan(None),
        "program_size": pl.coalesce(
            pl.col("program_size_mean").fill_nan(None), report.get("mean-program-size").fill_nan(None)
        ),
        "percent_parens": report.get("mean-program-percent-params").fill_nan(None),
    }
    return (
        files.generations.select(*_RUN_GENERATION, **sizes)
        .join(_grouped(files), on="run_uuid")
        .group_by("g", "generation")
        .agg(
            pl.len().alias("runs"),
            *(
                pl.col(name).quantile(share, "linear").alias(f"{name}{at}")
                for name in sizes
                for at, share in (("", 0.5), ("_q1", 0.25), ("_q3", 0.75))
            ),
        )
    )


def ert(files: Files) -> pl.LazyFrame:
    """A lost generation is charged like the one after it."""
    ordered = [pl.col(name).sort_by("generation") for name in ("generation", "population_size")]
    ends = (
        files.generations.select(*_RUN_GENERATION, "population_size", "outcome")
        .group_by("run_uuid")
        .agg(
            (ordered[1].cast(pl.Int64) * (ordered[0] - ordered[0].shift(1, fill_value=-1))).sum().alias("spent"),
            (pl.col("outcome").max_by("generation") == "success").alias("reached"),
        )
    )
    counts = (
        ends.join(_grouped(files), on="run_uuid")
        .group_by("g")
        .agg(
            pl.len().alias("runs"),
            pl.col("reached").sum().alias("successes"),
            pl.col("spent").sum().alias("evaluations"),
        )
    )
    reached = pl.col("successes")
    return counts.with_columns((pl.col("evaluations") / pl.when(reached > 0).then(reached)).alias("ert"))


def diversity(files: Files) -> pl.LazyFrame:
    """Null is no value."""
    counted = {"error_vectors": pl.col("errors"), "total_errors": pl.col("total_error").fill_nan(None)}
    counted["programs"] = pl.col("program")
    size = pl.col("population_size")
    return (
        files.individuals.select(*_RUN_GENERATION, **counted)
        .group_by(_RUN_GENERATION)
        .agg(pl.len().alias("population_size"), *(pl.col(name).drop_nulls().n_unique() for name in counted))
        .with_columns(
            pl.col("error_vectors") / size,
            pl.col("total_errors") / size,
            pl.when(pl.col("programs") > 0).then(pl.col("programs") / size),
        )
    )


def age_error(files: Files) -> pl.LazyFrame:
    """Everything is streamed through."""
    parents = pl.when(pl.col("ids").is_null()).then(pl.col("parent_uuids_text").list.len() == 0)
    is_genesis = parents.otherwise(pl.col("ids").list.len() == 1).fill_null(False)
    return files.individuals.filter(pl.col("age").is_not_nan(), pl.col("total_error").is_not_nan()).select(
        *_RUN_GENERATION, "location", "age", "total_error", is_genesis.alias("is_genesis")
    )


def lexicase_stats(files: Files) -> pl.LazyFrame:
    """Equal errors are counted first; generations are numbered, so that many rows are grouped by numbers."""
    at = _generations(files)
    error, n = pl.col("errors"), pl.col("n")
    return (
        _errors(files, at)
        .group_by("at", "case", error.fill_nan(None))
        .agg(pl.len().alias("n"))
        .group_by("at", "case")
        .agg(
            n.filter(error.is_not_null()).sum().alias("individuals"),
            error.min().alias("least_error"),
            pl.when(error.count() > 0).then(n.min_by("errors")).otherwise(0).alias("elite"),
            n.filter(error == 0).sum().alias("zero"),
        )
        .join(at, on="at")
        .select(*_RUN_GENERATION, "case", "individuals", "least_error", "elite", "zero")
    )


def elite_cases(files: Files) -> pl.LazyFrame:
    """The least errors of a generation are a vector again, and subtracted from the others, which stay lists."""
    at = _generations(files)
    errors, value = pl.col("errors"), pl.element()
    least = _errors(files, at).group_by("at", "case").agg(pl.col("errors").fill_nan(None).min())
    vectors = least.group_by("at").agg(pl.col("errors").sort_by("case").alias("least")).join(at, on="at")
    cases = _count(errors, value.is_not_nan())
    # Of two equal infinities the difference is NaN, too.
    elite = _count(pl.col("above"), (value == 0) | value.is_nan()) - _count(errors, value.is_nan())
    return (
        files.individuals.select(*_RUN_GENERATION, "location", "errors")
        .filter(errors.list.len() > 0)
        .join(vectors.select(*_RUN_GENERATION, "least"), on=_RUN_GENERATION)
        .with_columns(
            (errors - pl.col("least").list.head(errors.list.len()).list.eval(value.fill_null(math.nan))).alias("above")
        )
        .select(
            *_RUN_GENERATION,
            "location",
            cases.alias("cases"),
            elite.alias("elite_cases"),
            _count(errors, value == 0).alias("zero_cases"),
        )
    )


def instruction_frequency(files: Files, streaming: bool) -> pl.LazyFrame:
    """Types that follow from how an instruction is written are not stored: they are worked out once counted.

    The streaming engine counts rows of genes fastest; in memory it is quicker to count the genes of each run apart.
    """
    stored = (
        files.individuals.select("run_uuid", "gene_instruction", "gene_type")
        .filter(pl.col("gene_type").is_not_null())
        .explode("gene_instruction", "gene_type")
        .group_by("run_uuid", "gene_instruction", "gene_type")
        .len("n")
    )
    by_look = files.individuals.select("run_uuid", "gene_instruction", "gene_type").filter(
        pl.col("gene_type").is_null(), pl.col("gene_instruction").list.len() > 0
    )
    if streaming:
        counted = by_look.select("run_uuid", "gene_instruction").explode("gene_instruction")
        counted = counted.group_by("run_uuid", "gene_instruction").len("n")
    else:
        counted = by_look.group_by("run_uuid").agg(pl.col("gene_instruction").explode().value_counts(name="n"))
        counted = counted.explode("gene_instruction").unnest("gene_instruction")
    counted = counted.select("run_uuid", "gene_instruction", pl.lit(None, pl.String).alias("gene_type"), "n")
    instruction = pl.col("instruction")
    look = pl.lit("string")
    for name, pattern in reversed(TYPE_PATTERNS):
        look = pl.when(instruction.str.contains(pattern)).then(pl.lit(name)).otherwise(look)
    return (
        pl.concat([stored, counted])
        .rename({"gene_instruction": "instruction"})
        .with_columns(pl.coalesce("gene_type", look).alias("type"))
        .group_by("run_uuid", "instruction", "type")
        .agg(pl.col("n").sum())
        .join(_grouped(files), on="run_uuid")
        .group_by("g", "instruction", "type")
        .agg(pl.col("n").sum().alias("genes"), pl.len().alias("runs"))
        .select(
            "g",
            "instruction",
            "type",
            "genes",
            (pl.col("genes") / pl.col("genes").sum().over("g")).alias("share"),
            "runs",
        )
    )


def winner(files: Files, run: str) -> pl.LazyFrame:
    """The best of the last generation of a run; of equals the one of the lowest location."""
    mine = pl.col("run_uuid") == run
    last = files.generations.filter(mine).select(pl.col("generation").max())
    return (
        files.individuals.filter(mine)
        .select(*_RUN_GENERATION, "location", "total_error")
        .join(last, on="generation", how="semi")
        .filter(pl.col("total_error").is_not_nan())
        .sort("total_error", "location")
        .head(1)
        .select(*_RUN_GENERATION, "location")
    )


def _grouped(files: Files) -> pl.LazyFrame:
    """The config holds JSON texts."""
    return files.runs.select("run_uuid", pl.col("config").map.get(BY).str.strip_chars('"').alias("g"))


def _generations(files: Files) -> pl.LazyFrame:
    return files.generations.select(_RUN_GENERATION).with_row_index("at")


def _errors(files: Files, at: pl.LazyFrame) -> pl.LazyFrame:
    """A row for each error, with the number of its generation and its case."""
    cases = pl.int_ranges(0, pl.col("errors").list.len(), dtype=pl.UInt32)
    return (
        files.individuals.select(*_RUN_GENERATION, "errors")
        .join(at, on=_RUN_GENERATION)
        .select("at", "errors", cases.alias("case"))
        .explode("errors", "case", keep_nulls=False)
    )


def _count(lists: pl.Expr, which: pl.Expr) -> pl.Expr:
    return lists.list.eval(which).list.sum()


def _rates(name: str, k: pl.Expr, n: pl.Expr) -> tuple[pl.Expr, ...]:
    """The rate, and Wilson's interval."""
    low, high = _wilson(k, n), 1 - _wilson(n - k, n)
    return (k / n).alias(name), low.alias(f"{name}_low"), high.alias(f"{name}_high")


def _wilson(k: pl.Expr, n: pl.Expr) -> pl.Expr:
    return (2 * k + _Z * _Z - _Z * (_Z * _Z + 4 * k * (n - k) / n).sqrt()) / (2 * (n + _Z * _Z))


def ancestry(files: Files, run: str, collect: Collect) -> pl.DataFrame:
    """Walk from the winner to its ancestors."""
    ((_, last, location),) = collect(winner(files, run)).rows()
    return walk(files.individuals.filter(pl.col("run_uuid") == run), last, location, collect)


_OF_ALL = (
    last_generation,
    success_table,
    cumulative_success,
    error_curves,
    size_curves,
    ert,
    diversity,
    age_error,
    lexicase_stats,
    elite_cases,
)


def answers(engine: EngineType) -> dict[str, Callable[[Files, str], pa.Table]]:
    """The answer to each question, its queries collected by an engine of Polars."""

    def collect(query: pl.LazyFrame) -> pl.DataFrame:
        frame = query.collect(engine=engine)
        assert isinstance(frame, pl.DataFrame)
        return frame

    def of_all(query: Callable[[Files], pl.LazyFrame]) -> Callable[[Files, str], pa.Table]:
        return lambda files, run: collect(query(files)).to_arrow()

    return {
        **{query.__name__: of_all(query) for query in _OF_ALL},
        "instruction_frequency": lambda files, run: collect(
            instruction_frequency(files, engine == "streaming")
        ).to_arrow(),
        "winner": lambda files, run: collect(winner(files, run)).to_arrow(),
        "ancestry": lambda files, run: ancestry(files, run, collect).to_arrow(),
    }
