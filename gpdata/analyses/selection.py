"""Who is chosen as a parent, how often, and how often a few are chosen for nearly everything."""

from __future__ import annotations

from collections.abc import Sequence

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from narwhals.stable.v2.typing import IntoFrameT

from gpdata.analyses.frames import check_columns, give_back, give_rows, run_names, wrap
from gpdata.analyses.genealogy import Flags, Genealogy, Numbers, genealogy
from gpdata.errors import InvalidInput
from gpdata.schema import INDIVIDUALS, Column, Type

_MISSING = "a parent that was not recorded"

SELECTION_COUNTS = (
    INDIVIDUALS["run_uuid"],
    *(Column(name, Type.INT, INDIVIDUALS[name].meaning, name, _MISSING) for name in ("generation", "location")),
    INDIVIDUALS["uuid"],
    Column("selections", Type.INT, "times the individual was taken as a parent", "parent_uuids", unit="selections"),
    Column("children", Type.INT, "individuals that were made of it", "parent_uuids", unit="individuals"),
)
"""The result columns of `selection_counts`."""

HYPERSELECTION = (
    *(INDIVIDUALS[name] for name in ("run_uuid", "generation")),
    Column("percent", Type.DOUBLE, "the least share of the selections, in percent", "percents", unit="percent"),
    Column("individuals", Type.INT, "individuals with at least that share", "selection_counts", unit="individuals"),
    Column("selections", Type.INT, "selections of the generation's individuals", "selection_counts", unit="selections"),
)
"""The result columns of `hyperselection`."""


def selection_counts(individuals: IntoFrameT, *, runs: str | Sequence[str] | None = None) -> IntoFrameT:
    """Count how many times each individual was taken as a parent.

    Parameters
    ----------
    individuals : frame
        `lab.individuals`.
    runs : str or sequence of str, optional
        The `run_uuid` of the runs to read, all by default. Name them in a large lake: see the notes.

    Returns
    -------
    frame
        One row per individual, and one per run and parent that is missing, ordered by run, generation and location,
        the missing ones last, with the columns of `SELECTION_COUNTS`:

        - `run_uuid`, `generation`, `location`, `uuid`: the individual, chosen or not. A parent that was not
          recorded, as after a lost line, has its uuid, and null as its generation and location.
        - `selections`: how often it was taken as a parent. Parents are a multiset: a child of twice the same parent
          counts two. 0 for all of the last generation, of which no child was recorded.
        - `children`: how many individuals were made of it; such a child counts one.

        No count is null.

    Raises
    ------
    InvalidInput
        `individuals` is not a frame, or `runs` is neither a text nor a list of texts.
    UnknownColumn
        A column is missing.

    Notes
    -----
    A birth counts, not a row: an individual that is carried over, under its uuid and with the parents that it had
    before, as a preserved frontier and (mu + lambda) selection do, was not made again, and of several copies in a
    generation one is counted. A child that lists itself was reproduced, that is, selected, and each such row counts.

    A uuid may be in several rows, of which one is taken for all: that of the lowest location in the nearest earlier
    generation. The counts of its other rows are 0.

    Keys, uuids and parents of the chosen runs are collected and counted in memory; the result is a frame of the
    engine that was given.

    Source: Helmuth, T., McPhee, N. F., Spector, L. (2016), "The impact of hyperselection on lexicase selection",
    GECCO 2016.

    Examples
    --------
    >>> import polars as pl
    >>> individuals = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a"] * 5,
    ...         "generation": [0, 0, 1, 1, 1],
    ...         "location": [0, 1, 0, 1, 2],
    ...         "uuid": ["p", "q", "r", "s", "p"],
    ...         "parent_uuids": [None, None, ["p", "p"], ["q", "lost"], ["p"]],
    ...     }
    ... )
    >>> selection_counts(individuals).drop("run_uuid").head(2).rows()
    [(0, 0, 'p', 3, 2), (0, 1, 'q', 1, 1)]
    >>> selection_counts(individuals).drop("run_uuid").tail(1).rows()
    [(None, None, 'lost', 1, 1)]
    """
    lines = genealogy(individuals, None if runs is None else run_names("runs", runs))
    edges = np.flatnonzero(births(lines)[lines.child])
    found, lost = edges[lines.parent[edges] >= 0], edges[lines.parent[edges] < 0]
    rows = lines.rows.select(["run_uuid", "generation", "location", "uuid"]).take(lines.order)
    selections, children = (
        counts[lines.order] for counts in _count(lines.parent[found], lines.child[found], len(lines.run))
    )
    missing = pa.table(
        {
            "run_uuid": lines.rows["run_uuid"].take(lines.child[lost]),
            "uuid": lines.parent_uuid.take(pa.array(lost)),
            "child": lines.child[lost],
        }
    )
    missing = missing.group_by(["run_uuid", "uuid"]).aggregate([("child", "count"), ("child", "count_distinct")])
    missing = missing.sort_by([("run_uuid", "ascending"), ("uuid", "ascending")])
    nothing = pa.nulls(missing.num_rows, pa.int32())
    columns = {
        "run_uuid": _joined(rows["run_uuid"], missing["run_uuid"]),
        "generation": _joined(rows["generation"], nothing),
        "location": _joined(rows["location"], nothing),
        "uuid": _joined(rows["uuid"], missing["uuid"]),
        "selections": np.concatenate([selections, missing["child_count"].to_numpy()]),
        "children": np.concatenate([children, missing["child_count_distinct"].to_numpy()]),
    }
    return give_rows(columns, SELECTION_COUNTS, individuals, "selection_counts")


def hyperselection(counts: IntoFrameT, *, percents: Sequence[float] = (1, 5, 10)) -> IntoFrameT:
    """Count in each generation the individuals that got at least some percent of its selections.

    Parameters
    ----------
    counts : frame
        What `selection_counts` returned, whole generations of it.
    percents : sequence of float
        Above 0 and at most 100.

    Returns
    -------
    frame
        One row per run, generation of which somebody was selected, and percent, ordered so, with the columns of
        `HYPERSELECTION`:

        - `run_uuid`, `generation`: the generation of the parents.
        - `percent`: one of `percents`.
        - `individuals`: those whose selections are at least that percent of the generation's.
        - `selections`: all of the generation, above 0. Parents that were not recorded are of no generation.

    Raises
    ------
    InvalidInput
        `counts` is not a frame, or `percents` has none or one out of range.
    UnknownColumn
        A column is missing.

    Notes
    -----
    The generation is that in which the parent's row was counted, normally the one before the children's.

    Source: Helmuth, T., McPhee, N. F., Spector, L. (2016), "The impact of hyperselection on lexicase selection",
    GECCO 2016, where an individual is hyperselected that has at least 1, 5 or 10 % of the selections.

    Examples
    --------
    >>> import polars as pl
    >>> counts = pl.DataFrame(
    ...     {"run_uuid": ["a"] * 3, "generation": [0] * 3, "location": [0, 1, 2], "selections": [95, 4, 1]}
    ... )
    >>> hyperselection(counts).drop("run_uuid").rows()
    [(0, 1.0, 3, 100), (0, 5.0, 1, 100), (0, 10.0, 1, 100)]
    """
    wanted = sorted({float(percent) for percent in percents})
    if not wanted or not all(0 < percent <= 100 for percent in wanted):
        raise InvalidInput(f"percents={percents!r}: give numbers above 0 and up to 100, such as (1, 5, 10).")
    rows = wrap(counts, "the selection_counts")
    names = ["run_uuid", "generation", "selections"]
    advice = "Give what gpdata.selection_counts returned."
    check_columns(names, rows.collect_schema().names(), "the selection_counts", advice)
    if isinstance(rows, nw.DataFrame):
        rows = rows.select(names).lazy(None if rows.implementation.is_polars() else "duckdb")
    share = 100.0 * nw.col("selections") / nw.col("total")
    flags = {f"percent_{place}": (share >= percent).cast(nw.Int32) for place, percent in enumerate(wanted)}
    known = rows.select(names).filter(~nw.col("generation").is_null())
    reached = (
        known.with_columns(nw.col("selections").sum().over("run_uuid", "generation").alias("total"))
        .filter(nw.col("total") > 0)
        .with_columns(**flags)
        .group_by("run_uuid", "generation")
        .agg(nw.col("total").max().alias("selections"), *(nw.col(flag).sum() for flag in flags))
    )
    columns = ["run_uuid", "generation", "selections"]
    each = [
        reached.select(*columns, percent=nw.lit(percent), individuals=nw.col(flag))
        for flag, percent in zip(flags, wanted, strict=True)
    ]
    reached = nw.concat(each).sort("run_uuid", "generation", "percent")
    return give_back(reached, {}, HYPERSELECTION, counts)


def tournament_expectation(population_size: int, tournament_size: int) -> npt.NDArray[np.float64]:
    """Return the probability of each rank to win a tournament.

    Parameters
    ----------
    population_size : int
        Number of individuals, P, all of different fitness.
    tournament_size : int
        How many are drawn, with replacement, t.

    Returns
    -------
    numpy.ndarray
        Of shape (population_size,), without unit: the probability of the best first, of the worst last. They sum
        up to 1. Times the number of selections it is the expectation of `selection_counts`.

    Raises
    ------
    InvalidInput
        A size is less than 1.

    Notes
    -----
    p(i) = ((P - i + 1)^t - (P - i)^t) / P^t for the i-th best, i from 1. Source: Helmuth, T., McPhee, N. F.,
    Spector, L. (2016), "The impact of hyperselection on lexicase selection", GECCO 2016.

    Examples
    --------
    >>> tournament_expectation(4, 2).tolist()
    [0.4375, 0.3125, 0.1875, 0.0625]
    """
    if population_size < 1 or tournament_size < 1:
        raise InvalidInput(f"{population_size=}, {tournament_size=}: both are counts of individuals; give 1 or more.")
    at_least: npt.NDArray[np.float64] = (np.arange(population_size, -1, -1) / population_size) ** tournament_size
    return at_least[:-1] - at_least[1:]


def births(lines: Genealogy) -> Flags:
    """Mark the rows that tell of a birth: a uuid's first, and each that lists itself, which was reproduced."""
    by_age = np.lexsort((lines.location, lines.generation, lines.identity))
    born = np.zeros(len(lines.run), dtype=np.bool_)
    born[by_age[np.diff(lines.identity[by_age], prepend=-1) != 0]] = True
    itself = pc.equal(lines.rows["uuid"].take(lines.child), lines.parent_uuid)
    born[lines.child[np.asarray(pc.fill_null(itself, False).to_numpy(), dtype=np.bool_)]] = True
    return born


def _count(parent: Numbers, child: Numbers, rows: int) -> tuple[Numbers, Numbers]:
    """Count for each row the edges of which it is the parent, and the different children."""
    pairs = np.unique(parent * max(rows, 1) + child)
    return np.bincount(parent, minlength=rows), np.bincount(pairs // max(rows, 1), minlength=rows)


def _joined(known: pa.ChunkedArray, missing: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray:
    chunks = missing.chunks if isinstance(missing, pa.ChunkedArray) else [missing]
    return pa.chunked_array([*known.chunks, *(chunk.cast(known.type) for chunk in chunks)], known.type)
