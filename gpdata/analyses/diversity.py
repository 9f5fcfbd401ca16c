"""How different the individuals of a generation are."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.formulas import with_formulas
from gpdata.analyses.frames import give_back, names_of, on_spark, take, wrap
from gpdata.analyses.reported import with_reported
from gpdata.schema import GENERATIONS, INDIVIDUALS, Column, Type


def _share(name: str, what: str, source: str, null: str) -> Column:
    return Column(name, Type.DOUBLE, f"different {what} / population size", source, null, "share of the population")


DIVERSITY = (
    *(GENERATIONS[name] for name in ("run_uuid", "generation", "population_size")),
    _share("error_vectors", "error vectors", "errors", "no individual has errors"),
    _share("total_errors", "total errors", "total_error", "no individual has a total_error that is a number"),
    _share("genomes", "genomes, gene uuids included,", "gene_*", "no genome was sent"),
    _share("programs", "programs", "program; report", "no program was sent"),
    _share("behaviors", "behavior vectors", "behaviors", "no behavior was sent"),
)
"""The result columns of `diversity`."""

_GENES = [column.name for column in INDIVIDUALS.columns if column.name.startswith("gene_")]
_COUNTED = {
    "error_vectors": "distinct_error_vectors",
    "total_errors": "distinct_total_errors",
    "genomes": "distinct_genomes",
    "programs": "distinct_programs",
    "behaviors": "distinct_behaviors",
}
"""The column of generations that counts what each result column is a share of."""

_ON_SPARK = f"""
SELECT run_uuid, generation, count(*) AS population_size,
  nullif(count(DISTINCT errors), 0) AS distinct_error_vectors,
  nullif(count(DISTINCT nanvl(total_error, NULL)), 0) AS distinct_total_errors,
  nullif(count(DISTINCT IF(gene_instruction IS NULL, NULL, struct({", ".join(_GENES)}))), 0) AS distinct_genomes,
  nullif(count(DISTINCT program), 0) AS distinct_programs,
  nullif(count(DISTINCT behaviors), 0) AS distinct_behaviors
FROM {{individuals}} GROUP BY run_uuid, generation"""


def diversity(individuals: IntoFrameT) -> IntoFrameT:
    """Return how many different error vectors, genomes, programs and behaviors each population has, by its size.

    Parameters
    ----------
    individuals : frame
        `lab.individuals`; or `lab.generations`, which holds the numbers as they were counted when the lines came
        in: the same answer without reading an individual, and the only way to `programs` for Clojush runs.

    Returns
    -------
    frame
        One row per run and generation, ordered so, with the columns of `DIVERSITY`:

        - `run_uuid`, `generation`, `population_size` (individuals).
        - `error_vectors`, `total_errors`, `genomes`, `programs`, `behaviors`: the number of different ones / the
          population size, above 0 and at most 1; null where no individual has one.

    Raises
    ------
    InvalidInput
        `individuals` is not a frame.
    UnknownColumn
        A column is missing.

    Notes
    -----
    An individual that lacks the value counts in the population size only. Error vectors are equal if all their
    numbers are: 0 and -0.0 are one number, NaN is equal to NaN. Genomes are equal if their genes are in all that was
    recorded of them, the uuids too: where genes have uuids, every genome is different.

    Clojush sends no programs, but reports how many of them are different: from `lab.generations`, `programs` is the
    sender's own number (`percent-programs-unique`) where no program was recorded. What a producer sent of a genome
    that no column holds (`extra`) was counted when the line came in, and is not seen in `lab.individuals`.

    Source: the population diversity statistics of Clojush; behavioral diversity: Jackson, D. (2010), "Promoting
    phenotypic diversity in genetic programming", PPSN XI.

    Examples
    --------
    >>> import polars as pl
    >>> rows = {"run_uuid": ["a"] * 4, "generation": [0] * 4, "total_error": [3.0, 3.0, 3.0, 0.0]}
    >>> rows |= {"errors": [[1.0, 2.0], [2.0, 1.0], [1.0, 2.0], [0.0, 0.0]], "program": ["p", "q", "r", "s"]}
    >>> rows |= {name: [None] * 4 for name in ("behaviors", "gene_instruction", "gene_type", "gene_close")}
    >>> rows |= {f"gene_{name}": [None] * 4 for name in ("silent", "uuid", "parent_uuid", "random_insertion")}
    >>> diversity(pl.DataFrame(rows)).drop("run_uuid").rows()
    [(0, 4, 0.75, 0.5, None, 1.0, None)]
    """
    given = wrap(individuals, INDIVIDUALS.name)
    counted = "population_size" in names_of(given)
    rows = _as_recorded(individuals) if counted else _count(individuals)
    shares = with_formulas(
        rows, lambda column: {name: column(count) / column("population_size") for name, count in _COUNTED.items()}
    )
    if counted:
        shares = shares.with_columns(programs=nw.coalesce("programs", "reported_programs"))
    return give_back(shares.sort("run_uuid", "generation"), {}, DIVERSITY, individuals)


def _as_recorded(generations: Any) -> nw.LazyFrame[Any]:
    """Take the counts that were made when the lines came in."""
    reported = {"reported_programs": "percent-programs-unique"}
    needed = ["run_uuid", "generation", "population_size", *_COUNTED.values()]
    names = {name: name for name in reported}
    return take(with_reported(generations, reported), GENERATIONS, needed, **names)


def _count(individuals: Any) -> nw.LazyFrame[Any]:
    """Count the different values of each generation among the individuals that have one."""
    needed = ["run_uuid", "generation", "total_error", "errors", "behaviors", "program"]
    same = {name: name for name in _GENES}
    given = take(individuals, INDIVIDUALS, needed, **same)
    if given.implementation.is_spark_like():
        return on_spark(_ON_SPARK, individuals=given)
    rows = given.with_columns(
        nw.when(~nw.col("total_error").is_nan()).then(nw.col("total_error")).alias("total_error"),
        no_genome=nw.col("gene_instruction").is_null(),
        genome=nw.struct(*_GENES),
    )
    counted = {
        "error_vectors": "errors",
        "total_errors": "total_error",
        "programs": "program",
        "behaviors": "behaviors",
    }
    distinct = {count: _distinct(counted[name]) for name, count in _COUNTED.items() if name in counted}
    # Individuals without a genome have one genome more, of nothing but nulls.
    distinct["distinct_genomes"] = nw.col("genome").n_unique() - nw.col("no_genome").cast(nw.Int32).max()
    counts = rows.group_by("run_uuid", "generation").agg(
        nw.len().alias("population_size"), *(value.alias(name) for name, value in distinct.items())
    )
    return counts.with_columns(*(nw.when(nw.col(name) > 0).then(nw.col(name)) for name in _COUNTED.values()))


def _distinct(column: str) -> nw.Expr:
    """Count different values, null being none."""
    return nw.col(column).n_unique() - (nw.col(column).count() < nw.len()).cast(nw.Int32)
