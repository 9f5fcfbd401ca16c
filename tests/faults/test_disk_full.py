"""A disk that is full, or that fails, at any write and sync, below real processes; then it is whole again.

ENOSPC and EIO come from the layer of `shim/plug.c`, for whatever Python, delta-rs or Arrow call: the service answers
503 and goes on by itself; so does the transform. A real small file system (root only: tmpfs, and ext4 in a file) is
filled up at random moments. `make test-faults`: CASES; SEED brings back a failure.
"""

from __future__ import annotations

import errno
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.life import Life
from tests.faults.machine import NEEDS_ROOM, Machine, Nursery, name, scratch
from tests.faults.stages import QUARANTINED, calm, stages
from tests.support import until

CASES = int(os.environ.get("CASES", "150"))
SEED = int(os.environ.get("SEED", str(random.randrange(10**6))))
_FAILED = (1, 2)
"""What a command says that could not do it."""


@pytest.mark.parametrize("what", ["transform"])
def test_a_few_calls_fail(what: str) -> None:
    failing(what, most=2)


@pytest.mark.faults
@pytest.mark.parametrize("what", ["transform", "transform --follow", "compact", "import"])
def test_each_call_that_needs_room_fails(what: str) -> None:
    reached = failing(what, most=CASES // 4)
    print(f"\n{what}: {reached.total()} calls failed, of {len(reached)} names; {SEED=}")


def failing(what: str, *, most: int) -> Counter[str]:
    """Let calls of a stage's command fail, one or all from it on; started again it must do everything."""
    chance = random.Random(SEED)
    reached: Counter[str] = Counter()
    with scratch() as directory, Nursery() as nursery:
        stage = stages(directory)[what]
        root, log = directory / "root", directory / "log"
        machine = Machine(stage.copy(root), directory / "machine", journal=True)
        calm(stage, nursery, machine, root, log)
        calls = [(number, step) for number, step in machine.numbered() if step.kind in NEEDS_ROOM]
        for number, step in chance.sample(calls, min(most, len(calls))):
            error = chance.choice([errno.ENOSPC, errno.EIO])
            lasting = chance.random() < 0.5 and not stage.follows
            machine = Machine(stage.copy(root), directory / "machine")
            machine.fail(error, at=number, count=2**40 if lasting else 1)
            machine["fault_half"] = chance.randrange(2)
            status = stage.run(nursery, machine, root, log)
            where = f"{errno.errorcode[error]} at {name(step)} (call {number}, {lasting=}); SEED={SEED}"
            assert status in (0, *_FAILED, QUARANTINED), f"{where}: {status}\n{log.read_text()}"
            # systemd starts it again. One that follows may have ended with a manifest that the next start removes.
            if status in _FAILED or stage.follows:
                status = stage.run(nursery, None, root, log)
            assert status in (0, QUARANTINED), f"{where}\n{log.read_text()}"
            wrong = stage.wrong(root)
            assert wrong == [], where
            reached[name(step)] += machine["hits"] > 0
    return reached


def test_a_service_goes_on_behind_a_full_and_a_broken_disk() -> None:
    answers = disturbed(rounds=2)
    assert answers[503] > 0


@pytest.mark.faults
def test_a_service_goes_on_behind_many_failures() -> None:
    answers = disturbed(rounds=CASES // 5)
    print(f"\n{CASES // 5} failures, answers {dict(answers)}; {SEED=}")
    assert answers[503] > CASES // 10


def disturbed(*, rounds: int) -> Counter[int]:
    """Let calls of the service, its transform, imports and compactions fail for a while, over and over."""
    chance = random.Random(SEED)
    with scratch() as directory, Nursery() as home, Nursery() as nursery:
        life = Life(directory / "root", directory / "files", home, nursery, SEED)
        machine = life.begin(journal=False)
        until(lambda: life.told or life.wrong, what="a first upload")
        for number in range(rounds):
            error = [errno.ENOSPC, errno.EIO][number % 2]
            machine["fault_half"] = chance.randrange(2)
            single = chance.random() < 0.3
            machine.fail(error, at=chance.randint(1, 100), count=1 if single else chance.randint(20, 200))
            begun, told = time.monotonic(), len(life.told)
            until(lambda: machine["hits"] or life.wrong, what="a failure")
            until(lambda b=begun: time.monotonic() - b > 0.5, what="time")  # type: ignore[misc]
            machine.mend()
            until(lambda t=told: len(life.told) > t or life.wrong, 90, f"an upload behind a failure (SEED={SEED})")  # type: ignore[misc]
        life.finish()
        life.check()
        return Counter(life.answers)


@pytest.mark.parametrize("kind", ["ext4"])
def test_a_real_small_disk_fills_up(kind: str, tmp_path: Path) -> None:
    filled_up(kind, tmp_path, rounds=1)


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_a_real_small_disk_fills_up_again_and_again(kind: str, tmp_path: Path) -> None:
    filled_up(kind, tmp_path, rounds=max(3, CASES // 20))


def filled_up(kind: str, tmp_path: Path, *, rounds: int) -> None:
    """Fill the disk of a working service, at random moments, until it refuses; make room; all goes on."""
    chance = random.Random(SEED)
    with small(kind, tmp_path / "small", tmp_path) as disk, Nursery() as home, Nursery() as nursery:
        life = Life(disk / "root", tmp_path / "files", home, nursery, SEED)
        life.begin(journal=False)
        until(lambda: life.told or life.wrong, what="a first upload")
        filler = disk / "filler"
        for _ in range(rounds):
            refused = life.answers.get(503, 0)
            time.sleep(chance.uniform(0.0, 1.0))
            _fill(filler, leave=chance.choice([0, 4096, 40_000]))
            until(lambda r=refused: life.answers.get(503, 0) > r or life.wrong, what="a refusal")  # type: ignore[misc]
            told = len(life.told)
            filler.unlink()
            until(lambda t=told: len(life.told) > t or life.wrong, 90, "an upload once there is room")  # type: ignore[misc]
        life.finish()
        life.check()


@contextmanager
def small(kind: str, path: Path, files: Path) -> Iterator[Path]:
    """Mount a small file system; skip where this user may not."""
    path.mkdir()
    if kind == "tmpfs":
        mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(path)]
    else:
        image = files / "image"
        with image.open("wb") as file:
            file.truncate(32 << 20)
        made = subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], capture_output=True, text=True, check=False) \
            if Path("/sbin/mkfs.ext4").exists() else None  # fmt: skip
        if made is None or made.returncode:
            pytest.skip("an ext4 file system is made with mkfs.ext4, which is not here")
        mount = ["mount", "-o", "loop", str(image), str(path)]
    if (done := subprocess.run(mount, capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"only root, where the kernel lets it, mounts a small file system: {done.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def _fill(path: Path, *, leave: int) -> None:
    with path.open("ab", buffering=0) as file:
        try:
            for piece in (1 << 20, 4096):
                while True:
                    try:
                        file.write(bytes(piece))
                    except OSError as error:
                        if error.errno != errno.ENOSPC:
                            raise
                        break
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        file.truncate(max(0, path.stat().st_size - leave))
