"""The example lake: eighteen seeded runs of the demo's problem, small enough to be made while one waits."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from gpdata.demo import aged
from gpdata.demo.evolution import SELECTIONS, Plan, evolve
from gpdata.errors import InvalidInput
from gpdata.lake import Account, Lake, take_snapshot
from gpdata.lake.runs import runs_table

PLANS = tuple(
    Plan(selection, seed, population_size=200, max_generations=30)
    for selections in (SELECTIONS, (aged.NAME,))
    for seed in range(1, 7)
    for selection in selections
)
"""The runs, six of each way to select; some succeed, some of those on the unseen test cases too."""

_HISTORY = {
    (False, 3): ("ada", "pilot", datetime(2026, 1, 12, 9, tzinfo=UTC)),
    (False, 6): ("grace", "replication", datetime(2026, 2, 16, 9, tzinfo=UTC)),
    (True, 6): ("grace", "age", datetime(2026, 3, 9, 9, tzinfo=UTC)),
}
"""Whose the runs are, what they belong to and when the first of them was run: by whether ages count, up to a seed."""


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
        total.add(evolve_example(path, plan))
        if progress is not None:
            progress(done, len(PLANS))
    return total


def evolve_example(path: str | Path, plan: Plan) -> Account:
    """Evolve one of the runs into a lake, with its owner, label and start: a lab's history in small.

    Parameters
    ----------
    path : str or Path
        The lake.
    plan : Plan
        One of `PLANS`, or one with its kind of selection and seed.

    Returns
    -------
    Account
        What became of the generations.
    """
    is_aged = plan.parent_selection == aged.NAME
    owner, label, first = next(
        about for (ages, last), about in _HISTORY.items() if ages == is_aged and plan.random_seed <= last
    )
    hours = 2 * (plan.random_seed - 1) + (plan.parent_selection == SELECTIONS[0])
    return evolve(path, plan, owner=owner, label=label, start=first + timedelta(hours=hours))


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
