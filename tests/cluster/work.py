"""The runs that are uploaded, the analysis that is asked for, and its answer on this machine, to compare with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support import run_lines

RUNS = [f"00000000-0000-4000-8000-0000000000{number:02d}" for number in range(8)]
GENERATIONS, SIZE = 12, 40

ANALYSIS = """
import json, sys
import gpdata as gp

def answer(lab):
    by = "parent-selection"
    frames = {
        "success_table": gp.success_table(gp.last_generation(lab.generations), lab.runs, by=by),
        "size_curves": gp.size_curves(lab.generations, lab.runs, by=by),
        "instruction_frequency": gp.instruction_frequency(lab.genes, lab.runs, by=by),
        "diversity": gp.diversity(lab.individuals),
    }
    rows = {name: gp.to_arrow(frame).to_pylist() for name, frame in frames.items()}
    return json.loads(json.dumps(rows, default=str))
"""
"""Four standard analyses: a line a treatment, curves over generations, a scan of every gene, and a shuffle of
individuals."""

SMALL = (
    'spark__driver__memory="1g", spark__executor__memory="512m", spark__executor__cores="1", '
    'spark__kubernetes__executor__request__cores="100m", spark__dynamicAllocation__minExecutors="2", '
    'spark__dynamicAllocation__initialExecutors="2", spark__dynamicAllocation__maxExecutors="2", '
    'spark__sql__shuffle__partitions="4", spark__network__timeout="30s", spark__network__timeoutInterval="10s", '
    'spark__executor__heartbeatInterval="5s"'
)
"""What makes an executor fit twice on a node of two cores, and a lost one noticed sooner than in two minutes."""


def lines() -> dict[str, list[bytes]]:
    """Return the lines of each run."""
    return {run: run_lines(run, GENERATIONS, SIZE, seed=number) for number, run in enumerate(RUNS)}


def expected(folder: Path, streams: dict[str, list[bytes]]) -> Any:
    """Return DuckDB's answers on this machine, from a lake of the same lines."""
    source = folder / "streams"
    source.mkdir()
    for run, content in streams.items():
        (source / f"{run}.jsonl").write_bytes(b"".join(line + b"\n" for line in content))
    lake = folder / "lake"
    program = [sys.executable, "-c", "from gpdata.cli import main; main()"]
    subprocess.run([*program, "import", "--lake", str(lake), str(source)], check=True, capture_output=True)
    code = f"{ANALYSIS}\nprint(json.dumps(answer(gp.open({str(lake)!r}))))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def differences(found: Any, wanted: Any) -> list[str]:
    """Say in which analyses two answers are not the same; sums of floats may differ in their last digits."""
    import pytest

    def alike(mine: Any, theirs: Any) -> bool:
        if isinstance(mine, float) or isinstance(theirs, float):
            return bool(mine == pytest.approx(theirs, rel=1e-12))
        if isinstance(mine, dict):
            return mine.keys() == theirs.keys() and all(alike(mine[key], theirs[key]) for key in mine)
        if isinstance(mine, list):
            return len(mine) == len(theirs) and all(map(alike, mine, theirs))
        return bool(mine == theirs)

    return [name for name in wanted if not alike(found.get(name), wanted[name])]
