"""Simulated storage: crashes at every step, writes that were not synced forgotten, calls that fail.

The short form runs in `make test`. `make test-faults` goes on for FAULTS points (4,000 by default, 100,000 in the
long run) in two processes; SEED brings back a run.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from gpdata.spool import Disk
from tests.faults.failing import fail_all
from tests.faults.storage import Step
from tests.faults.walk import EXTREMES, Journey, Result, quick, record, scratch, walk

FAULTS = int(os.environ.get("FAULTS", "4000"))
SEED = int(os.environ.get("SEED", str(random.randrange(1, 10**6))))
_A_SCENARIO = 2000
"""Points of the long run in one scenario; then another begins."""
_MADE_OF_OTHERS = {"write", "write_new", "publish", "scratch"}
_METHODS = {name for name in vars(Disk) if not name.startswith("_")} - _MADE_OF_OTHERS | {"foreign"}
"""Calls behind which there must be a crash."""
_PHASES = {"create", "upload", "batches", "others", "graced", "beside", "again", "sealed", "last"}


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """Give a directory in memory, in which recoveries are quick."""
    with quick(), scratch() as path:
        yield path


@pytest.fixture(scope="module")
def journey(memory: Path) -> Journey:
    """Return a scenario that ran to its end."""
    (memory / "live").mkdir()
    return record(memory / "live", 0)


def test_crash_behind_every_named_step(journey: Journey, memory: Path) -> None:
    chance = random.Random(1)
    result = walk(journey, memory, seeds=_named(journey, chance))
    print(_told("crashes", result))
    assert result.wrong == []
    assert set(result.kinds) >= _METHODS
    assert set(result.phases) == _PHASES
    assert result.again > 10


def test_a_call_that_fails(memory: Path) -> None:
    seen: set[object] = set()

    def chosen(step: Step) -> int:
        names = {(step.kind, step.where[:1]), step.phase}
        new = not names <= seen
        seen.update(names)
        return int(new)

    result = fail_all(memory, 0, chosen)
    print(_told("failures", result))
    assert result.wrong == []
    assert set(result.phases) == _PHASES
    assert set(result.kinds) >= _METHODS - {"foreign", "remove"}


def test_a_missing_barrier_is_found(memory: Path) -> None:
    """The walk can fail: without the sync of spool files, a crash loses lines that were acknowledged."""
    (memory / "barrier").mkdir()
    where = "spool/spool.py:SpoolWriter.commit"
    journey = record(memory / "barrier", 0, skip=lambda step: step.kind == "sync" and step.where[0] == where)
    upload = [number for number, step in enumerate(journey.steps, 1) if step.phase == "upload"]
    result = walk(journey, memory, seeds=lambda number: [1, 2] if number == upload[-1] else [])
    assert any("LOST" in wrong for wrong in result.wrong)


@pytest.mark.faults
def test_crashes_for_long() -> None:
    begun = time.monotonic()
    result = Result()
    # Not an executor: with `max_tasks_per_child`, that of Python 3.11 waits for ever once its first processes are gone.
    with multiprocessing.get_context("spawn").Pool(2, maxtasksperchild=4) as pool:
        scenario = SEED * 1000
        while result.points < FAULTS:
            wanted = min(_A_SCENARIO, max(50, (FAULTS - result.points) // 2))
            rounds = max(1, min(40, (FAULTS - result.points) // _A_SCENARIO))
            for one in pool.imap_unordered(partial(explore, points=wanted), range(scenario, scenario + rounds)):
                result.add(one)
                print(f"{result.points} crashes, {len(result.wrong)} violations", *one.wrong[:3], sep="\n", flush=True)
            scenario += rounds
    print(f"{_told('crashes', result)}; {time.monotonic() - begun:.0f} s; SEED={SEED}")
    assert result.wrong == [], f"SEED={SEED} brings it back"
    assert set(result.kinds) >= _METHODS


@pytest.mark.faults
def test_failures_for_long() -> None:
    """Every call of a scenario fails, those that only write bytes by the share that FAULTS leaves."""
    result = Result()
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for one in pool.map(fail_some, [SEED, SEED], [0, 1], [min(1.0, FAULTS / 100_000)] * 2):
            result.add(one)
    print(f"{_told('failures', result)}; SEED={SEED}")
    assert result.wrong == [], f"SEED={SEED} brings it back"


def fail_some(scenario: int, part: int, share: float) -> Result:
    """Let half of a scenario's calls fail, each by a chance."""
    chance = random.Random(f"{scenario} {part}")
    with quick(), scratch() as path:
        many = {"write": 0.3}
        chosen = lambda step: _rounded(chance, many.get(step.kind, 4.0) * share + 0.02)  # noqa: E731
        return fail_all(path, scenario, chosen, part, 2)


def explore(scenario: int, points: int) -> Result:
    """Walk over some crash points of a scenario, all kinds of steps alike but for writes, which are many."""
    logging.disable(logging.CRITICAL)
    with quick(), scratch() as path:
        (path / "live").mkdir()
        journey = record(path / "live", scenario)
        chance = random.Random(scenario)
        weights = [0.1 if step.kind == "write" else 1.0 for step in journey.steps]
        # Some states are the same as others and do not count: more are asked for than are wanted.
        each = 1.3 * points / sum(weights)
        turn = [*EXTREMES]

        def seeds(number: int) -> list[int]:
            turn.append(turn.pop(0))
            count = _rounded(chance, each * weights[number - 1])
            return [*turn, *(chance.randrange(10, 10**9) for _ in range(count))][:count]

        return walk(journey, path, seeds=seeds, most=points)


def _named(journey: Journey, chance: random.Random) -> Callable[[int], list[int]]:
    """Choose of each place in the code that changes something one step, and two states."""
    places: dict[tuple[str, ...], list[int]] = {}
    for number, step in enumerate(journey.steps, 1):
        places.setdefault((step.kind, *step.where[:3]), []).append(number)
    chosen = {chance.choice(numbers) for numbers in places.values()}
    states = [*EXTREMES, chance.randrange(10, 10**6)]
    return lambda number: chance.sample(states, 2) if number in chosen else []


def _rounded(chance: random.Random, value: float) -> int:
    return int(value + chance.random())


def _told(what: str, result: Result) -> str:
    kinds = ", ".join(f"{kind} {count}" for kind, count in result.kinds.most_common())
    phases = ", ".join(f"{phase} {count}" for phase, count in result.phases.most_common())
    again = ", ".join(f"{kind} {count}" for kind, count in result.methods.most_common())
    return (
        f"{result.points} {what} ({len(result.wrong)} violations); behind {kinds}; in {phases}; "
        f"{result.again} recoveries crashed, too, behind {again or 'nothing'}"
    )
