"""What a person waits for: an import, the first answer of a new process, a question; and what memory it takes.

A lake of 1,000 runs, on DuckDB. Each answer is first compared with Polars'. Times are medians; the bytecode of gpdata
and of what it imports is there before, as after any installation. `make bench` runs it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import gpdata as gp
from benchmarks.lakes import make
from benchmarks.questions import ONE_RUN, SUMMARIES, check, largest_run
from gpdata.config import user_cache

_IMPORT = "import gpdata"
_SUMMARY = """import gpdata as gp
lab = gp.open({lake!r})
print(gp.success_table(gp.last_generation(lab.generations), lab.runs, by="parent-selection").fetchall())"""
_WINNER = """import gpdata as gp
lab = gp.open({lake!r})
print(gp.winner(lab.individuals, lab.generations, run={run!r}).fetchall())"""
_MEMORY = """import gpdata as gp, pathlib
from benchmarks.questions import ONE_RUN
gp.to_arrow(ONE_RUN[{name!r}](gp.open({lake!r}), {run!r}))
print(pathlib.Path("/proc/self/status").read_text())"""
_KIB = 1024


@dataclass(frozen=True, slots=True)
class Line:
    """A figure, and what it should be less than."""

    name: str
    value: float
    unit: str
    limit: float
    spread: tuple[float, float]
    rows: int | None = None

    @property
    def met(self) -> bool:
        return self.value < self.limit

    def __str__(self) -> str:
        said = "" if self.limit == float("inf") else "met" if self.met else "NOT MET"
        digits = 0 if self.unit == "MiB" else 3 if self.unit == "s" else 1
        value, least, most, limit = (f"{x:,.{digits}f}" for x in (self.value, *self.spread, self.limit))
        rows = "" if self.rows is None else f"{self.rows:,}"
        verdict = f" {said}: < {limit}" if said else ""
        return f"{self.name:46} {rows:>9} {value:>9} {self.unit:3} ({least} - {most}){verdict}"


def line(name: str, values: list[float], unit: str, limit: float, rows: int | None = None) -> Line:
    """Make a line of the median of some values."""
    return Line(name, statistics.median(values), unit, limit, (min(values), max(values)), rows)


def processes(lake: Path, run: str, rounds: int) -> Iterator[Line]:
    """Yield what new processes take, each from its start to its end."""
    codes = {
        "python -c pass": ("pass", float("inf")),
        "import gpdata": (_IMPORT, 0.3),
        "first answer: success_table": (_SUMMARY.format(lake=str(lake)), 1.0),
        "first answer: winner of a run": (_WINNER.format(lake=str(lake), run=run), 1.0),
    }
    with tempfile.TemporaryDirectory() as folder:
        # Who installs gpdata has its bytecode; the first of each is not counted.
        variables = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        variables["PYTHONPYCACHEPREFIX"] = folder
        found: dict[str, list[float]] = {name: [] for name in codes}
        for number in range(rounds + 1):
            for name, (code, _) in codes.items():
                start = time.perf_counter()
                subprocess.run([sys.executable, "-c", code], env=variables, check=True, stdout=subprocess.DEVNULL)
                if number:
                    found[name].append(time.perf_counter() - start)
    for name, (_, limit) in codes.items():
        yield line(name, found[name], "s", limit)


def questions(lake: Path, run: str, rounds: int) -> Iterator[Line]:
    """Yield what each question takes in a process that has asked it before."""
    lab, other = gp.open(lake), gp.open(lake, engine="polars")
    for kind, asked in (("one run", ONE_RUN), ("summaries", SUMMARIES)):
        for name, question in asked.items():
            rows = check(name, question, lab, other, run)
            values = []
            for _ in range(rounds):
                start = time.perf_counter()
                gp.to_arrow(question(lab, run))
                values.append(1e3 * (time.perf_counter() - start))
            yield line(f"warm, {kind}: {name}", values, "ms", 200, rows)


def memory(lake: Path, run: str, names: Mapping[str, object] = ONE_RUN) -> Iterator[Line]:
    """Yield the greatest memory of a new process for each question of one run."""
    for name in names:
        code = _MEMORY.format(name=name, lake=str(lake), run=run)
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        peak = re.search(r"VmHWM:\s+(\d+) kB", done.stdout)
        if peak is None:
            raise SystemExit("this system does not tell the greatest memory of a process in /proc/self/status")
        yield line(f"memory: {name}", [int(peak[1]) / _KIB], "MiB", 1000)


def main() -> int:
    """Measure and print; every line says whether it is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", type=Path, nargs="?", help="the folder of recorder streams; else example runs")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--each", type=int, default=1800, help="individuals of a run")
    parser.add_argument("--large", type=Path, help="a lake whose largest run the memory is measured with, too")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    given = parser.parse_args()
    captures = given.captures if given.captures and given.captures.is_dir() else None
    individuals = given.runs * given.each
    lake = user_cache() / "bench" / f"{'captures' if captures else 'example'}-{given.runs}-{individuals}"
    make(lake, captures, given.runs, individuals)
    lab = gp.open(lake)
    run = largest_run(lab)
    print(f"{lab.run_count:,} runs, {lab.individuals.count('*').fetchall()[0][0]:,} individuals; largest run {run}")
    found = []
    measured = [processes(lake, run, given.rounds), questions(lake, run, given.rounds), memory(lake, run)]
    if given.large:
        measured.append(memory(given.large, largest_run(gp.open(given.large))))
    for lines in measured:
        for one in lines:
            print(one, flush=True)
            found.append(asdict(one) | {"met": one.met})
    if given.json:
        given.json.write_text(json.dumps(found, indent=1).replace("Infinity", "null") + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
