"""The example lake: twelve seeded runs of the demo's problem, small enough to be made while one waits."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from gpdata.demo.evolution import SELECTIONS, Plan, evolve
from gpdata.errors import InvalidInput
from gpdata.lake import Account, Lake, take_snapshot
from gpdata.lake.runs import runs_table

PLANS = tuple(
    Plan(selection, seed, population_size=200, max_generations=30) for seed in range(1, 7) for selection in SELECTIONS
)
"""The runs, six of each way to select parents; some succeed, some of those on the unseen test cases too."""


def make_example_lake(path: str | Path, *, progress: Callable[[int, int], None] | None = None) -> Account:
    """Evolve the runs that the example notebooks read, one after another, and record them into a lake.

    Parameters
    ----------
    path : str or Path
        The lake; made where there is none.
    progress : callable, optional
        Called with the number of runs that are done and that of all.

    Returns
    -------
    Account
        What became of the generations. Seeds, uuids and the clock are fixed, so every line is the same to the
        byte each time: in a lake that has a run of them, or a part of one, its lines count as duplicates.

    Raises
    ------
    InvalidInput
        The path cannot become a lake, or is one with other runs: the notebooks would mix them in.
    """
    lake = Lake.create(path)
    _refuse_others(lake)
    total = Account()
    for done, plan in enumerate(PLANS, 1):
        total.add(evolve(path, plan))
        if progress is not None:
            progress(done, len(PLANS))
    return total


def _refuse_others(lake: Lake) -> None:
    # DEAP's version is a part of a run's seed: with another one all runs are others.
    ours = [(version("deap"), plan.config) for plan in PLANS]
    for run in runs_table(take_snapshot(lake)).select(["run_uuid", "version", "config"]).to_pylist():
        config = {name: json.loads(text) for name, text in run["config"] if name != "label"}
        if (run["version"], config) not in ours:
            raise InvalidInput(
                f"the lake {lake.path} holds the run {run['run_uuid']}, which is none of the example's; the "
                "example needs a lake of its own: name a directory that does not exist yet"
            )
