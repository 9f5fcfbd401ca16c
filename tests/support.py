"""What several tests need: lines as a recorder sends them, and the rows of a lake to compare."""

from __future__ import annotations

import json
import random
import socket
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gpdata.lab import open as open_lab

RUN = "00000000-0000-4000-8000-000000000001"


def line(
    run: str = RUN,
    generation: int = 0,
    size: int = 4,
    *,
    seed: int = 0,
    outcome: str = "continue",
    **top: Any,
) -> bytes:
    """Return a line of a run, the same for the same arguments; parents are of the generation before."""

    def uuid_of(generation: int, location: int) -> str:
        return str(uuid.UUID(int=random.Random(f"{seed}{run}{generation}.{location}").getrandbits(128)))

    chance = random.Random(f"{seed}{run}{generation}")
    population = []
    for location in range(size):
        errors = [chance.choice([0, 1, 0.5]) for _ in range(3)]
        population.append(
            {
                "uuid": uuid_of(generation, location),
                "parent-uuids": [uuid_of(generation - 1, chance.randrange(size)) for _ in range(2)]
                if generation
                else None,
                "genetic-operators": ["alternation", "uniform-mutation"] if generation else "random",
                "total-error": sum(errors),
                "errors": errors,
                "age": generation,
                "genome": [
                    {
                        "instruction": chance.choice(["exec_if", "integer_add", 7, 0.5, True]),
                        "close": chance.randrange(3),
                    }
                    for _ in range(chance.randrange(6))
                ],
            }
        )
    body = {
        "config-uuid": run,
        "index": generation,
        "outcome": outcome,
        "start-time": 1_700_000_000 + generation,
        "config": {
            "start-time": 1_700_000_000,
            "problem-file": "odd",
            "argmap": {
                "parent-selection": "lexicase",
                "population-size": size,
                "label": "test",
                "random-seed": "abc",
            },
        },
        "population": population,
        "best": {"individual": population[0]},
        "population-report": {"mean-age": generation},
    } | top
    return json.dumps(body).encode()


def run_lines(run: str = RUN, generations: int = 5, size: int = 4, **options: Any) -> list[bytes]:
    """Return the lines of a run that succeeds at its last generation."""
    return [
        line(run, g, size, outcome="success" if g == generations - 1 else "continue", **options)
        for g in range(generations)
    ]


def write_stream(path: Path, lines: Iterable[bytes]) -> Path:
    """Write lines to a file, each with its newline."""
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def contents(lake: Path, *, version: int | None = None) -> dict[str, pa.Table]:
    """Return every row of a lake that a user sees, in the order of the keys, for comparison."""
    lab = open_lab(lake, version=version)
    keys = {"runs": 1, "generations": 2, "individuals": 3}
    found = {}
    for name, width in keys.items():
        table = getattr(lab, name).to_arrow_table()
        order = ["run_uuid", "generation", "location"][:width]
        found[name] = table.take(pc.sort_indices(table, [(key, "ascending") for key in order])).combine_chunks()
    return found


def until(condition: Callable[[], object], seconds: float = 60.0, what: str = "it") -> None:
    """Return once the condition holds; fail where that hangs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about in {seconds:.0f} s"
        time.sleep(0.01)


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
