"""What grows with a lake, and what does not: cost against 10, 100 and 1,000 runs, on DuckDB.

Printed for each are the medians, the slope of a line through their logarithms (0: flat, 1: linear), and what a line
through the figures themselves says: the seconds that are spent whatever the size, and those that each of what grows
adds. Lakes of one size alternate with the others. `make bench` runs it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

import gpdata as gp
from benchmarks.lakes import make
from benchmarks.questions import ONE_RUN, POPULATION, SUMMARIES, check
from gpdata.config import user_cache
from gpdata.lake import Lake, Transformer, take_snapshot
from gpdata.lake.compaction import compact
from gpdata.lake.encoding import STORAGE
from gpdata.lake.parquet import QUICK, Profile, TableWriter
from gpdata.spool import Meta
from gpdata.storage.reading import parquet

_OF_A_RUN = ("winner", "error curve", "last population", "ancestry")
_OF_ALL = ("last_generation", "success_table", "error_curves")
_BATCHES = (10, 100, 1000)
_WIDER = 4
_MARKER = "made"


@dataclass(frozen=True, slots=True)
class Series:
    """The cost of one thing against a size."""

    name: str
    against: str
    expected: str
    x: list[int]
    seconds: list[list[float]]
    """All that was measured at each `x`."""

    @property
    def medians(self) -> list[float]:
        return [statistics.median(values) for values in self.seconds]

    @property
    def slope(self) -> float:
        """Of a line through the logarithms."""
        return float(np.polyfit(np.log(self.x), np.log(self.medians), 1)[0])

    @property
    def line(self) -> tuple[float, float]:
        """Seconds whatever the size, and seconds for each of what grows."""
        each, fixed = np.polyfit(self.x, self.medians, 1)
        return float(fixed), float(each)

    def __str__(self) -> str:
        times = "".join(f"{1e3 * value:10.1f}" for value in self.medians)
        fixed, each = self.line
        return (
            f"{self.name:44} {times}  slope {self.slope:5.2f}, {self.expected:6} in {self.against}: "
            f"{1e3 * fixed:.1f} ms + {1e6 * each:.3g} us each"
        )

    def data(self) -> dict[str, Any]:
        """Return everything for a picture."""
        return asdict(self) | {"medians": self.medians, "slope": self.slope, "line": self.line}


def alternating(works: Mapping[int, Callable[[], object]], rounds: int) -> list[list[float]]:
    """Return the seconds of each piece of work, after one round that does not count: A B C, then C B A."""
    found: dict[int, list[float]] = {size: [] for size in works}
    for number in range(rounds + 1):
        for size, work in sorted(works.items(), reverse=number % 2 == 1):
            start = time.perf_counter()
            work()
            if number:
                found[size].append(time.perf_counter() - start)
    return [found[size] for size in sorted(works)]


def alike(labs: Sequence[Any]) -> list[str]:
    """Return a run of each lab, all of the same number of generations and individuals: the largest that all have."""
    sizes = []
    for lab in labs:
        rows = gp.to_arrow(lab.generations).select(["run_uuid", "population_size"]).group_by("run_uuid")
        table = rows.aggregate([("population_size", "sum"), ("population_size", "count")]).sort_by("run_uuid")
        counts = (table[f"population_size_{what}"].to_pylist() for what in ("sum", "count"))
        sizes.append(dict(zip(zip(*counts, strict=True), table["run_uuid"].to_pylist(), strict=True)))
    common = max(set.intersection(*map(set, sizes)))
    return [runs[common] for runs in sizes]


def asked(lakes: Mapping[int, Path], rounds: int, wider: Path) -> Iterator[Series]:
    """Yield what questions cost against the runs of a lake."""
    labs = {runs: gp.open(path) for runs, path in lakes.items()}
    others = {runs: gp.open(path, engine="polars") for runs, path in lakes.items()}
    run_of = dict(zip(labs, alike(list(labs.values())), strict=True))
    sizes = list(labs)
    for names, questions, expected in ((_OF_A_RUN, ONE_RUN, "flat"), (_OF_ALL, SUMMARIES, "linear")):
        for name in names:
            question = questions[name]
            for runs, lab in labs.items():
                check(name, question, lab, others[runs], run_of[runs])
            works = {runs: _asking(question, lab, run_of[runs]) for runs, lab in labs.items()}
            yield Series(f"{name}, one run" if expected == "flat" else name, "runs", expected, sizes,
                         alternating(works, rounds))  # fmt: skip
    middle = sizes[len(sizes) // 2]
    wide = gp.open(wider)
    for name in _OF_ALL:
        check(name, SUMMARIES[name], wide, labs[middle], "")
        works = {count: _asking(SUMMARIES[name], lab, "") for count, lab in ((1, labs[middle]), (_WIDER, wide))}
        yield Series(f"{name}, the same {middle} runs", "individuals of a run", "flat", [1, _WIDER],
                     alternating(works, rounds))  # fmt: skip
    stored = [sum(os.path.getsize(file) for file in lab.files("individuals")) for lab in labs.values()]  # noqa: PTH202
    for name, question in POPULATION.items():
        check(name, question, labs[sizes[0]], others[sizes[0]], "")
        works = {size: _asking(question, lab, "") for size, lab in zip(stored, labs.values(), strict=True)}
        yield Series(name, "bytes", "linear", stored, alternating(works, min(rounds, 3)))


def _asking(question: Callable[[Any, str], Any], lab: Any, run: str) -> Callable[[], object]:
    return lambda: gp.to_arrow(question(lab, run))


def widened(path: Path, source: Path, times: int) -> None:
    """Make a lake of the runs of another, with the same summaries and so many times the individuals."""
    if (path / _MARKER).exists():
        return
    if path.exists():
        shutil.rmtree(path)
    lake, snapshot = Lake.create(path), take_snapshot(Lake.open(source))
    with lake.lock():
        for name in ("individuals", "generations", "runs"):
            table = lake.tables[name]
            with TableWriter(
                name, table.path, "batch-000000000001.parquet", Profile(QUICK), lake.disk, lake.scratch
            ) as writer:
                for place in snapshot.readable(name):
                    rows = parquet(place).read()
                    at = rows.schema.get_field_index("batch")
                    one = rows.set_column(at, "batch", pa.array([1] * rows.num_rows, pa.int64()))
                    for _ in range(times if name == "individuals" else 1):
                        writer.add(one.cast(STORAGE[name]).to_batches())
                table.commit("WRITE", add=[writer.close()], batch=1)
    (path / _MARKER).touch()


def generation(run: str, number: int, individuals: int = 100) -> bytes:
    """Return the line of a generation as a recorder sends it, with as many individuals."""
    chance = np.random.default_rng(number)
    errors = chance.integers(0, 9, (individuals, 10)).tolist()
    population = [
        {
            "uuid": str(uuid.uuid4()),
            "parent-uuids": [str(uuid.uuid4()), str(uuid.uuid4())] if number else None,
            "genetic-operators": ["alternation", "uniform-mutation"],
            "total-error": sum(row),
            "errors": row,
            "genome": [{"instruction": f"integer_{gene}", "close": 0} for gene in row],
        }
        for row in errors
    ]
    config = {"problem-file": "made", "argmap": {"parent-selection": "lexicase"}}
    return msgspec.json.encode(
        {"config-uuid": run, "index": number, "outcome": "continue", "config": config, "population": population}
    )


def ingested(lakes: Mapping[int, Path], rounds: int, scratch: Path) -> Iterator[Series]:
    """Yield what transforming one generation costs against the runs that the lake has."""
    first: list[list[float]] = []
    further: list[list[float]] = []
    for runs, path in lakes.items():
        copy = shutil.copytree(path, scratch / f"ingest-{runs}")
        lake = Lake.open(copy)
        starts = []
        for _ in range(max(rounds // 2, 3)):  # a new process reads which generations there are
            starts.append(_transformed(lake, Transformer(lake), str(uuid.uuid4()), 0))
        first.append(starts)
        transformer, run = Transformer(lake), str(uuid.uuid4())
        _transformed(lake, transformer, run, 0)
        further.append([_transformed(lake, transformer, run, number) for number in range(1, 2 * rounds)])
        shutil.rmtree(copy)
    yield Series("transform of a generation", "runs", "flat", list(lakes), further)
    yield Series("the first generation of a new process", "runs", "linear", list(lakes), first)


def _transformed(lake: Lake, transformer: Transformer, run: str, number: int) -> float:
    lake.spool().write([generation(run, number)], Meta("recorder"))
    start = time.perf_counter()
    if transformer.run().generations != 1:
        raise SystemExit(f"generation {number} of {run} was not transformed")
    return time.perf_counter() - start


def opened(scratch: Path, rounds: int) -> Iterator[Series]:
    """Yield what a snapshot costs against the batches that were written, before and after a compaction."""
    path = scratch / "batches"
    lake = Lake.create(path)
    transformer, runs = Transformer(lake), [str(uuid.uuid4()) for _ in range(10)]
    lakes: dict[str, dict[int, Path]] = {"before": {}, "after": {}}
    for number in range(_BATCHES[-1]):
        lake.spool().write([generation(runs[number % 10], number // 10, 10)], Meta("recorder"))
        transformer.run()
        if number + 1 in _BATCHES:
            for state, paths in lakes.items():
                paths[number + 1] = Path(shutil.copytree(path, scratch / f"{state}-{number + 1}"))
            compact(Lake.open(lakes["after"][number + 1]))
    for batches in _BATCHES:
        one, other = (gp.open(paths[batches]) for paths in lakes.values())
        check("last_generation", SUMMARIES["last_generation"], one, other, "")
    openings: dict[str, Callable[[Path], object]] = {
        "snapshot": lambda place: take_snapshot(Lake.open(place)),
        "gpdata.open": gp.open,
    }
    for name, opening in openings.items():
        for state, paths in lakes.items():
            works = {batches: partial(opening, place) for batches, place in paths.items()}
            yield Series(f"{name}, {state} compaction", "batches", "linear" if state == "before" else "flat",
                         list(_BATCHES), alternating(works, rounds))  # fmt: skip


def main() -> int:
    """Make the lakes where they are not there, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", type=Path, nargs="?", help="the folder of recorder streams; else example runs")
    parser.add_argument("--runs", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--each", type=int, default=1800, help="individuals of a run")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    given = parser.parse_args()
    captures = given.captures if given.captures and given.captures.is_dir() else None
    of = "captures" if captures else "example"
    lakes = {runs: user_cache() / "bench" / f"{of}-{runs}-{runs * given.each}" for runs in sorted(given.runs)}
    for runs, path in lakes.items():
        make(path, captures, runs, runs * given.each)
    middle = lakes[sorted(lakes)[len(lakes) // 2]]
    wider = middle.with_name(f"{middle.name}-times-{_WIDER}")
    widened(wider, middle, _WIDER)
    found = []
    with tempfile.TemporaryDirectory(dir=middle.parent) as folder:
        scratch = Path(folder)
        print(f"{'median ms at each size':44}")
        for part in (asked(lakes, given.rounds, wider), ingested(lakes, given.rounds, scratch),
                     opened(scratch, given.rounds)):  # fmt: skip
            for series in part:
                print(series, flush=True)
                found.append(series.data())
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
