"""How many evaluations it takes to reach a target: expected running time, and shares of targets reached."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.formulas import with_formulas
from gpdata.analyses.frames import check_same_engine, give_back, group_keys, grouped_runs, on_spark, take
from gpdata.errors import InvalidInput
from gpdata.schema import GENERATIONS, Column, Type

_BY_OUTCOME = "reached means that the sender calls the run a success"

ERT = (
    Column("target", Type.DOUBLE, "best_so_far that is to be reached", "given", _BY_OUTCOME, "error"),
    Column("runs", Type.INT, "runs of the group with a recorded generation", "computed", unit="runs"),
    Column("successes", Type.INT, "of these, runs that reached the target", "best_so_far, or outcome", unit="runs"),
    Column(
        "evaluations",
        Type.DOUBLE,
        "evaluations of all these runs, each until it reached the target or ended",
        "population_size",
        unit="evaluations",
    ),
    Column(
        "ert",
        Type.DOUBLE,
        "expected running time: evaluations / successes",
        "computed",
        "no run reached the target",
        "evaluations",
    ),
)
"""The columns that `ert` adds to the columns of `by`."""

ECDF = (
    Column("evaluations", Type.DOUBLE, "evaluations of a run", "population_size", unit="evaluations"),
    Column("pairs", Type.INT, "pairs of a run of the group and a target", "computed", unit="pairs"),
    Column("reached", Type.INT, "pairs whose target was reached within these evaluations", "computed", unit="pairs"),
    Column("share", Type.DOUBLE, "reached / pairs", "computed", unit="share of pairs"),
)
"""The columns that `ecdf` adds to the columns of `by`."""

# What `_reached` works out step by step, in one text; the words in capitals stand for the targets and the group.
_REACHED_ON_SPARK = """
SELECT run_uuid, max(evaluations) AS spent, REACHED FROM (
  SELECT *, sum(charged) OVER (
      PARTITION BY run_uuid ORDER BY generation ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS evaluations,
    max(generation) OVER (PARTITION BY run_uuid) AS ended_at
  FROM (
    SELECT *, CAST(population_size AS DOUBLE) *
      (generation - coalesce(lag(generation) OVER (PARTITION BY run_uuid ORDER BY generation), -1)) AS charged
    FROM {generations}))
GROUP BY run_uuid"""
_ERT_ON_SPARK = """
SELECT BY, target, count(*) AS runs, count(reached) AS successes, sum(coalesce(reached, spent)) AS evaluations,
  try_divide(sum(coalesce(reached, spent)), count(reached)) AS ert
FROM (SELECT *, inline(array(TARGETS)) FROM {ends})
GROUP BY BY, target ORDER BY BY, target DESC"""


def ert(
    generations: IntoFrameT,
    runs: IntoFrameT,
    *,
    by: str | Sequence[str],
    targets: float | Sequence[float] | None = None,
) -> IntoFrameT:
    """Return the expected running time to each target, every run charged what it spent itself.

    Parameters
    ----------
    generations : frame
        `lab.generations`.
    runs : frame
        `lab.runs`: the runs that are asked about.
    by : str or sequence of str
        Columns of `runs`, keys of the config among them. A run that lacks the key (null) is in a group of its
        own; `[]` makes one group of all runs.
    targets : float or sequence of float, optional
        Errors. A run reaches a target at the first generation whose `best_so_far` is at most that, whatever its
        outcome. None: the one target is to be called a success by the sender, at the run's end.

    Returns
    -------
    frame
        One row per group and target, ordered by the columns of `by`, nulls first, and from the greatest target to
        the least; the columns of `by`, then those of `ERT`:

        - `target`: the error; null where success is the sender's word.
        - `runs`, `successes`: runs that have a recorded generation, and those of them that reached the target.
        - `evaluations`: the sum over these runs, each until it reached the target or ended.
        - `ert`: evaluations / successes; null where there is no success, for it is not finite then.

    Raises
    ------
    InvalidInput
        A target is not a finite number or there is none, a frame is none, the frames are of different engines, or a
        column of `by` is called like a result column.
    UnknownColumn
        A column is missing.

    Notes
    -----
    ERT = (sum over runs of evaluations until the target or the end) / (number of runs that reached it).

    Evaluations are the population sizes of a run's generations, added up; a generation that was lost is charged like
    the recorded one after it, for it was evaluated. A generation counts as a whole, also that in which the target was
    reached. A run that failed or was killed is charged its own evaluations, not the budget of the longest run, as some
    programs do: the two agree where all failures spent the same.

    References
    ----------
    Hansen, N. et al. (2021), "COCO: a platform for comparing continuous optimizers in a black-box setting",
    Optimization Methods and Software 36:114-144. Price, K. V. (1997), "Differential evolution vs. the functions of the
    2nd ICEO", ICEC: success performance.

    Examples
    --------
    >>> import polars as pl
    >>> generations = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a", "a", "b", "b", "b"],
    ...         "generation": [0, 1, 0, 1, 2],
    ...         "best_so_far": [7.0, 0.0, 9.0, 6.0, 6.0],
    ...         "population_size": [100, 100, 100, 100, 100],
    ...     }
    ... )
    >>> runs = pl.DataFrame({"run_uuid": ["a", "b"], "problem": ["odd", "odd"]})
    >>> ert(generations, runs, by="problem", targets=[8, 0, -1]).rows()
    [('odd', 8.0, 2, 2, 300.0, 150.0), ('odd', 0.0, 2, 1, 500.0, 500.0), ('odd', -1.0, 2, 0, 500.0, None)]
    """
    known = _targets(targets)
    ends, keys = _reached(generations, runs, by, known, ERT)
    group = group_keys(keys)
    if ends.implementation.is_spark_like():
        texts = ("CAST(NULL AS DOUBLE)" if target is None else f"{target!r}D" for target in known)
        pairs = (f"struct({text} AS target, reached_{index} AS reached)" for index, text in enumerate(texts))
        text = _ERT_ON_SPARK.replace("TARGETS", ", ".join(pairs)).replace(" BY,", f" {', '.join(group)},")
        return give_back(on_spark(text, ends=ends), keys, ERT, generations)
    table = (
        _long(ends, known)
        .with_columns(charged=nw.when(nw.col("reached").is_null()).then(nw.col("spent")).otherwise(nw.col("reached")))
        .group_by(*group, "target")
        .agg(
            nw.len().alias("runs"),
            nw.col("reached").count().alias("successes"),
            nw.col("charged").sum().alias("evaluations"),
        )
        .with_columns(reaching=nw.when(nw.col("successes") > 0).then(nw.col("successes")))
    )
    table = with_formulas(table, lambda column: {"ert": column("evaluations") / column("reaching")}).sort(
        *group, "target", descending=[False] * len(group) + [True]
    )
    return give_back(table, keys, ERT, generations)


def ecdf(
    generations: IntoFrameT,
    runs: IntoFrameT,
    *,
    by: str | Sequence[str],
    targets: float | Sequence[float] | None = None,
) -> IntoFrameT:
    """Return the share of pairs of run and target that is reached within each number of evaluations.

    Parameters
    ----------
    generations, runs, by, targets
        As `ert` takes them. The same targets for all groups make these comparable.

    Returns
    -------
    frame
        One row per group and number of evaluations at which some pair was reached, and one at the evaluations of the
        group's longest run; ordered by the columns of `by`, nulls first, and evaluations. The columns of `by`, then
        those of `ECDF`: `evaluations` of one run, `pairs`, `reached` within them, and `share`, from 0 to 1. None of
        them is null. Between two rows the share is that of the first; before the first row it is 0.

    Raises
    ------
    InvalidInput
        As `ert` raises it.
    UnknownColumn
        A column is missing.

    Notes
    -----
    share(t) = (pairs of run and target with evaluations until the target <= t) / (runs x targets). Evaluations are
    counted as in `ert`. A run that ended stays as it was: where runs ended early, the curve is a lower bound beyond
    the least evaluations that a failure spent.

    References
    ----------
    Hansen, N. et al. (2021), as for `ert`. Wang, H. et al. (2022), "IOHanalyzer: detailed performance analyses for
    iterative optimization heuristics", ACM TELO 2(1).

    Examples
    --------
    >>> import polars as pl
    >>> generations = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a", "a", "b", "b", "b"],
    ...         "generation": [0, 1, 0, 1, 2],
    ...         "best_so_far": [7.0, 0.0, 9.0, 6.0, 6.0],
    ...         "population_size": [100, 100, 100, 100, 100],
    ...     }
    ... )
    >>> runs = pl.DataFrame({"run_uuid": ["a", "b"], "problem": ["odd", "odd"]})
    >>> ecdf(generations, runs, by="problem", targets=[8, 0]).rows()
    [('odd', 100.0, 4, 1, 0.25), ('odd', 200.0, 4, 3, 0.75), ('odd', 300.0, 4, 3, 0.75)]
    """
    known = _targets(targets)
    ends, keys = _reached(generations, runs, by, known, ECDF)
    group = group_keys(keys)
    # A group's keys may be null, which no join matches: its least run_uuid stands for it.
    ends = ends.with_columns(nw.col("run_uuid").min().over(*group).alias("group"))
    pairs = ends.group_by("group").agg((nw.len() * len(known)).alias("pairs"))
    new = (
        _long(ends, known)
        .filter(~nw.col("reached").is_null())
        .select(*group, "group", evaluations="reached", new=nw.lit(1))
    )
    longest = (
        ends.group_by(*group, "group")
        .agg(nw.col("spent").max().alias("evaluations"))
        .select(*group, "group", "evaluations", new=nw.lit(0))
    )
    curve = (
        nw.concat([new, longest])
        .group_by(*group, "group", "evaluations")
        .agg(nw.col("new").sum())
        .with_columns(reached=nw.col("new").cum_sum().over("group", order_by="evaluations"))
        .join(pairs, on="group", how="inner")
    )
    curve = with_formulas(curve, lambda column: {"share": column("reached") / column("pairs")}).sort(
        *group, "evaluations"
    )
    return give_back(curve, keys, ECDF, generations)


def _targets(given: float | Sequence[float] | None) -> list[float | None]:
    """Read the targets, each once; None stands for the sender's word."""
    if given is None:
        return [None]
    targets = [float(target) for target in ([given] if isinstance(given, int | float) else given)]
    if not targets or not all(map(math.isfinite, targets)):
        raise InvalidInput(f"targets={given!r}: give one error or several, finite numbers, or None for the outcome.")
    return list(dict.fromkeys(targets))


def _reached(
    generations: Any, runs: Any, by: str | Sequence[str], targets: Sequence[float | None], result: Sequence[Column]
) -> tuple[nw.LazyFrame[Any], dict[str, str]]:
    """Count each run's evaluations: all that it `spent`, and those until each target, null where it never got there."""
    check_same_engine(generations=generations, runs=runs)
    grouped, keys = grouped_runs(runs, by, result)
    by_outcome = targets == [None]
    asked = "outcome" if by_outcome else "best_so_far"
    taken = take(generations, GENERATIONS, ["run_uuid", "generation", "population_size", asked])
    if taken.implementation.is_spark_like():
        conditions = (
            "outcome = 'success' AND generation = ended_at" if target is None else f"best_so_far <= {target!r}D"
            for target in targets
        )
        reached = (f"min(IF({hit}, evaluations, NULL)) AS reached_{index}" for index, hit in enumerate(conditions))
        ends = on_spark(_REACHED_ON_SPARK.replace("REACHED", ", ".join(reached)), generations=taken)
        return ends.join(grouped, on="run_uuid", how="inner"), keys
    before = nw.col("generation").shift(1).over("run_uuid", order_by="generation").fill_null(-1)
    charged = nw.col("population_size").cast(nw.Float64) * (nw.col("generation") - before)
    rows = taken.with_columns(
        charged=charged, **({"end": nw.col("generation").max().over("run_uuid")} if by_outcome else {})
    ).with_columns(evaluations=nw.col("charged").cum_sum().over("run_uuid", order_by="generation"))
    hits = [
        (nw.col("outcome") == "success") & (nw.col("generation") == nw.col("end"))
        if target is None
        else nw.col("best_so_far") <= target
        for target in targets
    ]
    marked = rows.with_columns(
        **{f"reached_{index}": nw.when(hit).then(nw.col("evaluations")) for index, hit in enumerate(hits)}
    )
    ends = marked.group_by("run_uuid").agg(
        nw.col("evaluations").max().alias("spent"),
        *(nw.col(f"reached_{index}").min() for index in range(len(targets))),
    )
    return ends.join(grouped, on="run_uuid", how="inner"), keys


def _long(ends: nw.LazyFrame[Any], targets: Sequence[float | None]) -> nw.LazyFrame[Any]:
    """Return one row per run and target: the `target`, and the evaluations until it was `reached`."""
    if len(targets) == 1:
        return ends.with_columns(target=nw.lit(targets[0]).cast(nw.Float64), reached=nw.col("reached_0"))
    # Exploded, for narwhals unpivots DuckDB's relations on the default connection only.
    numbers = ",".join(map(str, range(len(targets))))
    rows = ends.with_columns(which=nw.lit(numbers).str.split(",")).explode("which")
    target = reached = nw.lit(None).cast(nw.Float64)
    for index, value in enumerate(targets):
        is_this = nw.col("which") == str(index)
        reached = nw.when(is_this).then(nw.col(f"reached_{index}")).otherwise(reached)
        if value is not None:
            target = nw.when(is_this).then(nw.lit(value)).otherwise(target)
    return rows.with_columns(target=target, reached=reached)
