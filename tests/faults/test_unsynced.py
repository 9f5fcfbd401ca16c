"""The plug is pulled on real processes: whatever was not synced, by Python, delta-rs or Arrow, may be gone.

Service, transform, imports and compactions run on the layer of `shim/plug.c`, which notes every call with its bytes.
At a random call everything dies; `survival.py` tells from the journal what a disk may then hold; that is put in the
place of the lake, the processes are started again, and the clients go on. Besides, from the same journals, the lake is
recovered from crashes at other calls. `make test-faults`: PLUGS pulls (40 by default), each with POINTS other calls
(30); SEED brings back a failure.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.life import Life, recover
from tests.faults.machine import Machine, Nursery, name, scratch
from tests.faults.survival import ALL, NOTHING, ORDERED, Model, Tree, materialise
from tests.support import until

PLUGS = int(os.environ.get("PLUGS", "40"))
POINTS = int(os.environ.get("POINTS", "30"))
SEED = int(os.environ.get("SEED", str(random.randrange(10**6))))


def test_a_plug_is_pulled() -> None:
    pulled(plugs=1, points=6, seed=SEED, calls=600)


@pytest.mark.faults
def test_plugs_are_pulled_all_the_time() -> None:
    done = 0
    counted: Counter[str] = Counter()
    for seed in range(SEED, SEED + PLUGS):
        if done >= PLUGS:
            break
        counted += pulled(plugs=min(8, PLUGS - done), points=POINTS, seed=seed, calls=3000)
        done += 8
    points = f"{counted.total()} points of recovery at {len(counted)} named steps"
    print(f"\n{min(done, PLUGS)} plugs pulled, {points}; {SEED=}")


def pulled(*, plugs: int, points: int, seed: int, calls: int) -> Counter[str]:
    """Let a lab live through so many losses of power; return the steps at which it was recovered."""
    chance = random.Random(seed)
    reached: Counter[str] = Counter()
    with scratch() as directory, Nursery() as home, Nursery() as nursery:
        life = Life(directory / "root", directory / "files", home, nursery, seed)
        for _ in range(plugs):
            model = Model(life.root)
            machine = life.begin()
            machine.kill(chance.randint(1, calls), everything=True)
            if chance.random() < 0.4:  # what a sync that failed should have brought to the disk is lost
                error = chance.choice([errno.EIO, errno.ENOSPC])
                machine.fail(error, at=chance.randint(1, calls // 2), count=chance.choice([1, 1, 5]))
            until(lambda: _dead(life), 120, f"a death (SEED={seed})")
            life.died()
            tree = _replay(life, model, machine, points, chance, directory / "point", reached, seed)
            shutil.rmtree(life.root)
            materialise(tree, life.root)
        model = Model(life.root)
        machine = life.begin()
        until(lambda m=machine: m["calls"] > calls / 3, 120, f"a day's work (SEED={seed})")
        life.finish()
        for step in machine.steps():
            model.play(step)
        _same(model.survive(ALL), life.root)
        life.check()
        assert len(life.told) > 5 * plugs
    return reached


def _dead(life: Life) -> bool:
    life.keep_up()
    return life.machine is not None and bool(life.machine["dead"])


def _replay(
    life: Life, model: Model, machine: Machine, points: int, chance: random.Random, where: Path, reached: Counter[str],
    seed: int,
) -> Tree:  # fmt: skip
    """Recover from crashes at calls of a journal; return what its last one leaves."""
    steps = machine.numbered()
    chosen = set(chance.sample(range(len(steps)), min(points, len(steps))))
    for position, (number, step) in enumerate(steps):
        model.play(step)
        if position not in chosen:
            continue
        survival = _survival(chance)
        materialise(model.survive(survival), where)
        lake = recover(where, chance)
        wrong = life.violations(lake, life.epoch, number)
        assert wrong == [], f"behind {step} (call {number} of epoch {life.epoch}, {survival=}), SEED={seed}"
        shutil.rmtree(where)
        reached[name(step)] += 1
    return model.survive(_survival(chance))


def _survival(chance: random.Random) -> int:
    return chance.choice([NOTHING, NOTHING, ALL, ORDERED, chance.randrange(10, 10**6), chance.randrange(10, 10**6)])


def _same(tree: Tree, root: Path) -> None:
    """Fail where a process changed the directory past the layer: then the journal would prove nothing."""
    noted = {f"{path}/{name}": content for path, names in tree.items() for name, (_, content) in names.items()}
    found = {
        f"{path.parent.relative_to(root)}/{path.name}": path.read_bytes() for path in root.rglob("*") if path.is_file()
    }
    assert noted.keys() == found.keys()
    different = [name for name in found if found[name] != noted[name] and not name.endswith(("lock", "ballast"))]
    assert different == []
