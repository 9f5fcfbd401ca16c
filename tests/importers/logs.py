"""Small logs as Clojush writes them, for tests that need no captures."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Sequence


def ids(seed: int, generations: int, size: int) -> list[list[str]]:
    """Return the uuids of a run's individuals."""
    chance = random.Random(seed)
    return [[str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(size)] for _ in range(generations)]


def csv_log(seed: int = 1, generations: int = 3, size: int = 4) -> bytes:
    """Return a CSV log."""
    rows = ["uuid,generation,location,parent-uuids,genetic-operators,push-program,plush-genome,total-error,TC0,TC1"]
    names, chance = ids(seed, generations, size), random.Random(seed)
    for generation, uuids in enumerate(names):
        for location, name in enumerate(uuids):
            errors = [chance.randrange(3), 0.5]
            parents = [chance.choice(names[generation - 1]) for _ in range(2)] if generation else []
            said = "(" + " ".join(f'""{parent}""' for parent in parents) + ")" if parents else "[]"
            operators = ":alternation" if generation else ":random"
            rows.append(
                f'{name},{generation},{location},"{said}",{operators},(in1 (a {seed})),'
                f'"[{{:close 1, :instruction in1}}]",{sum(errors)},{errors[0]},{errors[1]}'
            )
    return ("\n".join(rows) + "\n").encode()


def edn_log(seed: int = 2, generations: int = 3, size: int = 4, run: str | None = None) -> bytes:
    """Return an EDN log."""
    named = f', :run-uuid #uuid "{run}"' if run else ""
    rows = [f"#clojush/run{{:population-size {size}, :parent-selection :lexicase{named}}}"]
    for generation, uuids in enumerate(ids(seed, generations, size)):
        rows += [
            f'#clojush/individual{{:uuid #uuid "{name}", :errors [1 {location}], :total-error {1 + location}, '
            f":generation {generation}, :location {location}, :program (in1 {seed})}}"
            for location, name in enumerate(uuids)
        ]
    return ("\n".join(rows) + "\n").encode()


def json_log(seed: int = 3, generations: int = 3, size: int = 4) -> bytes:
    """Return a JSON log."""
    chance = random.Random(seed)
    rows = []
    for generation in range(generations):
        population = [
            {"total-error": chance.randrange(99), "generation": generation, "size": 3, "program": f"(in1 {seed})"}
            for _ in range(size)
        ]
        rows.append(("," if generation else "") + json.dumps(population))
    return ("\n".join(rows) + "\n").encode()


def text_log(
    generations: int = 3,
    size: int = 4,
    run: str | None = None,
    end: Sequence[str] = ("", "", "SUCCESS at generation 2"),
) -> bytes:
    """Return what a run printed."""
    rows = [
        "Starting PushGP run.",
        "Clojush version = 3.2.1",
        f"population-size = {size}",
        "parent-selection = :lexicase",
    ]
    rows += [f'run-uuid = #uuid "{run}"'] if run else []
    for generation in range(generations):
        rows += [
            ";; -*- Report at generation " + str(generation),
            "--- Best Program (based on total-error) Statistics ---",
            "Best program: (in1 (a))",
            "Errors: [0 1]",
            "Total: 1",
            "Size: 4",
            "Percent parens: 0.500",
            "--- Population Statistics ---",
            f"Average total errors in population: {generation}.5",
            "Test Case    0 | Error: 0",
            "Test Case    1 | Error: 2.5",
            ";; -*- End of report for generation " + str(generation),
        ]
    return ("\n".join([*rows, *end]) + "\n").encode()


PHYLOGENY = b"""id,ancestor_list,origin_time,fitness
0,[none],0,1.5
1,[none],0,2
2,"[0, 1]",1,
3,[2],3,7
"""
