"""How genomes and programs grow, generation by generation."""

from __future__ import annotations

from collections.abc import Sequence

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.frames import check_same_engine, give_back, group_keys, grouped_runs, on_spark, take
from gpdata.analyses.reported import with_reported
from gpdata.schema import GENERATIONS, Column, Type


def _over_runs(name: str, what: str, source: str, unit: str) -> tuple[Column, ...]:
    null = "it is known of no run here"
    return (
        Column(name, Type.DOUBLE, f"median over the runs of the population's mean {what}", source, null, unit),
        Column(f"{name}_q1", Type.DOUBLE, "first quartile (linear interpolation)", source, null, unit),
        Column(f"{name}_q3", Type.DOUBLE, "third quartile (linear interpolation)", source, null, unit),
    )


SIZE_CURVES = (
    GENERATIONS["generation"],
    Column("runs", Type.INT, "runs that have a row at this generation", "generation", unit="runs"),
    *_over_runs("genome_size", "genome size", "genome_size_mean", "genes"),
    *_over_runs("program_size", "program size", "program_size_mean, else report", "points"),
    *_over_runs("percent_parens", "share of parentheses", "report", "fraction"),
)
"""The columns that `size_curves` adds to the columns of `by`."""

_REPORTED = {"reported_size": "mean-program-size", "percent_parens": "mean-program-percent-params"}

_SIZES = ("genome_size", "program_size", "percent_parens")
# The three quartiles of a size from one percentile: its values are collected once.
_ON_SPARK = f"""
SELECT *, {", ".join(f"{of}_of[1] AS {of}, {of}_of[0] AS {of}_q1, {of}_of[2] AS {of}_q3" for of in _SIZES)}
FROM (
  SELECT BY, generation, count(*) AS runs,
    percentile(nanvl(genome_size_mean, NULL), array(0.25, 0.5, 0.75)) AS genome_size_of,
    percentile(coalesce(nanvl(program_size_mean, NULL), nanvl(reported_size, NULL)), array(0.25, 0.5, 0.75))
      AS program_size_of,
    percentile(nanvl(percent_parens, NULL), array(0.25, 0.5, 0.75)) AS percent_parens_of
  FROM {{generations}} JOIN {{runs}} USING (run_uuid) GROUP BY BY, generation)
ORDER BY BY, generation"""


def size_curves(generations: IntoFrameT, runs: IntoFrameT, *, by: str | Sequence[str]) -> IntoFrameT:
    """Summarise over the runs of each group, at each generation, how large genomes and programs are.

    Parameters
    ----------
    generations : frame
        `lab.generations`; no individual is read.
    runs : frame
        `lab.runs`: the runs that are asked about. Generations of other runs are left out.
    by : str or sequence of str
        Columns of `runs`, keys of the config among them. A run that lacks the key (null) is in a group of its
        own; `[]` makes one group of all runs.

    Returns
    -------
    frame
        One row per group and generation that some run of the group has, ordered by the columns of `by`, nulls
        first, and generation; the columns of `by`, then those of `SIZE_CURVES`:

        - `generation`, and `runs`: the number of runs that have a row there.
        - `genome_size` (genes), `program_size` (points), `percent_parens` (a fraction: parentheses / points): the
          median over those runs of the mean over the run's population; null where no run knows it.
        - each with `_q1` and `_q3`: the quartiles over the runs, by linear interpolation.

    Raises
    ------
    InvalidInput
        A frame is none, the frames are of different engines, or a column of `by` is called like a result column.
    UnknownColumn
        A column is missing.

    Notes
    -----
    The mean genome size is gpdata's own, made when the line came in. The mean program size too, where the producer
    sends the size of each program; Clojush sends none, but reports the mean (`mean-program-size`), which is taken
    then. The share of parentheses is always the sender's (`mean-program-percent-params`, so spelled).

    A run counts until it ends: where solved runs stop, the others are left, and a curve may bend for that alone.

    Source: the population statistics of Clojush.

    Examples
    --------
    >>> import polars as pl
    >>> key = {"run_uuid": ["a", "b"], "generation": [0, 0], "genome_size_mean": [20.0, 30.0]}
    >>> generations = pl.DataFrame(
    ...     key | {"program_size_mean": [25.0, None], "report": [{"x": 1.0}, {"mean-program-size": 41.0}]},
    ...     schema_overrides={"report": pl.Map(pl.String, pl.Float64)},
    ... )
    >>> runs = pl.DataFrame({"run_uuid": ["a", "b"], "problem": ["odd", "odd"]})
    >>> curve = size_curves(generations, runs, by="problem")
    >>> curve.select("problem", "generation", "runs", "genome_size", "program_size", "percent_parens").rows()
    [('odd', 0, 2, 25.0, 33.0, None)]
    """
    check_same_engine(generations=generations, runs=runs)
    grouped, keys = grouped_runs(runs, by, SIZE_CURVES)
    needed = ["run_uuid", "generation", "genome_size_mean", "program_size_mean"]
    rows = take(with_reported(generations, _REPORTED), GENERATIONS, needed, **{name: name for name in _REPORTED})
    group = group_keys(keys)
    if rows.implementation.is_spark_like():
        text = _ON_SPARK.replace(" BY,", f" {', '.join(group)},")
        return give_back(on_spark(text, generations=rows, runs=grouped), keys, SIZE_CURVES, generations)
    rows = rows.with_columns(
        of_genome_size=_number("genome_size_mean"),
        of_program_size=nw.coalesce(_number("program_size_mean"), _number("reported_size")),
        of_percent_parens=_number("percent_parens"),
    ).join(grouped, on="run_uuid", how="inner")
    curve = (
        rows.group_by(*group, "generation")
        .agg(
            nw.len().alias("runs"),
            *(nw.col(f"of_{name}").median().alias(name) for name in _SIZES),
            *(
                nw.col(f"of_{name}").quantile(share, interpolation="linear").alias(f"{name}_{at}")
                for name in _SIZES
                for at, share in (("q1", 0.25), ("q3", 0.75))
            ),
        )
        .sort(*group, "generation")
    )
    return give_back(curve, keys, SIZE_CURVES, generations)


def _number(name: str) -> nw.Expr:
    """A mean that is no number is none, to any engine."""
    return nw.when(~nw.col(name).is_nan()).then(nw.col(name))
