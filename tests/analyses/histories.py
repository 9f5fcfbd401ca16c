"""Made-up runs for the analyses of success over time, and what plain Python says of them."""

from __future__ import annotations

import math
from fractions import Fraction

import pyarrow as pa
from hypothesis import strategies as st

from gpdata.schema import GENERATIONS, arrow_schema

best = st.sampled_from([None, math.inf, 0.0, 1e-7, 1.0, 2.5, 7.0, 1e6]) | st.floats(0, 1000)


@st.composite
def history(draw):
    """Draw a run: gaps, no rows at all, sizes that change, best_so_far that falls, null at first."""
    generations = sorted(draw(st.sets(st.integers(0, 9), max_size=7)))
    values = [draw(best) for _ in generations]
    so_far = []
    for value in values:
        known = [v for v in (*so_far[-1:], value) if v is not None]
        so_far.append(min(known, default=None))
    return {
        "problem": draw(st.sampled_from([None, "odd", "syllables"])),
        "parent-selection": draw(st.sampled_from([None, "lexicase"])),
        "generations": generations,
        "best_so_far": so_far,
        "sizes": [draw(st.sampled_from([100, 100, 100, 30])) for _ in generations],
        "outcome": draw(st.sampled_from(["continue", "success", "failure"])),
    }


histories = st.lists(history(), max_size=12)


def tables(runs):
    """Return `generations` and `runs` as Arrow tables."""
    fields = ["run_uuid", "generation", "outcome", "best_so_far", "population_size", "best_test_errors"]
    generations = [
        {"run_uuid": f"run-{index}", "generation": generation, "best_so_far": so_far, "population_size": size}
        | {"outcome": run["outcome"] if generation == run["generations"][-1] else "continue"}
        for index, run in enumerate(runs)
        for generation, so_far, size in zip(run["generations"], run["best_so_far"], run["sizes"], strict=True)
    ]
    table = [
        {"run_uuid": f"run-{index}", "problem": run["problem"], "parent-selection": run["parent-selection"]}
        for index, run in enumerate(runs)
    ]
    schema = arrow_schema(GENERATIONS)
    return (
        pa.Table.from_pylist(generations, pa.schema([schema.field(name) for name in fields])),
        pa.Table.from_pylist(
            table, pa.schema([(name, pa.string()) for name in ("run_uuid", "problem", "parent-selection")])
        ),
    )


def groups(runs, by):
    """Return the runs of each group, in the order of the result: nulls first."""
    found = {}
    for run in runs:
        found.setdefault(tuple(run[name] for name in by), []).append(run)
    return {key: found[key] for key in sorted(found, key=lambda key: [(part is not None, part or "") for part in key])}


def solved_at(run, threshold):
    """Return the generation at which a run was solved, or None."""
    if threshold is None:
        return run["generations"][-1] if run["generations"] and run["outcome"] == "success" else None
    reached = [
        g for g, e in zip(run["generations"], run["best_so_far"], strict=True) if e is not None and e <= threshold
    ]
    return min(reached, default=None)


def counted(runs, threshold, unfinished):
    """Return the runs that are in the denominator."""
    if unfinished == "failure":
        return runs
    ended = [run for run in runs if run["generations"]]
    return [run for run in ended if run["outcome"] != "continue" or solved_at(run, threshold) is not None]


def evaluations(run, until=math.inf):
    """Count evaluations by adding up generation by generation, lost ones like the next that is there."""
    total = 0
    for generation in range((run["generations"][-1] if run["generations"] else -1) + 1):
        if generation > until:
            break
        following = next(at for at, present in enumerate(run["generations"]) if present >= generation)
        total += run["sizes"][following]
    return total


def needed(solved, runs, z):
    """Return Koza's R(z) without a logarithm: the least R with 1 - (1 - P)^R >= z, in fractions."""
    if solved == 0:
        return None
    count, miss = 1, 1 - Fraction(solved, runs)
    while 1 - miss**count < z:
        count += 1
    return count
