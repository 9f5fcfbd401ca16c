"""A small lake to explore, made once: twelve runs in three groups, with programs and parents."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from gpdata.importers import import_paths
from gpdata.lake import Lake
from tests.conftest import made_once
from tests.support import line

GENERATIONS, SIZE = 5, 8


def run_uuid(number: int) -> str:
    """Return the uuid of a run; no two begin alike."""
    return str(uuid.UUID(int=(0xA0000000 + number * 0x1111111 << 96) + number))


def run_line(number: int, generation: int, **top: Any) -> bytes:
    """Return a line of one of the runs: runs with an even number succeed."""
    selection = ("lexicase", "tournament", None)[number % 3]
    arguments = {"parent-selection": selection, "population-size": SIZE, "random-seed": number}
    arguments = {name: value for name, value in arguments.items() if value is not None}
    arguments["label"] = "pilot" if number < 4 else "paper"
    last = generation == GENERATIONS - 1
    body = json.loads(line(run_uuid(number), generation, SIZE, seed=number))
    for location, individual in enumerate(body["population"]):
        individual["program"] = f"(in1 exec_if {number} {generation} {location})"
    body["config"] = {
        "start-time": 1_700_000_000 + 86_400 * number,
        "problem-file": "odd" if number % 2 else "mirror-image",
        "argmap": arguments,
    }
    body["outcome"] = ("failure" if number % 2 else "success") if last else "continue"
    return json.dumps(body | top).encode() + b"\n"


def write_lake(path: Path, lines: list[bytes]) -> Path:
    """Make a lake of lines."""
    stream = path.with_suffix(".jsonl")
    stream.write_bytes(b"".join(lines))
    import_paths([stream], Lake.create(path))
    return path


@pytest.fixture(scope="session")
def small_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lake of twelve runs; read only."""

    def make(path: Path) -> None:
        write_lake(path, [run_line(number, g) for number in range(12) for g in range(GENERATIONS)])

    return made_once(tmp_path_factory, "explored", make)
