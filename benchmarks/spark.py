"""Every analysis on Spark against the best PySpark that we can write by hand, over the same files of 1,000 runs.

The two sides alternate in one session; equal answers are asserted before a time counts. Printed are the median of the
ratios of neighbouring pairs, with the least and the greatest. Last comes gpdata's partitioning against Spark's
defaults. `make bench-spark` runs it.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

import gpdata as gp
from benchmarks import spark_by_hand as by_hand
from benchmarks.spark_lake import make
from gpdata.config import user_cache
from gpdata.sessions.partitions import MOVED, SPLIT, pieces, session_cores

BY = "parent-selection"
LIMIT = 1.1


@dataclass(frozen=True)
class Contest:
    """An analysis twice: as gpdata does it, and by hand."""

    name: str
    ours: Callable[[], pa.Table]
    theirs: Callable[[], pa.Table]


def contests(lab: Any, session: Any, run: str) -> Iterator[Contest]:
    """Yield every analysis that is compared."""

    def asked(name: str, text: str, ours: Callable[[], Any]) -> Contest:
        return Contest(name, lambda: ours().toArrow(), lambda: session.sql(text).toArrow())

    runs, generations, individuals = lab.runs, lab.generations, lab.individuals
    over = {"runs": runs, "by": BY}
    yield asked(
        "last_generation",
        by_hand.LAST_GENERATION,
        lambda: gp.last_generation(generations).select("run_uuid", "generation", "outcome", "total_error_min"),
    )
    yield asked(
        "success_table", by_hand.SUCCESS_TABLE, lambda: gp.success_table(gp.last_generation(generations), runs, by=BY)
    )
    yield asked("cumulative_success", by_hand.CUMULATIVE_SUCCESS, lambda: gp.cumulative_success(generations, **over))
    yield asked("error_curves", by_hand.ERROR_CURVES, lambda: gp.error_curves(generations, **over))
    yield asked("size_curves", by_hand.SIZE_CURVES, lambda: gp.size_curves(generations, **over))
    yield asked("ert", by_hand.ERT, lambda: gp.ert(generations, **over).drop("target"))
    yield asked(
        "diversity",
        by_hand.DIVERSITY,
        lambda: gp.diversity(individuals).select(
            "run_uuid", "generation", "population_size", "error_vectors", "total_errors", "programs"
        ),
    )
    yield asked("age_error", by_hand.AGE_ERROR, lambda: gp.age_error(individuals))
    yield asked("lexicase_stats", by_hand.LEXICASE_STATS, lambda: gp.lexicase_stats(lab.errors))
    yield asked("elite_cases", by_hand.ELITE_CASES, lambda: gp.elite_cases(lab.individuals))
    yield asked(
        "instruction_frequency",
        by_hand.INSTRUCTION_FREQUENCY,
        lambda: gp.instruction_frequency(lab.genes, runs, by=BY),
    )
    best = partial(gp.winner, individuals, generations, run=run)
    yield asked("winner", by_hand.winner(run), lambda: best().select("run_uuid", "generation", "location"))
    yield Contest(
        "ancestry",
        lambda: gp.ancestry(individuals, of=best()).select("generation", "location").toArrow(),
        lambda: _walked(session, run),
    )


def _walked(session: Any, run: str) -> pa.Table:
    """Walk from the winner to its ancestors: each parent is the nearest earlier individual of that uuid."""
    ((_, generation, location),) = session.sql(by_hand.winner(run)).collect()
    found: dict[str, dict[int, int]] = {}
    parents: dict[tuple[int, int], list[str]] = {}
    table = session.sql(by_hand.lines(run)).toArrow()
    for at, place, name, named in zip(*(column.to_pylist() for column in table.columns), strict=True):
        parents[at, place] = named or []
        known = found.setdefault(name, {})
        known[at] = min(place, known.get(at, place))
    marked, waiting = {(generation, location)}, [(generation, location)]
    while waiting:
        key = waiting.pop()
        for name in parents[key]:
            earlier = [at for at in found.get(name, ()) if at < key[0]]
            if earlier and (parent := (max(earlier), found[name][max(earlier)])) not in marked:
                marked.add(parent)
                waiting.append(parent)
    return pa.table({"generation": [at for at, _ in marked], "location": [place for _, place in marked]})


def check(contest: Contest) -> int:
    """Return the number of rows of the answer; both sides must give the same, in any order."""
    ours, theirs = (_rows(side()) for side in (contest.ours, contest.theirs))
    if len(ours) != len(theirs):
        raise SystemExit(f"{contest.name}: {len(ours)} rows, by hand {len(theirs)}")
    for one, other in zip(ours, theirs, strict=True):
        if not all(_same(a, b) for a, b in zip(one, other, strict=True)):
            raise SystemExit(f"{contest.name}: {one}, by hand {other}")
    return len(ours)


def _rows(table: pa.Table) -> list[tuple[Any, ...]]:
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    return sorted(rows, key=lambda row: [(value is None, str(value)) for value in row])


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        return one == other or (None not in (one, other) and math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12))
    return bool(one == other)


def ratios(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[list[float], float]:
    """Return the ratios of neighbouring pairs, and the median seconds of the yardstick."""
    found, seconds = [], []
    for number in range(rounds):
        pair = {}
        # A B, then B A: whatever grows or tires in the JVM meets both alike.
        for side in ("ours", "theirs") if number % 2 == 0 else ("theirs", "ours"):
            start = time.perf_counter()
            (ours if side == "ours" else theirs)()
            pair[side] = time.perf_counter() - start
        found.append(pair["ours"] / pair["theirs"])
        seconds.append(pair["theirs"])
    return found, statistics.median(seconds)


@contextmanager
def settings(session: Any, values: dict[str, str | None]) -> Iterator[None]:
    """Set some settings of a session while a block runs; None: Spark's default."""
    before = {name: session.conf.get(name, None) for name in values}
    try:
        for name, value in values.items():
            session.conf.unset(name) if value is None else session.conf.set(name, value)
        yield
    finally:
        for name, value in before.items():
            session.conf.unset(name) if value is None else session.conf.set(name, value)


def views(lab: Any, session: Any) -> None:
    """Make the views that the queries by hand read: the same files."""
    for name, table in (("R", "runs"), ("G", "generations"), ("I", "individuals")):
        session.read.parquet(*lab.files(table)).createOrReplaceTempView(name)


def partitioning(lab: Any, session: Any, rounds: int) -> Iterator[tuple[str, list[float], float]]:
    """Yield the ratios of gpdata's partitions to Spark's defaults, for work that moves many rows."""
    stored = sum(Path(file).stat().st_size for file in lab.files("individuals"))
    fitted = pieces(stored, session_cores(session))
    own = {SPLIT: str(fitted.split_bytes), MOVED: str(fitted.moved)}
    plain = {SPLIT: None, MOVED: None, "spark.sql.shuffle.partitions": "200"}
    work = {
        "diversity": lambda: gp.diversity(lab.individuals).toArrow(),
        "elite_cases": lambda: gp.elite_cases(lab.individuals).toArrow(),
        "error_curves": lambda: gp.error_curves(lab.generations, lab.runs, by=BY).toArrow(),
    }
    print(f"\npartitions: splits of {fitted.split_bytes / 2**20:.0f} MiB, rows moved into {fitted.moved}")

    def within(values: dict[str, str | None], ask: Callable[[], object]) -> None:
        with settings(session, values):
            ask()

    for name, ask in work.items():
        yield name, *ratios(partial(within, own, ask), partial(within, plain, ask), rounds)


def report(name: str, found: list[float], seconds: float, rows: str) -> None:
    """Print a line."""
    print(
        f"{name:24} {rows:>10} {seconds:9.2f} {statistics.median(found):7.2f} {min(found):6.2f} - {max(found):.2f}",
        flush=True,
    )


def main() -> int:
    """Make the lake where it is not there, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", type=Path, nargs="?", help="the folder of recorder streams; else example runs")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--individuals", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", default="4g", help="of the driver, which is the executor too")
    parser.add_argument("--only", help="measure only analyses whose name holds this")
    given = parser.parse_args()
    captures = given.captures if given.captures and given.captures.is_dir() else None
    of = "captures" if captures else "example"
    path = user_cache() / "bench-spark" / f"{of}-{given.runs}-{given.individuals}"
    make(path, captures, given.runs, given.individuals)
    session = gp.spark(spark__driver__memory=given.memory)
    lab = gp.open(path, engine=session)
    views(lab, session)
    counts = {name: getattr(lab, name).count() for name in ("runs", "individuals")}
    size = sum(Path(file).stat().st_size for file in lab.files("individuals"))
    # A run in the middle: the first and the last can be unlike the others.
    run = sorted(lab.runs.select("run_uuid").toArrow()["run_uuid"].to_pylist())[counts["runs"] // 2]
    print(
        f"synthetic lake of {of}: {counts['runs']:,} runs, {counts['individuals']:,} individuals, {size / 1e6:,.0f} MB "
        f"on {session_cores(session)} cores, Spark {session.version}, Python {sys.version.split()[0]}, warm files"
    )
    print(f"{'':24} {'rows':>10} {'by hand s':>9} {'ratio':>7} {'least - greatest':>15}")
    slow = []
    for contest in contests(lab, session, run):
        if given.only and given.only not in contest.name:
            continue
        rows = check(contest)
        found, seconds = ratios(contest.ours, contest.theirs, given.rounds)
        report(contest.name, found, seconds, f"{rows:,}")
        if statistics.median(found) > LIMIT:
            slow.append(contest.name)
    for name, found, seconds in partitioning(lab, session, given.rounds):
        report(f"{name} to defaults", found, seconds, "")
    gp.stop()
    if slow:
        print(f"slower than {LIMIT} times the query by hand: {', '.join(slow)}")
    return bool(slow)


if __name__ == "__main__":
    sys.exit(main())
