"""`Recorder(URL)`: durable on this disk at once, at the server soon, and nothing lost whatever ends when."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from deap import tools

from gpdata.errors import InvalidInput
from gpdata.upload import Recorder
from gpdata.upload.adapters.deap import Tracker
from gpdata.upload.outbox import Outbox, default_outbox
from tests.upload.deap_runs import errors, simple, tree_toolbox
from tests.upload.server import TOKEN, Server

pytestmark = pytest.mark.usefixtures("quick")

POPULATION = [{"errors": [0, 1]}, {"errors": [1, 1]}]
LOST = """
import os, signal, sys
from gpdata import Recorder
run = Recorder(sys.argv[1], system="s", run_uuid="killed", close_timeout=0.0)
for _ in range(3):
    run.generation([{"errors": [1]}])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("GPDATA_TOKEN", TOKEN)


def outbox(server: Server) -> Outbox:
    return Outbox(default_outbox(server.address))


def generations(server: Server, run: str) -> list[int]:
    return sorted(generation for of, generation in server.lines if of == run)


def test_the_server_has_everything_after_the_block(server: Server) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Recorder(server.address + "/", system="s", problem="odd") as run:
            for _ in range(5):
                run.generation(POPULATION)
            run.generation(POPULATION, outcome="success")
    assert run.lake == server.address
    assert generations(server, run.run_uuid) == [0, 1, 2, 3, 4, 5]
    assert (run.account.lines, run.account.accepted, run.account.quarantined) == (6, 6, 0)
    assert outbox(server).empty()
    assert not outbox(server).busy()
    run.close()


def test_the_same_lines_as_in_a_lake(server: Server, begin: object, tmp_path: Path) -> None:
    options = {"system": "s", "run_uuid": "r", "clock": lambda: 7.0, "uuids": lambda: "u"}
    with Recorder(server.address, **options) as run:  # type: ignore[arg-type]
        run.generation(POPULATION)
    caught = begin(**options)  # type: ignore[operator]
    caught.recorder.generation(POPULATION)
    assert list(server.lines.values()) == caught.lines


def test_while_the_server_is_away_lines_wait_and_the_next_recorder_sends_them(server: Server) -> None:
    server.stop()
    run = Recorder(server.address, system="s", close_timeout=0.2)
    for _ in range(3):
        run.generation(POPULATION)
    assert len(outbox(server).spool.pending()) == 3
    with pytest.warns(UserWarning, match=r"3 generations have not reached .*does not answer.*--drain"):
        run.close()
    assert run.account.lines == 0
    server.start()
    with Recorder(server.address, system="s") as later:
        later.generation(POPULATION)
        server.wait_for(lambda it: len(it.lines) == 4)
    assert generations(server, run.run_uuid) == [0, 1, 2]
    assert later.account.lines == 1  # its own only


def test_what_a_killed_process_left_is_sent_by_the_next(server: Server, tmp_path: Path) -> None:
    server.stop()
    killed = subprocess.run([sys.executable, "-c", LOST, server.address], check=False)
    assert killed.returncode == -9
    assert len(outbox(server).spool.pending()) == 3
    server.start()
    with Recorder(server.address, system="s") as run:
        run.generation(POPULATION)
        server.wait_for(lambda it: len(it.lines) == 4)
    assert generations(server, "killed") == [0, 1, 2]


def test_lost_answers_are_counted_as_duplicates(server: Server) -> None:
    server.faults += [(200, {}, {"lines": []}), "drop", (503, {}, {"error": "busy", "detail": "d"})]
    with Recorder(server.address, system="s") as run:
        server.wait_for(lambda it: it.posts)  # the greeting
        run.generation(POPULATION)
    assert (run.account.accepted, run.account.duplicates, server.duplicates) == (0, 1, 1)


def record(server: Server, run_uuid: str, generations: int) -> Recorder:
    with Recorder(server.address, system="s", run_uuid=run_uuid) as run:
        for _ in range(generations):
            run.generation(POPULATION)
    return run


def test_refusals_and_conflicts_are_warned_of(server: Server) -> None:
    server.lines["mine", 1] = b"another"
    server.refuse["theirs"] = "other_owner"
    with pytest.warns(UserWarning, match=r"1 of 3 generations were not taken by .*another one is stored"):
        run = record(server, "mine", 3)
    assert (run.account.accepted, run.account.quarantined) == (2, 1)
    with pytest.warns(UserWarning, match=r"1 of 1 generations were not taken by .*it is told why"):
        record(server, "theirs", 1)
    (entry,) = outbox(server).quarantine.entries()
    assert (entry.code, entry.run_uuid) == ("other_owner", "theirs")


def test_a_wrong_token_is_told_while_the_run_goes(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    run = Recorder(server.address, system="s", token="gpdata_wrong", close_timeout=0.0)
    run.generation(POPULATION)
    server.wait_for(lambda it: it.posts >= 2)
    with pytest.warns(UserWarning, match="1 generations have not reached"):
        run.close()
    assert "another token" in caplog.text
    assert "gpdata_wrong" not in caplog.text


def test_two_recorders_share_an_outbox(server: Server) -> None:
    with Recorder(server.address, system="s") as one, Recorder(server.address, system="s") as other:
        for _ in range(3):
            one.generation(POPULATION)
            other.generation(POPULATION)
    assert one.account.accepted == other.account.accepted == 3
    assert len(server.lines) == 6


def test_a_forked_child_records_nothing_and_holds_nothing_up(server: Server) -> None:
    run = Recorder(server.address, system="s")
    run.generation(POPULATION)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            run.generation(POPULATION)
        except InvalidInput as error:
            status = 0 if "forked" in str(error) else 2
        run.close()
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    run.generation(POPULATION)
    run.close()
    assert generations(server, run.run_uuid) == [0, 1]


def test_deap_records_to_a_server(server: Server) -> None:
    random.seed(4)
    toolbox = tree_toolbox()
    with Recorder(server.address, system="deap", problem="square") as run:
        tracker = Tracker(run, toolbox, errors=errors, generations=4, hall_of_fame=tools.HallOfFame(1))
        simple(toolbox.population(n=20), toolbox, 4, halloffame=tracker)
    assert run.account.accepted == 5
    last = json.loads(server.lines[run.run_uuid, 4])
    assert last["outcome"] in ("failure", "success")
    assert len(last["population"]) == 20


@pytest.mark.parametrize(
    ("address", "options", "says"),
    [
        ("http://lab.org", {}, "readable for all"),
        ("gs://bucket", {}, "valid is https"),
        (Path("https://lab.org"), {}, "valid is https"),
        ("https://lab.org", {"token": " "}, "gpdata token create"),
        ("https://lab.org", {"token": "two words"}, "one word"),
        ("https://lab.org", {"owner": "ada"}, "leave owner out"),
        ("https://lab.org", {"close_timeout": -1}, "0 or more"),
        ("https://lab.org", {"ca": "/nowhere"}, "PEM"),
        ("https://lab.org", {"outbox": "/dev/null/outbox"}, "outbox=DIR"),
    ],
)
def test_arguments_that_cannot_be_used(address: str, options: dict, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        Recorder(address, system="s", **options)


def test_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPDATA_TOKEN")
    with pytest.raises(InvalidInput, match=r"no token in GPDATA_TOKEN.*gpdata token create"):
        Recorder("https://lab.org", system="s")


def test_an_outbox_of_its_own(server: Server, tmp_path: Path) -> None:
    with Recorder(server.address, system="s", outbox=tmp_path / "mine") as run:
        run.generation(POPULATION)
        assert (tmp_path / "mine" / "spool").is_dir()
    assert not default_outbox(server.address).exists()
