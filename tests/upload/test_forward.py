"""`gpdata forward`: a real process between a client that behaves like the recorder and a server."""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest

from gpdata.cli import main
from gpdata.errors import InvalidInput
from gpdata.importers import import_paths
from gpdata.lake import Lake
from gpdata.spool import Meta
from gpdata.upload.forward import Forwarder, TokenFile
from gpdata.upload.http import Client
from gpdata.upload.outbox import Outbox
from tests.support import RUN, contents, line, run_lines, until
from tests.upload.server import TOKEN, Server
from tests.upload.service import DROPPED_FIELDS, GPDATA, Chain

OTHER = RUN[:-1] + "2"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("GPDATA_TOKEN", TOKEN)


class Forward:
    """A running `gpdata forward`."""

    def __init__(self, *options: object) -> None:
        command = [GPDATA, "forward", "--listen", "127.0.0.1:0", *options]
        self.process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
        self.said = ""
        self.port = int(self.until("localhost:").partition('"localhost:')[2].split('"')[0])

    def until(self, text: str) -> str:
        """Read standard error up to a line that holds a text."""
        assert self.process.stderr is not None
        for found in self.process.stderr:
            self.said += found
            if text in found:
                return found
        raise AssertionError(f"{text!r} was not said, but {self.said!r}")

    def send(self, *lines: bytes, end: bytes = b"\n") -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b"\n".join(lines) + end)

    def stop(self, number: int = signal.SIGTERM) -> str:
        """End it, and return all that it said."""
        self.process.send_signal(number)
        assert self.process.stderr is not None
        self.said += self.process.stderr.read()
        assert self.process.wait(30) == 0, self.said
        return self.said


@pytest.fixture
def forward(server: Server) -> Iterator[Callable[..., Forward]]:
    started: list[Forward] = []

    def start(*options: object) -> Forward:
        started.append(Forward("--to", server.address, *options))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()
        assert each.process.stderr is not None
        each.process.stderr.close()


def gpdata(*arguments: object) -> SimpleNamespace:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main.main([*map(str, arguments)], prog_name="gpdata")
    return SimpleNamespace(returncode=ended.value.code, stdout=out.getvalue(), stderr=err.getvalue())


def status(server: Server) -> dict:
    return json.loads(gpdata("forward", "--to", server.address, "--status", "--json").stdout)


def test_lines_arrive_and_people_are_told(server: Server, forward: Callable[..., Forward]) -> None:
    running = forward()
    running.until("takes lines")
    lines = run_lines(generations=5)
    running.send(*lines)
    running.until(f"run {RUN}")
    server.wait_for(lambda it: len(it.lines) == 5)
    assert [server.lines[RUN, g] for g in range(5)] == lines
    said = running.stop()
    assert "has everything" in said
    assert TOKEN not in said


def test_status_while_the_server_is_away_and_back(server: Server, forward: Callable[..., Forward]) -> None:
    running = forward()
    running.until("takes lines")
    server.stop()
    running.send(line())
    running.until("does not answer")
    found = status(server)
    assert found["sending"]
    assert found["waiting"]["lines"] == 1
    assert "does not answer" in found["last"]["error"]
    screen = gpdata("forward", "--to", server.address, "--status").stdout
    assert "1 lines" in screen
    assert "does not answer" in screen
    server.start()
    running.until("takes lines again")
    server.wait_for(lambda it: it.lines)
    until(lambda: status(server)["waiting"]["lines"] == 0)
    assert "the server has everything" in gpdata("forward", "--to", server.address, "--status").stdout
    running.stop(signal.SIGINT)


def test_stopped_while_the_server_is_away_then_drained(server: Server, forward: Callable[..., Forward]) -> None:
    server.stop()
    running = forward("--token-file", token_file(TOKEN))
    running.until("does not answer")
    running.send(line(), b'{"torn')
    until(lambda: status(server)["waiting"]["lines"])
    assert "1 lines stay in" in running.stop()
    found = status(server)
    assert not found["sending"]
    assert "Nobody sends" in gpdata("forward", "--to", server.address, "--status").stdout
    server.start()
    drained = gpdata("forward", "--to", server.address, "--drain")
    assert (drained.returncode, drained.stdout.count("1 lines sent")) == (0, 1), drained.stderr
    assert list(server.lines) == [(RUN, 0)]
    assert "nothing waits" in gpdata("forward", "--to", server.address, "--drain").stdout


def token_file(token: str) -> Path:
    path = Path(os.environ["XDG_STATE_HOME"]).parent / "token"
    path.write_text(token + "\n")
    return path


def test_a_refused_token_is_told_loudly_and_a_new_one_taken(server: Server, forward: Callable[..., Forward]) -> None:
    path = token_file("gpdata_wrong")
    running = forward("--token-file", path)
    assert str(path) in running.until("THE TOKEN IS REFUSED")
    running.send(line())
    until(lambda: status(server)["waiting"]["lines"] == 1)
    token_file(TOKEN)
    running.until("takes lines again")
    server.wait_for(lambda it: it.lines)
    assert "gpdata_wrong" not in running.stop()


def test_refused_lines_make_the_status_3_and_are_explained(server: Server, tmp_path: Path) -> None:
    server.refuse[OTHER] = "other_owner"
    outbox = Outbox(tmp_path / "mine")
    outbox.spool.write([line(), line(OTHER)], Meta("plain"))
    options = ["forward", "--to", server.address, "--outbox", outbox.path]
    drained = gpdata(*options, "--drain")
    assert drained.returncode == 3
    assert "1 lines were refused" in drained.stdout
    assert "not taken, other_owner" in drained.stderr
    screen = gpdata(*options, "--status").stdout
    assert "1 other_owner: the run is somebody else's" in screen
    (entry,) = outbox.quarantine.entries()
    assert f"zstdcat {outbox.path}/quarantine/{entry.id}.raw.zst" in screen
    assert gpdata(*options, "--drain").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no server was named"),
        (["--to", "http://lab.org"], "readable for all"),
        (["--to", "https://lab.org", "--listen", "0.0.0.0:9000"], "can be reached by other machines"),
        (["--to", "https://lab.org", "--listen", "9000"], "valid is HOST:PORT"),
        (["--to", "https://lab.org", "--token-file", "/nowhere"], "cannot be read"),
        (["--to", "https://lab.org", "--token-file", "/dev/null"], "no token in the file"),
        (["--to", "https://lab.org", "--json"], "--json goes with --status"),
        (["--to", "https://lab.org", "--status"], "nothing was forwarded"),
    ],
)
def test_arguments_that_cannot_be_used(arguments: list[str], says: str) -> None:
    done = gpdata("forward", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_token_file_that_changes(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one\n")
    token = TokenFile(path)
    assert token() == "one"
    path.write_text("")  # being written
    assert token() == "one"
    path.unlink()
    assert token() == "one"
    path.write_text("another")
    assert token() == "another"
    path.write_text("two words")
    with pytest.raises(InvalidInput, match="one word"):
        TokenFile(path)


def test_the_recorder_waits_while_the_disk_is_full(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = threading.Event()
    full.set()
    monkeypatch.setattr("gpdata.upload.forward.Room.enough", lambda room: not full.is_set())
    said: list[str] = []
    outbox = Outbox(tmp_path / "mine")
    forwarder = Forwarder(outbox, Client(server.address, lambda: TOKEN), say=said.append)
    seen: list[object] = []

    def recorder() -> None:
        until(lambda: forwarder.address)
        with socket.create_connection(forwarder.address or ("", 0)) as connection:
            connection.sendall(line() + b"\n")
            until(lambda: any("nearly full" in text for text in said))
            seen.append((outbox.empty(), dict(server.lines)))
            full.clear()
            server.wait_for(lambda it: it.lines)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=recorder)
    thread.start()
    asyncio.run(forwarder.run("127.0.0.1", 0))
    thread.join()
    assert seen == [(True, {})]
    assert server.lines == {(RUN, 0): line()}


def test_everything_is_killed_once_and_the_lake_is_that_of_an_import(captures: Path, tmp_path: Path) -> None:
    groups = [
        [
            captures / "recon-sink_killed_mid_line.part1.raw.zst",
            captures / "recon-sink_killed_mid_line.part2.jsonl.zst",
        ],
        [captures / "kill-jvm_mid_line.raw.zst"],
    ]
    expected = Lake.create(tmp_path / "expected")
    import_paths([path for group in groups for path in group], expected)
    chain = Chain(tmp_path)
    try:
        chain.send(groups, {"server": 1, "forward": 1, "transform": 1}, random.Random(7))
        chain.finish()
    finally:
        chain.end()
    ours = contents(chain.lake)
    for name, table in contents(expected.path).items():
        drop = [field for field in DROPPED_FIELDS if field in table.schema.names]
        assert ours[name].drop_columns(drop) == table.drop_columns(drop), name
