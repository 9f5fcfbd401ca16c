"""The clock of real processes is set ten years ahead and back, while they run and between two runs.

Nothing is collected early: neither spool files in their grace period, nor files that a compaction replaced, nor the
log, nor what is being uploaded. A token that has expired stays so. The layer moves the clock of a process; the times
of files stay those of the kernel. That a machine was started again is in tests/lake/test_cleaning.py.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from gpdata.ingest.tokens import Tokens
from gpdata.lake import Lake
from gpdata.lake.transform import Transformer
from gpdata.spool import Meta
from tests.faults.machine import Forked, Machine, Nursery, scratch
from tests.faults.oracle import Sent, contents
from tests.faults.scenario import row
from tests.support import until

DECADE = 3650 * 24 * 3600
HOURS = 3 * 3600


class Service:
    """A service on a machine whose clock can be moved, and a user."""

    def __init__(self, machine: Machine, log: Path, lake: Path, process: Forked) -> None:
        self.machine, self.lake, self.process = machine, lake, process
        until(lambda: not process.alive or "listening at" in log.read_text(), what="a service that listens")
        found = re.search(r"listening at (\S+),", log.read_text())
        assert found, log.read_text()
        self.url = f"{found[1]}/v1/generations"

    def upload(self, token: str, *lines: Sent) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        body = b"".join(line.raw + b"\n" for line in lines)
        return httpx.post(self.url, content=body, headers=headers, trust_env=False, timeout=60)

    def files(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.lake / "spool" / folder).iterdir())


@contextmanager
def service(directory: Path, *, clock: int = 0, options: tuple[object, ...] = ("--grace", HOURS)) -> Iterator[Service]:
    """Give a service of the lake in a directory, with its transform; the clock is wrong by so many seconds."""
    root = directory / "root"
    root.mkdir(exist_ok=True)
    machine = Machine(root, directory / "machine")
    machine["clock"] = clock
    number = len(list(directory.glob("*.log")))
    log = directory / f"{number}.log"
    arguments = ("ingest", "--lake", root / "lake", "--port", 0, "--keep-free", 0, *options)
    with Nursery() as home:
        process = Forked(home, machine, log, *arguments)
        yield Service(machine, log, root / "lake", process)
        assert process.stop() == 0, log.read_text()


@pytest.mark.parametrize("jump", [DECADE, pytest.param(-DECADE, marks=pytest.mark.faults)])
def test_no_spool_file_is_collected_before_its_time(jump: int) -> None:
    sent = [row(1, generation) for generation in range(3)]
    with scratch() as directory:
        lake = Lake.create(directory / "root" / "lake")
        token = Tokens(lake.path / "tokens").create("ada")[1]
        with service(directory) as here:
            assert here.upload(token, sent[0]).status_code == 200
            until(lambda: len(here.files("done")) == 1, what="a batch")
            here.machine["clock"] = jump
            assert here.upload(token, sent[1]).status_code == 200
            until(lambda: len(here.files("done")) == 2, what="a batch of another time")
            kept = here.files("done")
        with service(directory, clock=jump) as here:
            here.machine["clock"] = -jump
            assert here.upload(token, sent[2]).status_code == 200
            until(lambda: len(here.files("done")) == 3, what="a batch behind a restart")
            assert set(kept) < set(here.files("done"))
        found = contents(lake)
        assert found.wrong == []
        assert {line.key for line in sent} == {made.key for made in found.rows}


@pytest.mark.faults
@pytest.mark.parametrize("jump", [DECADE, -DECADE])
def test_what_a_compaction_replaced_and_the_log_stay(jump: int) -> None:
    with scratch() as directory, Nursery() as nursery:
        root = directory / "root"
        lake = Lake.create(root / "lake")
        machine = Machine(root, directory / "machine")

        def batch(number: int) -> None:
            lake.spool().write([row(number, generation).raw for generation in range(2)], Meta("upload", "ada"))
            Transformer(lake).run()

        def compact() -> set[str]:
            status = nursery.run(machine, "compact", lake.path, "--keep-days", 7, log=directory / "log")
            assert status == 0, (directory / "log").read_text()
            kept = [*lake.path.glob("*/*.parquet"), *lake.path.glob("*/_delta_log/*")]
            return {str(path) for path in kept if path.name != "_last_checkpoint"}

        for number in range(3):
            batch(number)
        before = compact()
        for number, clock in enumerate((jump, 0, -jump, 2 * jump), 3):
            machine["clock"] = clock
            batch(number)
            now = compact()
            assert before < now
            before = now
        assert contents(lake).wrong == []


def test_an_expired_token_stays_expired() -> None:
    with scratch() as directory:
        lake = Lake.create(directory / "root" / "lake")
        tokens = Tokens(lake.path / "tokens")
        endless, day = tokens.create("ada")[1], tokens.create("ben", days=1)[1]
        with service(directory) as here:
            assert here.upload(day, row(1, 0)).status_code == 200
            here.machine["clock"] = DECADE
            until(lambda: here.upload(day, row(1, 1)).status_code == 401, what="the end of a token")
            assert here.upload(endless, row(2, 0)).status_code == 200
            until(lambda: (lake.path / "tokens" / "latest-time").exists(), what="the time on the disk")
            for clock in (0, -DECADE):
                here.machine["clock"] = clock
                assert here.upload(day, row(1, 1)).json()["error"] == "expired"
                assert here.upload(endless, row(2, 1)).status_code == 200
        for clock in (0, -DECADE):
            with service(directory, clock=clock) as here:
                assert here.upload(day, row(1, 1)).json()["error"] == "expired"
                assert here.upload(endless, row(2, 2)).status_code == 200


@pytest.mark.parametrize("jump", [DECADE, pytest.param(-DECADE, marks=pytest.mark.faults)])
def test_an_upload_under_way_survives_the_clock_or_is_refused(jump: int) -> None:
    lines = [row(1, 0), row(1, 1)]
    halfway, go_on = threading.Event(), threading.Event()

    def body() -> Iterator[bytes]:
        yield lines[0].raw + b"\n"
        halfway.set()
        go_on.wait(60)
        yield lines[1].raw + b"\n"

    with scratch() as directory, Nursery() as nursery:
        lake = Lake.create(directory / "root" / "lake")
        token = Tokens(lake.path / "tokens").create("ada")[1]
        with service(directory, options=("--no-transform",)) as here:
            answers: list[int] = []

            def send() -> None:
                with suppress(httpx.HTTPError):
                    headers = {"Authorization": f"Bearer {token}"}
                    answer = httpx.post(here.url, content=body(), headers=headers, trust_env=False, timeout=60)
                    answers.append(answer.status_code)

            sender = threading.Thread(target=send)
            sender.start()
            assert halfway.wait(60)
            here.machine["clock"] = jump
            log = directory / "transform"
            assert nursery.run(here.machine, "transform", "--lake", lake.path, log=log) == 0, log.read_text()
            go_on.set()
            sender.join(60)
            assert len(answers) == 1
            assert answers[0] in (200, 503)
            if answers[0] == 503:
                assert here.upload(token, *lines).status_code == 200
        assert nursery.run(None, "transform", "--lake", lake.path, log=directory / "transform") == 0
        assert {line.key for line in lines} == {made.key for made in contents(lake).rows}
