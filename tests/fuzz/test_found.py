"""What the fuzzer found once, and some chance: each target holds, where the fuzzer itself is not installed, too."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.fuzz import HERE, seeds
from tests.fuzz.targets import TARGETS

FOUND = [pytest.param(path.parent.name, path, id=f"{path.parent.name}/{path.name}") for path in HERE.glob("found/*/*")]
ROUNDS = {"made": 8, "lines": 40}


@pytest.mark.parametrize(("target", "path"), FOUND)
def test_what_was_found_once_is_mended(target: str, path: Path) -> None:
    TARGETS[target](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_seeds(target: str) -> None:
    chance, beginnings = random.Random(target), seeds(target)
    for _ in range(ROUNDS.get(target, 150)):
        data = bytearray(chance.choice(beginnings))
        for _ in range(chance.randrange(4)):
            place = chance.randrange(len(data) + 1)
            data[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        TARGETS[target](bytes(data))


def test_the_fuzzer_finds_what_is_wrong() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gpdata.wire.key._REACH", 4)  # a window that cuts names in two
        with pytest.raises(AssertionError):
            TARGETS["key"](b'\x01\x05\x00{"config-uuid":"r","index":0}')
