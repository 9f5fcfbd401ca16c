"""The analyses over real Clojush runs, against what their raw lines say."""

from __future__ import annotations

import json
import statistics
from collections import Counter

import polars as pl
import pytest

from gpdata.analyses import error_curves, last_generation, success_table
from gpdata.spool.zstd import ZstdFile


@pytest.fixture(scope="module")
def lines(captures):
    """Return each run's lines of the simple_regression replicates: configuration, outcome and least error."""
    runs = {}
    for path in sorted(captures.glob("demos.simple_regression-[lt]*.jsonl.zst")):
        with ZstdFile(path) as text:
            runs[path.name] = [
                {
                    "selection": line["config"]["argmap"]["parent-selection"],
                    "generation": line["index"],
                    "outcome": line["outcome"],
                    "best": min(individual["total-error"] for individual in line["population"]),
                }
                for line in map(json.loads, text)
            ]
    return runs


@pytest.fixture(scope="module")
def lab(lines):
    generations = pl.DataFrame(
        [
            {"run_uuid": name, "total_error_min": line["best"], "best_test_errors": None, **line}
            for name, run in lines.items()
            for line in run
        ]
    )
    runs = pl.DataFrame([{"run_uuid": name, "parent-selection": run[0]["selection"]} for name, run in lines.items()])
    return generations, runs


def test_success_table(lab, lines):
    generations, runs = lab
    table = success_table(last_generation(generations), runs, by="parent-selection")
    replicates = Counter(run[0]["selection"] for run in lines.values())
    wins = Counter(run[0]["selection"] for run in lines.values() if run[-1]["outcome"] == "success")
    got = {row["parent-selection"]: (row["runs"], row["finished"], row["successes"]) for row in table.to_dicts()}
    assert got == {name: (count, count, wins[name]) for name, count in replicates.items()}
    assert sum(wins.values()) > 0
    assert table["generalising"].to_list() == [None] * len(replicates)


def test_error_curves(lab, lines):
    generations, runs = lab
    curve = error_curves(generations, runs, by="parent-selection", stopped="carry").to_dicts()
    for row in curve:
        group = [run for run in lines.values() if run[0]["selection"] == row["parent-selection"]]
        values = [run[min(row["generation"], len(run) - 1)]["best"] for run in group]
        assert row["runs"] == len(group)
        assert row["best_median"] == statistics.median(values)
        assert row["best_mean"] == pytest.approx(statistics.mean(values), rel=1e-12)
    longest = Counter()
    for run in lines.values():
        longest[run[0]["selection"]] = max(longest[run[0]["selection"]], len(run))
    assert Counter(row["parent-selection"] for row in curve) == longest
