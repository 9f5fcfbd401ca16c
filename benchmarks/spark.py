"""Every analysis on Spark against the best PySpark that we can write by hand, over the same files of 1,000 runs.

The two sides alternate in one session, so that both meet the same JVM; equal answers are asserted before a time
counts. Printed are the median of the ratios of neighbouring pairs, with the least and the greatest. `--partitions`
adds gpdata's partitioning against Spark's defaults. `make bench-spark` runs it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import gpdata as gp
from benchmarks.answers import difference
from benchmarks.contests import BY, CONTESTS
from benchmarks.lakes import make
from benchmarks.machine import lake_figures, machine
from benchmarks.sides import gpdata_spark, pyspark_sql
from gpdata.config import user_cache
from gpdata.sessions.partitions import MOVED, SPLIT, pieces, session_cores

LIMIT = 1.1
Ask = Callable[[], Any]


def check(name: str, ours: Ask, theirs: Ask) -> int:
    """Return the number of rows of the answer; both sides must give the same, in any order."""
    one, other = ours(), theirs()
    if (found := difference(one, other)) is not None:
        raise SystemExit(f"{name}: {found} by hand")
    return int(one.num_rows)


def timed(ours: Ask, theirs: Ask, rounds: int) -> tuple[list[float], list[float]]:
    """Return the seconds of both sides, pair by pair."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        # A B, then B A: whatever grows or tires in the JVM meets both alike.
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            start = time.perf_counter()
            (ours, theirs)[side]()
            seconds[side].append(time.perf_counter() - start)
    return seconds


def compare(lab: Any, run: str, only: str, rounds: int) -> dict[str, Any]:
    """Compare the two sides question by question, and print a line for each."""
    session = lab.runs.sparkSession
    pyspark_sql.name_files(session, lab)
    found = {}
    print(f"{'':24} {'rows':>10} {'by hand s':>9} {'ratio':>7} {'least - greatest':>15}")
    for contest in CONTESTS:
        if only in contest.name:
            ours = partial(gpdata_spark.ANSWERS[contest.name], lab, run)
            theirs = partial(pyspark_sql.ANSWERS[contest.name], session, run)
            rows = check(contest.name, ours, theirs)
            found[contest.name] = _reported(contest.name, rows, *timed(ours, theirs, rounds))
    return found


def partitioning(lab: Any, session: Any, rounds: int) -> dict[str, Any]:
    """Compare gpdata's partitions with Spark's defaults, for work that moves many rows."""
    stored = sum(Path(file).stat().st_size for file in lab.files("individuals"))
    fitted = pieces(stored, session_cores(session))
    own = {SPLIT: str(fitted.split_bytes), MOVED: str(fitted.moved)}
    plain = {SPLIT: None, MOVED: None, "spark.sql.shuffle.partitions": "200"}
    work: dict[str, Ask] = {
        "diversity": lambda: gp.diversity(lab.individuals).toArrow(),
        "elite_cases": lambda: gp.elite_cases(lab.individuals).toArrow(),
        "error_curves": lambda: gp.error_curves(lab.generations, lab.runs, by=BY).toArrow(),
    }
    print(f"\npartitions: splits of {fitted.split_bytes / 2**20:.0f} MiB, rows moved into {fitted.moved}")

    def within(values: Mapping[str, str | None], ask: Ask) -> None:
        with settings(session, values):
            ask()

    return {
        name: _reported(
            f"{name} to defaults", None, *timed(partial(within, own, ask), partial(within, plain, ask), rounds)
        )
        for name, ask in work.items()
    }


@contextmanager
def settings(session: Any, values: Mapping[str, str | None]) -> Iterator[None]:
    """Set some settings of a session while a block runs; None: Spark's default."""
    before = {name: session.conf.get(name, None) for name in values}
    try:
        for name, value in values.items():
            session.conf.unset(name) if value is None else session.conf.set(name, value)
        yield
    finally:
        for name, value in before.items():
            session.conf.unset(name) if value is None else session.conf.set(name, value)


def _reported(name: str, rows: int | None, ours: list[float], theirs: list[float]) -> dict[str, Any]:
    """Print a line, and return what it says."""
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    middle = statistics.median(ratios)
    print(
        f"{name:24} {'' if rows is None else f'{rows:,}':>10} {statistics.median(theirs):9.2f} {middle:7.2f} "
        f"{min(ratios):6.2f} - {max(ratios):.2f}",
        flush=True,
    )
    return {"rows": rows, "ours": ours, "theirs": theirs, "ratios": ratios, "ratio": middle}


def main() -> int:
    """Make the lake where it is not there, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", type=Path, nargs="?", help="the folder of recorder streams; else example runs")
    parser.add_argument("--lake", type=Path, help="a lake that is there, instead of the one that is made")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--individuals", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", default=gpdata_spark.MEMORY, help="of the driver, which is the executor too")
    parser.add_argument("--only", default="", help="measure only analyses whose name holds this")
    parser.add_argument("--partitions", action="store_true", help="compare partitions with Spark's defaults, too")
    parser.add_argument("--json", type=Path, help="a file for the results")
    given = parser.parse_args()
    captures = given.captures if given.captures and given.captures.is_dir() else None
    of = "captures" if captures else "example"
    path = given.lake or user_cache() / "bench-spark" / f"{of}-{given.runs}-{given.individuals}"
    if given.lake is None:
        make(path, captures, given.runs, given.individuals)
    results: dict[str, Any] = {"machine": machine(), "lake": lake_figures(path), "synthetic": given.lake is None}
    lab = gpdata_spark.prepare(path, given.memory)
    session = lab.runs.sparkSession
    figures = results["lake"]
    print(
        f"{'synthetic ' if results['synthetic'] else ''}lake {figures['name']}: {figures['runs']:,} runs, "
        f"{figures['individuals']:,} individuals, {figures['bytes']['individuals'] / 1e6:,.0f} MB on "
        f"{session_cores(session)} cores, Spark {session.version}, Python {sys.version.split()[0]}, warm files"
    )
    # A run in the middle: the first and the last can be unlike the others.
    run = sorted(lab.runs.select("run_uuid").toArrow()["run_uuid"].to_pylist())[figures["runs"] // 2]
    results["questions"] = compare(lab, run, given.only, given.rounds)
    if given.partitions:
        results["partitions"] = partitioning(lab, session, given.rounds)
    gp.stop()
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(results, indent=1) + "\n")
    slow = [name for name, found in results["questions"].items() if found["ratio"] > LIMIT]
    if slow:
        print(f"slower than {LIMIT} times the query by hand: {', '.join(slow)}")
    return bool(slow)


if __name__ == "__main__":
    sys.exit(main())
