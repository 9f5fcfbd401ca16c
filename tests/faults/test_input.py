"""Whatever bytes come, by every way in: rows with the value kept, or quarantine, or refused with nothing written.

And always the line behind it is taken, and nothing falls over.
"""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import gpdata
from gpdata.importers import import_paths
from gpdata.lake import Lake
from gpdata.lake.verify import verify
from gpdata.spool import Quarantine
from tests.faults.malformed import LINE_BYTES, Odd, bodies, good, lines
from tests.faults.served import MIB, UPLOAD, Good, served, until
from tests.support import line, write_stream
from tests.upload.service import GPDATA, Process

LIMITS = {"limits": {"line_bytes": LINE_BYTES}, "bounds": {"raw_bytes": 64 << 20}}


@dataclass
class Sent:
    """What a way in made of the odd lines."""

    lake: Lake
    refused: set[bytes] = field(default_factory=set)
    aside: list[Quarantine] = field(default_factory=list)


def by_http(odd: list[Odd], path: Path) -> Iterator[Sent]:
    with served(path, **LIMITS) as service:
        sent = Sent(service.lake)
        with service.client() as client:
            for number, one in enumerate(odd):
                answer = client.post(UPLOAD, content=one.line + b"\n" + good(number))
                assert answer.status_code == 200, (one.name, answer.text)
                first, second = answer.json()["lines"]
                assert second["result"] == "stored", one.name
                if first["result"] == "refused":
                    sent.refused.add(one.line)
                    assert client.post(UPLOAD, content=one.line).status_code in (413, 422), one.name
        assert service.peak() < 400 * MIB
        service.transform()
        yield sent


def by_plain_tcp(odd: list[Odd], path: Path) -> Iterator[Sent]:
    with served(path, plain=["127.0.0.1", 0], **LIMITS) as service:
        _send(tuple(service.plain[0]), odd)
        until(lambda: service.metric("gpdata_plain_connections") == 0)
        assert service.peak() < 400 * MIB
        service.transform()
        yield Sent(service.lake)


def by_forward(odd: list[Odd], path: Path) -> Iterator[Sent]:
    with served(path, **LIMITS) as service:
        (path / "token").write_text(service.ada)
        log, outbox = path / "forward.log", path / "outbox"
        forwarder = Process(log, GPDATA, "forward", "--to", service.url, "--token-file", path / "token", "--listen",
                            "127.0.0.1:0", "--outbox", outbox, GPDATA_MAX_LINE_BYTES=str(LINE_BYTES))  # fmt: skip
        forwarder.start()
        try:
            until(lambda: log.exists() and "listening on" in log.read_text())
            port = int(log.read_text().partition("listening on 127.0.0.1:")[2].split()[0])
            _send(("127.0.0.1", port), odd)
            last = "/v1/runs/good"
            with service.client() as client:
                until(lambda: client.get(last).json().get("last") == len(odd) - 1, what="the last good line")
            until(lambda: not any((outbox / "spool" / "new").iterdir()), what="an empty outbox")
            forwarder.stop()
        finally:
            if forwarder.process is not None and forwarder.process.poll() is None:
                forwarder.kill()
        assert "Traceback" not in log.read_text()
        service.transform()
        yield Sent(service.lake, aside=[Quarantine(outbox / "quarantine")])


def by_import(odd: list[Odd], path: Path) -> Iterator[Sent]:
    path.mkdir(exist_ok=True)
    lake = Lake.create(path / "lake")
    stream = write_stream(path / "odd.jsonl", [each for n, one in enumerate(odd) for each in (one.line, good(n))])
    import_paths([stream], lake, max_line_bytes=LINE_BYTES)
    yield Sent(lake)


def _send(address: Any, odd: list[Odd]) -> None:
    with socket.create_connection(address) as connection:
        for number, one in enumerate(odd):
            connection.sendall(one.line + b"\n" + good(number) + b"\n")


@pytest.mark.parametrize(
    ("way", "every"),
    [
        (by_http, 400),
        *(pytest.param(way, 1, marks=pytest.mark.faults) for way in (by_http, by_plain_tcp, by_forward, by_import)),
    ],
)
def test_odd_lines(way: Callable[[list[Odd], Path], Iterator[Sent]], tmp_path: Path, every: int) -> None:
    odd = lines(every)
    too_long = Odd("of one byte too many", line("long", 0)[:-1].ljust(LINE_BYTES) + b"}", False)
    for sent in way([*odd, too_long], tmp_path):
        lab = gpdata.open(sent.lake.path)
        table = lab.generations.to_arrow_table()
        in_lake = table["line_sha256"].to_pylist()
        assert len(in_lake) == len(set(in_lake))
        entries = [e for store in (sent.lake.quarantine, *sent.aside) for e in store.entries()]
        aside = {entry.sha256 for entry in entries}
        for one in odd:
            sha256 = hashlib.sha256(one.line).hexdigest()
            places = (sha256 in in_lake, sha256 in aside, one.line in sent.refused)
            assert places.count(True) == 1, (one.name, places)
            assert places[0] == one.rows, (one.name, places)
        assert ("too_long" in {entry.code for entry in entries}) != (too_long.line in sent.refused)
        assert set(in_lake) >= {hashlib.sha256(good(n)).hexdigest() for n in range(len(odd) + 1)}
        assert len(in_lake) == sum(one.rows for one in odd) + len(odd) + 1
        keep_values(lab, odd)
        assert [finding for finding in verify(sent.lake) if finding.kind == "error"] == []
    assert not list(tmp_path.rglob("*escaped*"))
    assert not Path("/tmp/escaped-by-gpdata").exists()


def keep_values(lab: Any, odd: list[Odd]) -> None:
    rows = lab.individuals.to_arrow_table().select(["run_uuid", "extra", "total_error"]).to_pylist()
    extra = {row["run_uuid"]: row["extra"] for row in rows}
    for one in odd:
        for text in one.kept:
            kept = extra[f"odd {one.name}"]
            assert text in kept or f'"{text}"' in kept, (one.name, kept[:200])


def test_bodies_that_are_not_what_they_say(tmp_path: Path) -> None:
    with served(tmp_path, **LIMITS) as service, Good(service) as good_client:
        for name, encoding, body, statuses in bodies():
            answer = service.post(body, Content_Encoding=encoding)
            assert answer.status_code in statuses, (name, answer.status_code, answer.text[:300])
            assert b'"body"' not in b"".join(service.pending()), name
            acknowledged = len(good_client.acknowledged)
            until(lambda known=acknowledged: len(good_client.acknowledged) > known)
        assert service.peak() < 400 * MIB
        until(lambda: len(service.unfinished()) <= 1)
        assert service.post(line("after", 0)).json()["stored"] == 1


def test_lines_without_end(tmp_path: Path) -> None:
    with served(tmp_path, plain=["127.0.0.1", 0], **LIMITS) as service:
        endless = (b"[1," * 100_000 for _ in range(400))
        with service.client() as client:
            answer = client.post(UPLOAD, content=endless)
        assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
        with socket.create_connection(tuple(service.plain[0])) as connection:
            for _ in range(200):
                connection.sendall(b"[1," * 100_000)
            connection.sendall(b"\n" + line("behind", 0) + b"\n")
            until(lambda: service.metric("gpdata_plain_lines_total", result="stored") == 1)
            connection.sendall(b"[1," * 2_000_000)  # and never its end
        until(lambda: service.metric("gpdata_plain_connections") == 0)
        assert service.pending() == [line("behind", 0)]
        assert service.peak() < 300 * MIB
    assert {entry.code for entry in service.lake.quarantine.entries()} == {"too_long"}


def test_long_lines_that_are_no_json_cost_the_service_little(tmp_path: Path) -> None:
    with served(tmp_path) as service:
        for item in (b"1,", b'"a",', b'{"a":1},', b"[],"):
            broken = b'{"x":[' + item * (24_000_000 // len(item))
            assert service.post(broken).status_code in (200, 422)
        one_key = b'{"index":1,' + b'"a":1,' * 4_000_000 + b'"a":1}'
        assert service.post(one_key).status_code in (200, 422)
        assert service.peak() < 400 * MIB


RECORD = """
import sys, gpdata as gp
odd = [7 ** 5000, float("nan"), float("inf"), -0.0, "\\ud800", "\\x00", {"a": {"b": [[[]]]}}, "../../escaped", b"bytes",
       {1: 2}, {(1, 2): 3}, object(), 1e308 * 10, set(), "x" * 100_000, None]
with gp.Recorder(sys.argv[1], system="mine", problem="odd", config={"seed": 7 ** 5000}) as run:
    for value in odd:
        try:
            run.generation([{"errors": [1.0], "luck": value}])
        except gp.errors.GpdataError as error:
            print("refused", type(value).__name__, error, file=sys.stderr)
        run.generation([{"errors": [2.0]}])
    print(len(odd))
"""


def test_odd_values_of_a_recorder(tmp_path: Path) -> None:
    script = tmp_path / "record.py"
    script.write_text(RECORD.replace("import sys,", "import sys, gpdata.errors,"))
    command = [str(GPDATA.parent / "python"), str(script), str(tmp_path / "lake")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    lab = gpdata.open(tmp_path / "lake")
    rows = lab.sql("SELECT errors[1] AS e, extra FROM individuals").fetchall()
    refused = done.stderr.count("refused ")
    assert sum(error == 2.0 for error, _ in rows) == int(done.stdout)
    assert sum(error == 1.0 for error, _ in rows) == int(done.stdout) - refused
    assert any(str(7**5000) in (extra or "") for _, extra in rows)
    assert list(Lake.open(tmp_path / "lake").quarantine.entries()) == []
