"""Record a run to a server and say when a generation is durable: ``python recording.py URL RUN DIR``."""

from __future__ import annotations

import sys

import gpdata

GENERATIONS = 3


def main() -> None:
    url, run, outbox = sys.argv[1:]
    with gpdata.Recorder(url, system="mine", run_uuid=run, outbox=outbox, close_timeout=60) as recorder:
        for generation in range(GENERATIONS):
            recorder.generation([{"errors": [generation, 1]}, {"errors": [0, 2]}])
            print("durable", generation, flush=True)


if __name__ == "__main__":
    main()
