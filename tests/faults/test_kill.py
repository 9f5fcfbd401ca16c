"""kill -9 of import and Recorder at random moments, then a plain second run: the lake that was never disturbed.

`make test-faults` runs it; KILLS sets how often (100 by default), SEED brings back a failure.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import gpdata
from gpdata.errors import NotALake
from tests.support import contents, run_lines, write_stream

pytestmark = pytest.mark.faults

KILLS = int(os.environ.get("KILLS", "100"))
SEED = int(os.environ.get("SEED", str(random.randrange(10**6))))

RECORD = """
import datetime, random, sys
import gpdata as gp
from gpdata.upload import seeded_uuids

chance = random.Random(5)
clock = iter(datetime.datetime(2026, 1, 1, 0, 0, s, tzinfo=datetime.UTC) for s in range(60)).__next__
with gp.Recorder(sys.argv[1], system="mine", problem="odd", config={"population-size": 20},
                 run_uuid="00000000-0000-4000-8000-00000000000a", uuids=seeded_uuids(5), clock=clock,
                 transform_every=0.0) as run:
    for g in range(12):
        run.generation([{"errors": [chance.random(), chance.random()]} for _ in range(20)],
                       outcome="success" if g == 11 else "continue")
"""

WHOLE = """
SELECT count(*) FROM generations g LEFT JOIN runs USING (run_uuid) LEFT JOIN
    (SELECT run_uuid, generation, count(*) AS n FROM individuals GROUP BY ALL) i USING (run_uuid, generation)
WHERE i.n IS DISTINCT FROM g.population_size OR runs.system IS NULL
"""


class Reader(threading.Thread):
    """Opens a lake over and over; what it sees must always be whole, and never go back."""

    def __init__(self, lake: Path) -> None:
        super().__init__()
        self.lake, self.stop, self.wrong, self.looks = lake, threading.Event(), list[str](), 0

    def run(self) -> None:
        version = 0
        while not self.stop.wait(0.02):
            try:
                lab = gpdata.open(self.lake)
            except NotALake:
                continue
            self.looks += 1
            ((broken,),) = lab.sql(WHOLE).fetchall()
            if broken or lab.version < version:
                self.wrong.append(f"version {lab.version} after {version}: {broken} generations are not whole")
            version = lab.version


def killed(command: list[str], lake: Path, after: float) -> bool:
    """Run a command, kill it after a time, run it again to its end; return whether the kill came in time."""
    reader = Reader(lake)
    reader.start()
    try:
        environment = os.environ | {"GPDATA_BATCH_BYTES": "60000"}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
        time.sleep(after)
        in_time = process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    finally:
        reader.stop.set()
        reader.join()
    assert reader.wrong == []
    return in_time


@pytest.mark.parametrize("what", ["import", "Recorder"])
def test_kill_at_random_moments(what: str, tmp_path: Path) -> None:
    stream = write_stream(tmp_path / "a.jsonl", [*run_lines(generations=40, size=20), b'{"torn'])
    script = tmp_path / "record.py"
    script.write_text(RECORD)

    def command(lake: Path) -> list[str]:
        if what == "Recorder":
            return [sys.executable, str(script), str(lake)]
        # The torn line makes the status 3; it is part of what must come out the same.
        gpdata_ = Path(sys.executable).parent / "gpdata"
        return ["sh", "-c", f"'{gpdata_}' import '{stream}' --lake '{lake}' || [ $? = 3 ]"]

    start = time.monotonic()
    subprocess.run(command(tmp_path / "calm"), check=True, stdout=subprocess.DEVNULL)
    length = time.monotonic() - start
    expected = contents(tmp_path / "calm")
    chance = random.Random(SEED)
    hits = 0
    for number in range(KILLS):
        lake = tmp_path / str(number)
        hits += killed(command(lake), lake, chance.uniform(0.3, 1.2) * length)
        assert contents(lake) == expected, f"round {number}; SEED={SEED} brings it back"
        assert len(list(gpdata.lake.Lake.open(lake).quarantine.entries())) == (what == "import")
    print(f"{what}: {hits} of {KILLS} kills came before the end; SEED={SEED}")
    assert hits > KILLS / 3
