"""kill -9 of real processes before each call that changes the disk: started again, all is as if nothing had been.

The list of steps is what `shim/plug.c` saw, not one that somebody wrote. In `make test` a few of them; `make
test-faults` CASES of them (150 by default), each of another name, from 300 on each name; SEED brings back a failure.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.machine import Machine, Nursery, name, scratch
from tests.faults.stages import QUARANTINED, Stage, calm, stages

CASES = int(os.environ.get("CASES", "150"))
ALL = 300
"""With so many cases, each name is reached, however many there are."""
SEED = int(os.environ.get("SEED", str(random.randrange(10**6))))


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as made:
        yield made


@pytest.mark.parametrize("what", ["transform", "compact", "import"])
def test_killed_at_a_few_steps(what: str, nursery: Nursery) -> None:
    with scratch() as directory:
        stage = stages(directory)[what]
        killed_at_steps(stage, nursery, directory, most=2)


@pytest.mark.faults
@pytest.mark.parametrize("what", ["transform", "transform --follow", "compact", "import"])
def test_killed_at_every_named_step(what: str, nursery: Nursery) -> None:
    with scratch() as directory:
        stage = stages(directory)[what]
        reached = killed_at_steps(stage, nursery, directory, most=CASES // 4, names=True)
        print(f"\n{what}: {reached.total()} kills at {len(reached)} named steps; {SEED=}")
        for step, count in sorted(reached.items()):
            print(f"  {count:4} {step}")


def killed_at_steps(stage: Stage, nursery: Nursery, directory: Path, *, most: int, names: bool = False) -> Counter[str]:
    """Kill a stage's command before steps of it, as many as asked, new names first; return what was reached."""
    root, log = directory / "root", directory / "log"
    machine = Machine(stage.copy(root), directory / "machine", journal=True)
    calm(stage, nursery, machine, root, log)
    steps = [name(step) for step in machine.steps()]
    chance = random.Random(SEED)
    order = list(range(len(steps)))
    chance.shuffle(order)
    if names:  # first one of each name
        first = {steps[number]: number for number in reversed(order)}
        order = [*first.values(), *(number for number in order if number not in set(first.values()))]
        most = max(most, len(first)) if CASES >= ALL else most
    reached: Counter[str] = Counter()
    for number in order[:most]:
        machine = Machine(stage.copy(root), directory / "machine")
        machine.kill(number + 1)
        status = stage.run(nursery, machine, root, log)
        # Where something takes its time, there may be a call fewer than in the calm run.
        assert status == -signal.SIGKILL or stage.follows, (status, log.read_text())
        again = stage.run(nursery, None, root, log)
        assert again in (0, QUARANTINED), f"{steps[number]}; SEED={SEED}\n{log.read_text()}"
        wrong = stage.wrong(root)
        assert wrong == [], f"before {steps[number]} ({number}); SEED={SEED} brings it back"
        reached[steps[number]] += 1
    return reached
