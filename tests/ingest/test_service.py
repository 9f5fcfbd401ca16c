"""The service as a process: how it starts, what it refuses, how it ends, and what is left when it is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from gpdata.cli import main
from gpdata.errors import InvalidInput, LakeBusy
from gpdata.ingest.options import Options
from gpdata.ingest.service import Service
from gpdata.ingest.tokens import Tokens
from gpdata.lake import Lake
from gpdata.lake.transform import Transformer
from gpdata.spool import Spool
from tests.ingest.conftest import UPLOAD, Running, Start
from tests.ingest.waiting import until
from tests.support import RUN, contents, line, run_lines


class Process:
    """`gpdata ingest` in a process of its own."""

    def __init__(self, lake: Path, *arguments: str) -> None:
        command = [sys.executable, "-c", "from gpdata.cli import main; main()", "ingest", "--lake", str(lake)]
        command += ["--port", "0", "--keep-free", "0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        assert self.said.startswith("listening at "), self.process.communicate()[1]
        self.url = self.said.split()[2].rstrip(",")
        self.said += self.process.stdout.readline()
        self.secret = Tokens(lake / "tokens").create("ada")[1]

    def client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.secret}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal; return the exit status and what was logged."""
        self.process.send_signal(number)
        log = self.process.communicate(timeout=30)[1]
        return self.process.returncode, log


Launch = Callable[..., Process]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Return what starts processes; none is left at the end."""
    launched: list[Process] = []

    def launch(*arguments: str) -> Process:
        launched.append(Process(tmp_path / "lake", *arguments))
        return launched[-1]

    yield launch
    for one in launched:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def test_killed_at_once_it_keeps_what_it_acknowledged_and_nothing_else(launch: Launch, tmp_path: Path) -> None:
    first = launch("--no-transform")
    assert "token create" in first.said

    def half() -> Iterator[bytes]:
        yield line(RUN, 7) + b"\n"
        until(lambda: list((tmp_path / "lake/spool/tmp").iterdir()))
        first.end(signal.SIGKILL)
        yield b"more"

    with first.client() as client:
        assert client.post(UPLOAD, content=b"\n".join(run_lines())).json()["stored"] == 5
        with pytest.raises(httpx.TransportError):
            client.post(UPLOAD, content=iter_chunks(half()))
    assert len(list((tmp_path / "lake/spool/tmp").iterdir())) == 1
    second = launch("--no-transform")
    assert list((tmp_path / "lake/spool/tmp").iterdir()) == []
    with second.client() as client:
        assert client.get(f"/v1/runs/{RUN}").json()["generations"] == 5
        assert client.post(UPLOAD, content=b"\n".join(run_lines())).json()["duplicate"] == 5
    status, log = second.end(signal.SIGTERM)
    assert status == 0
    assert second.secret not in log
    assert "Traceback" not in log
    account = Transformer(Lake.open(tmp_path / "lake")).run()
    assert (account.accepted, account.quarantined) == (5, 0)


def iter_chunks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield chunks large enough that the service looks at the first one at once."""
    for chunk in chunks:
        yield chunk
        yield b" " * 300_000


def test_it_transforms_beside_and_takes_plain_tcp(launch: Launch, tmp_path: Path) -> None:
    one = launch("--plain", "127.0.0.1:0", "--grace", "0")
    assert one.process.stdout is not None
    plain = one.said.splitlines()[1].rpartition(":")[2]
    with socket.create_connection(("127.0.0.1", int(plain))) as recorder:
        recorder.sendall(line(RUN, 0) + b"\n")
    with one.client() as client:
        client.post(UPLOAD, content=line(RUN[:-1] + "2"))
        until(lambda: sum(run["in_lake"] for run in client.get("/v1/runs").json()["runs"]) == 2, seconds=40)
        assert client.get("/readyz").status_code == 200
    assert one.end(signal.SIGTERM)[0] == 0
    assert contents(tmp_path / "lake")["runs"].column("source").to_pylist() == ["plain", "upload"]


def test_told_to_stop_it_finishes_what_is_under_way(server: Running) -> None:
    def slow() -> Iterator[bytes]:
        yield line() + b"\n"
        until(lambda: server.metric("gpdata_ingest_uploads_under_way") == 1)
        server.service.stop()
        until(lambda: not reachable(address))
        yield line(RUN, 1) + b"\n"

    address = server.service.address
    with server.client() as client:
        assert client.post(UPLOAD, content=slow()).json()["stored"] == 2
    server.thread.join(10)
    assert server.status == 0
    assert len(server.pending()) == 2


def reachable(address: tuple[str, int]) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as one:
        return one.connect_ex(address) == 0


def test_what_does_not_finish_in_time_is_told_to_come_again(start: Start) -> None:
    server = start(stop_timeout=0.2)

    def endless() -> Iterator[bytes]:
        yield line() + b"\n"
        until(lambda: server.metric("gpdata_ingest_uploads_under_way") == 1)
        server.service.stop()
        server.thread.join(10)

    with server.client() as client:
        try:
            answer = client.post(UPLOAD, content=endless())
        except httpx.TransportError:
            pass
        else:
            assert (answer.status_code, answer.json()["error"]) == (503, "stopping")
    assert (server.status, server.pending(), server.unfinished()) == (0, [], [])


def test_a_second_interrupt_stops_at_once(launch: Launch) -> None:
    one = launch("--no-transform")

    def endless() -> Iterator[bytes]:
        yield b" "
        until(lambda: "under_way 1.0" in httpx.get(f"{one.url}/metrics", trust_env=False).text)
        one.process.send_signal(signal.SIGINT)
        until(lambda: not reachable(("127.0.0.1", int(one.url.rpartition(":")[2]))))
        assert one.process.poll() is None
        assert one.end(signal.SIGINT)[0] == 130
        yield b" " * 300_000
        yield b" " * 300_000

    with one.client() as client:
        try:
            answer = client.post(UPLOAD, content=endless())
        except httpx.TransportError:
            answer = None
    assert answer is None or answer.status_code == 503
    assert one.process.returncode == 130


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"host": "0.0.0.0"}, "--behind-proxy"),
        ({"host": "::"}, "--tls-certificate"),
        ({"certificate": Path("x")}, "TLS needs both files"),
        ({"certificate": Path("x"), "key": Path("y")}, "No such file"),
        ({"plain": ("0.0.0.0", 0)}, "--plain-network"),
        ({"plain": ("127.0.0.1", 0), "plain_networks": ["10.1.0.0/99"]}, "10.1.0.0/16"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, given: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Service(Options(lake=tmp_path / "lake", **given))  # type: ignore[arg-type]
    assert not (tmp_path / "lake").exists()


def test_behind_a_proxy_any_address_will_do(tmp_path: Path) -> None:
    with Service(Options(lake=tmp_path / "lake", host="0.0.0.0", port=0, behind_proxy=True)) as service:
        assert service.address[0] == "0.0.0.0"


def test_a_spool_has_one_service(server: Running) -> None:
    with pytest.raises(LakeBusy, match=f"process {os.getpid()} runs a service on the spool"):
        Service(Options(lake=server.lake.path, port=0))


def test_what_cannot_be_a_lake_or_an_address_is_said_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    runner = CliRunner()
    for arguments, message in (
        (["--lake", str(tmp_path / "file")], "is a file"),
        (["--lake", str(tmp_path / "l"), "--plain", "9292"], "no host and port"),
        (["--lake", str(tmp_path / "l"), "--keep-free", "much"], "no number of bytes"),
        (["--lake", str(tmp_path / "l"), "--plain-network", "10.0.0.0/8"], "give --plain"),
        (["--lake", str(tmp_path / "l"), "--host", "0.0.0.0"], "unencrypted"),
    ):
        done = runner.invoke(main, ["ingest", *arguments])
        assert done.exit_code == 2
        assert message in done.output


def test_a_spool_of_its_own_is_used(tmp_path: Path, start: Start) -> None:
    server = start(spool=tmp_path / "elsewhere")
    assert server.post(line()).json()["stored"] == 1
    assert [list(Spool(tmp_path / "elsewhere").read(f)) for f in Spool(tmp_path / "elsewhere").pending()] == [[line()]]
