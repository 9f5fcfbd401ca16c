"""Calls that fail: each phase again with a disk that is full or broken at one call, then a loss of power."""

from __future__ import annotations

import copy
import errno
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gpdata.errors import GpdataError
from gpdata.spool import Disk
from tests.faults.scenario import World, shuffled
from tests.faults.storage import Fault, JournalDisk, Step
from tests.faults.survival import Model, materialise
from tests.faults.walk import EXTREMES, Journey, Point, Restart, Result, judge, record

FAULTS = (
    Fault(0, errno.ENOSPC),
    Fault(0, errno.ENOSPC, cut=True),
    Fault(0, errno.ENOSPC, lasting=True),
    Fault(0, errno.EIO),
    Fault(0, errno.EIO, cut=True),
)


@dataclass
class Stage:
    """A phase, and the world as it was before."""

    phase: Callable[[World], None]
    before: Path
    world: World
    steps: list[Step]
    """Those of the phase where nothing fails."""


def stages(directory: Path, seed: int) -> tuple[Journey, list[Stage]]:
    """Let a scenario run to its end, undisturbed, and keep what was there before each phase."""
    found: list[Stage] = []

    def keep(phase: Callable[[World], None], world: World) -> None:
        before = directory / f"before-{phase.__name__}"
        shutil.copytree(world.root, before)
        kept = copy.copy(world)
        kept.disk = Disk()
        found.append(Stage(phase, before, copy.deepcopy(kept), []))

    live = directory / "stages"
    live.mkdir()
    journey = record(live, seed, before=keep)
    for stage in found:
        stage.steps = [step for step in journey.steps if step.phase == stage.phase.__name__]
    return journey, found


def fail(journey: Journey, stage: Stage, fault: Fault, directory: Path, seed: int, result: Result) -> list[str]:
    """Let a phase run with a call that fails, cut the power afterwards, start again, and say what does not hold."""
    root = directory / "failing"
    shutil.copytree(stage.before, root)
    model = Model(root)
    disk = JournalDisk(root)
    world = copy.deepcopy(stage.world)
    world.root, world.disk = root, disk
    disk.watch = world.watch
    disk.phase = stage.phase.__name__
    disk.set_fault(fault := copy.copy(fault))
    chance = random.Random(seed)

    def room_again() -> None:
        if world.failures >= chance.randint(1, 3):
            disk.set_fault(None)

    world.on_failure = room_again
    survivor = directory / "failing-survivor"
    try:
        stage.phase(world)
        result.points += fault.hit
        disk.set_fault(None)
        for step in disk.steps:
            model.play(step)
            if step.error:
                result.kinds[step.kind] += 1
                result.phases[step.phase] += 1
        materialise(model.survive(chance.choice([*EXTREMES, chance.randrange(10, 10**6)])), survivor)
        restart = Restart(pack=False, offers=[], told=[line for _, line in world.acknowledged])
        lake = restart.run(survivor, Disk(), chance)
        return judge(Journey(journey.seed, world, [], journey.expected), Point(0, 10**9, 0), lake, restart, chance)
    except (GpdataError, OSError, ArithmeticError, LookupError, ValueError, AssertionError) as error:
        return [f"a person is needed: {type(error).__name__}: {error}"]
    finally:
        for path in (root, survivor):
            shutil.rmtree(path, ignore_errors=True)


def fail_all(directory: Path, seed: int, chosen: Callable[[Step], int], part: int = 0, parts: int = 1) -> Result:
    """Let calls of every phase fail: `chosen` says of a step in how many of the ways of `FAULTS`.

    Of several parts, which can run at the same time, each takes every so manieth call.
    """
    journey, found = stages(directory, seed)
    result = Result()
    chance = random.Random(f"failing {seed}")
    for stage in found:
        for number, step in enumerate(_calls(stage.steps)):
            if number % parts != part:
                continue
            for fault in chance.sample(FAULTS, min(chosen(step), len(FAULTS))):
                fault = Fault(number, fault.error, fault.lasting, fault.cut)
                survival = chance.randrange(10**6)
                wrong = fail(journey, stage, fault, directory, survival, result)
                said = f"scenario {seed}, {fault} at {step}, survival {survival}"
                result.wrong += [f"{said}: {what}" for what in wrong]
    return result


def _calls(steps: list[Step]) -> Iterator[Step]:
    """Yield the steps that are calls of ours, which can fail."""
    return (step for step in steps if step.kind not in ("foreign", "vanished"))


__all__ = ["FAULTS", "Stage", "fail", "fail_all", "shuffled", "stages"]
