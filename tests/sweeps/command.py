"""A program that a sweep starts: it records a run as its arguments say; `--own` under a uuid that it makes itself."""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import sys
import time
import uuid

from gpdata.upload import Recorder


def main() -> None:
    """Record one run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=2)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--own", action="store_true", help="make the run's uuid here, as Clojush does")
    parser.add_argument("--plain", help="record over plain TCP, as Clojush does")
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--fail", type=int, default=0)
    parser.add_argument("--silent", action="store_true")
    given = parser.parse_args()
    print("started with", *sys.argv[1:], flush=True)
    run = str(uuid.uuid4()) if given.own else os.environ["GPDATA_RUN_UUID"]
    chance = random.Random(given.seed)
    populations = [[{"errors": [chance.randrange(100)]} for _ in range(given.size)] for _ in range(3)]
    if given.silent:
        return
    if given.plain:
        _send(given.plain, run, given.seed, populations, given.pause)
    else:
        with Recorder(system="program", config={"size": given.size, "seed": given.seed}, run_uuid=run) as recorder:
            for number, population in enumerate(populations):
                recorder.generation(population, outcome="failure" if number == 2 else "continue")
                time.sleep(given.pause)
    sys.exit(given.fail)


def _send(to: str, run: str, seed: int, populations: list[list[dict[str, list[int]]]], pause: float) -> None:
    host, _, port = to.partition(":")
    with socket.create_connection((host, int(port))) as connection:
        for number, population in enumerate(populations):
            line = {
                "config-uuid": run,
                "index": number,
                "outcome": "failure" if number == 2 else "continue",
                "config": {"argmap": {"random-seed": seed}},
                "population": population,
            }
            connection.sendall(json.dumps(line).encode() + b"\n")
            time.sleep(pause)


if __name__ == "__main__":
    main()
