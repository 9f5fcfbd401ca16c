"""Each standard analysis of gpdata against the best that people would write by hand, over one large lake.

Every side is a process of its own; ours and a peer are asked in turns, A B A B. The answers are compared before a
time counts. A peer that is much slower than the fastest is asked once, one that takes too long or too much memory is
cut off. Then ours and the fastest peer are asked by new processes with the lake's files dropped from memory.
`make bench` runs it; what it found is in `benchmarks/results/analyses.json`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc

import gpdata as gp
from benchmarks.answers import difference
from benchmarks.contests import CONTESTS, Contest
from benchmarks.lakes import make
from benchmarks.machine import lake_figures, machine
from benchmarks.processes import Answer, Limits, Worker, drop_from_cache
from benchmarks.report import lines, table
from gpdata.config import user_cache

REFERENCE = "gpdata_duckdb"
_NEAR = 3.0
"""Times the fastest peer's seconds up to which another one is asked in every round."""
_LONG = 10.0
"""Seconds after which the first answer of a slower peer counts: it need not be warm."""
_OURS = 5.0
"""Times the patience that ours is waited for: without its answer no other can be compared."""
_FOR_ROUNDS = 12.0
"""Seconds for the rounds of a question; there is one at least."""
RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True, slots=True)
class Group:
    """Sides that are compared with each other."""

    ours: str
    peers: tuple[str, ...]
    cold: bool = False
    once: bool = False
    """There is one round, however quick a peer is."""
    factor: float = 5.0
    """Times our seconds that a peer may take, in all cases at least `least` seconds, at most what patience says."""
    least: float = 20.0
    most: float | None = None
    """Seconds that a peer may take at most; None: what patience says."""
    rounds: float = _FOR_ROUNDS
    """Seconds for the rounds of a question."""


GROUPS = (
    Group(
        REFERENCE,
        ("duckdb_sql", "polars_lazy", "polars_streaming", "pandas_frames", "dask_frames"),
        cold=True,
    ),
    # To show 20 times of the longest of ours.
    Group(REFERENCE, ("nested_spark",), once=True, factor=21.0, least=15.0, most=100.0),
    Group("gpdata_spark", ("pyspark_sql",), factor=20.0, rounds=6.0),
)


@dataclass
class Bench:
    """A run of the benchmark."""

    lake: Path
    run: str
    rounds: int
    patience: float
    limits: Limits
    folder: Path
    """Where answers are kept until they are compared."""
    deadline: float
    found: dict[str, Any] = field(default_factory=dict)
    """By question: its rows, and by side what was measured."""

    def worker(self, side: str) -> Worker:
        return Worker(side, self.lake, self.run, self.limits)

    def side(self, contest: Contest, side: str) -> dict[str, Any]:
        """Return the record of a side for a question."""
        sides = self.found.setdefault(contest.name, {"reads": contest.reads, "sides": {}})["sides"]
        record: dict[str, Any] = sides.setdefault(side, {"state": "answered", "times": [], "ratios": []})
        return record

    def compare(self, group: Group, contests: Iterable[Contest]) -> None:
        """Ask the questions of a group of sides."""
        workers = {side: self.worker(side) for side in (group.ours, *group.peers)}
        try:
            for contest in contests:
                self._contest(group, contest, workers)
                for worker in workers.values():
                    worker.rest()
                _show(contest, self.found[contest.name], group)
        finally:
            for worker in workers.values():
                worker.stop()

    def _contest(self, group: Group, contest: Contest, workers: dict[str, Worker]) -> None:
        if time.monotonic() > self.deadline:
            for side in group.peers:
                self.side(contest, side)["state"] = "not asked: the time was up"
            return
        first = self._checked(contest, workers[group.ours], _OURS * self.patience)
        if first is None:
            return
        patience = min(group.most or self.patience, max(group.least, group.factor * first))
        seconds = {side: self._checked(contest, workers[side], patience) for side in group.peers}
        answered = {side: taken for side, taken in seconds.items() if taken is not None}
        fastest = min(answered.values(), default=0.0)
        near = [side for side, taken in answered.items() if taken <= max(_NEAR * fastest, 0.5) and not group.once]
        start = time.monotonic()
        for number in range(self.rounds):
            for side in answered if number == 0 else near:
                self._pair(contest, workers, group, side, again=side in near or answered[side] < _LONG)
            if time.monotonic() - start > group.rounds:
                break
        if group.cold and answered and time.monotonic() < self.deadline:
            medians = {side: _median(self.side(contest, side)["times"]) for side in answered}
            for side in (group.ours, min(medians, key=lambda side: medians[side])):
                self._cold(contest, side)

    def _checked(self, contest: Contest, worker: Worker, patience: float) -> float | None:
        """Ask for the first time; return the seconds where the answer is the reference's."""
        record = self.side(contest, worker.side)
        reference = self.folder / f"{contest.name}.arrow"
        is_reference = not reference.exists()
        saved = reference if is_reference else self.folder / "other.arrow"
        answer = worker.ask(contest.name, saved, patience)
        record["first"] = answer
        if "rows" not in answer:
            record["state"] = answer.get("cut") or answer["error"]
            record["cut"] = "cut" in answer
            return None
        self.found[contest.name]["rows"] = answer["rows"]
        if not is_reference and (differs := difference(_read(reference), _read(saved))):
            record["state"] = f"another answer: {differs}"
            return None
        seconds: float = answer["seconds"]
        return seconds

    def _pair(self, contest: Contest, workers: dict[str, Worker], group: Group, side: str, *, again: bool) -> None:
        """Ask ours and a peer, the other way round every second time; `again` or take the peer's first answer."""
        ours, theirs = self.side(contest, group.ours), self.side(contest, side)
        turns = (group.ours, side) if len(theirs["ratios"]) % 2 == 0 else (side, group.ours)
        pair: dict[str, Answer] = {}
        for name in turns:
            if name == side and not again:
                pair[name] = theirs["first"]
            else:
                pair[name] = workers[name].ask(contest.name, None, _OURS * self.patience)
        for name, record in ((group.ours, ours), (side, theirs)):
            if "seconds" not in pair[name] or "cut" in pair[name]:
                record["state"] = pair[name].get("cut") or pair[name]["error"]
                return
            record["times"].append(pair[name])
        theirs["ratios"].append(pair[group.ours]["seconds"] / pair[side]["seconds"])

    def _cold(self, contest: Contest, side: str) -> None:
        with self.worker(side) as worker:
            drop_from_cache(self.lake)
            prepared = worker.start()
            drop_from_cache(self.lake)
            answer = worker.ask(contest.name, None, _OURS * self.patience)
        self.side(contest, side)["cold"] = answer | {"prepare": prepared.get("seconds")}


def _median(answers: list[Answer]) -> float:
    return statistics.median(answer["seconds"] for answer in answers) if answers else float("inf")


def _read(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as file:
        return pyarrow.ipc.open_file(file).read_all()


def _show(contest: Contest, found: dict[str, Any], group: Group) -> None:
    """Say at once what was found, for who waits."""
    parts = []
    for side in (group.ours, *group.peers):
        record = found["sides"].get(side, {"times": [], "state": "not asked"})
        parts.append(f"{side} {_median(record['times']):.3f} s" if record["times"] else f"{side} {record['state']}")
    print(f"{contest.name}: {'; '.join(parts)}", file=sys.stderr, flush=True)


def main() -> int:
    """Make the lake where it is not there, compare, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", type=Path, nargs="?", help="the folder of recorder streams; else example runs")
    parser.add_argument("--lake", type=Path, help="a lake that is there, instead of the one that is made")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--individuals", type=int, default=3_000_000)
    parser.add_argument("--genes", type=int, default=200_000_000)
    parser.add_argument("--sides", help="the peers to ask, with commas between; all by default")
    parser.add_argument("--only", help="questions whose name holds this")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--patience", type=float, default=60.0, help="seconds that a peer may take")
    parser.add_argument("--memory", type=float, default=14.0, help="GB that a side may take")
    parser.add_argument("--idle", type=float, default=1.0, help="GB that a side may hold while others are asked")
    parser.add_argument("--minutes", type=float, default=13.0, help="after which nothing further is begun")
    given = parser.parse_args()
    captures = given.captures if given.captures and given.captures.is_dir() else None
    of = "captures" if captures else "example"
    lake = given.lake or user_cache() / "bench" / f"{of}-{given.runs}-{given.individuals}"
    if given.lake is None:
        make(lake, captures, given.runs, given.individuals, given.genes)
    runs = sorted(gp.open(lake, engine="duckdb").runs.select("run_uuid").to_arrow_table()["run_uuid"].to_pylist())
    contests = [contest for contest in CONTESTS if not given.only or given.only in contest.name]
    asked = given.sides.split(",") if given.sides else [side for group in GROUPS for side in group.peers]
    results: dict[str, Any] = {"machine": machine(), "lake": lake_figures(lake), "synthetic": given.lake is None}
    results["options"] = {name: getattr(given, name) for name in ("rounds", "patience", "memory", "idle", "minutes")}
    with tempfile.TemporaryDirectory() as folder:
        # A run in the middle: the first and the last can be unlike the others.
        run = runs[len(runs) // 2]
        limits = Limits(int(given.memory * 1e9), int(given.idle * 1e9))
        deadline = time.monotonic() + 60 * given.minutes
        bench = Bench(lake, run, given.rounds, given.patience, limits, Path(folder), deadline)
        results["questions"] = bench.found
        for group in GROUPS:
            peers = tuple(side for side in group.peers if side in asked)
            if peers:
                bench.compare(replace(group, peers=peers), contests)
                _write(results)
    results["lines"] = lines(results)
    _write(results)
    print(table(results))
    return 0


def _write(results: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "analyses.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
