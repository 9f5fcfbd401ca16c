"""Idle handshakes, half-open sockets, a byte a second, clients that never read; and 200 lines of 20 MB at once.

Held connections are closed by their deadline while the attackers hold on, the service's descriptors are back at the
start, and who means it is served all the time. `make test-faults` has 1,000 connections of each kind.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

import gpdata
from gpdata.ingest.service import raise_descriptors
from gpdata.wire import identify
from tests.faults.hostile import ATTACKS, Attack, Crowd, vanish
from tests.faults.served import MIB, UPLOAD, Good, Served, served, until
from tests.ingest.conftest import make_certificate
from tests.support import line

SHORT = {
    "bounds": {"stall": 2.0, "rate_over": 2.0},
    "handshake_seconds": 2.0,
    "head_seconds": 2.0,
    "keep_alive_seconds": 2,
    "stall_seconds": 2.0,
}
"""Deadlines for a test."""


def options(tmp_path: Path, *, tls: bool) -> dict[str, object]:
    if not tls:
        return SHORT
    certificate, key = make_certificate(tmp_path)
    return SHORT | {"certificate": str(certificate), "key": str(key)}


def survive(service: Served, attacks: list[Attack], count: int) -> None:
    """Hold many connections of each kind; they must be ended by the service, and others be served meanwhile."""
    before = service.descriptors()
    with Good(service, fresh=attacks[0].tls) as good:
        calm = good.rate(1.0)
        with ExitStack() as crowds:
            for attack in attacks:
                crowds.enter_context(Crowd(service, attack, count))
            attacked = good.rate(1.0)
            until(lambda: service.metric("gpdata_ingest_connections") <= 4, what="the end of every held connection")
        acknowledged = good.acknowledged
    names = ", ".join(attack.name for attack in attacks)
    print(f"{count} x {names}: {calm:.0f} good uploads/s before, {attacked:.0f} meanwhile")
    until(lambda: service.descriptors() <= before, what="descriptors as at the start")
    assert service.pending() == acknowledged
    assert service.unfinished() == []
    assert service.peak() < 512 * MIB


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "http"])
def test_held_connections_of_every_kind_end_and_others_are_served(tmp_path: Path, *, tls: bool) -> None:
    with served(tmp_path, **options(tmp_path, tls=tls)) as service:
        survive(service, [attack for attack in ATTACKS if attack.tls == tls], 12)


@pytest.mark.faults
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_thousand_held_connections_end_and_others_are_served(tmp_path: Path, attack: Attack) -> None:
    raise_descriptors()
    with served(tmp_path, **options(tmp_path, tls=attack.tls)) as service:
        survive(service, [attack], 1000)


def test_requests_without_end_whose_answers_nobody_reads_cost_no_memory(tmp_path: Path) -> None:
    with served(tmp_path, **SHORT) as service, Good(service), ExitStack() as held:
        for _ in range(4):
            flood = held.enter_context(socket.create_connection(service.address))
            flood.settimeout(5)
            with pytest.raises(OSError):  # closed, long before all of it was taken
                flood.sendall(b"GET /healthz HTTP/1.1\r\n\r\n" * 1_000_000)
        until(lambda: service.metric("gpdata_ingest_connections") <= 3)
        assert service.peak() < 300 * MIB


def test_plain_connections_whose_client_is_gone_are_closed(tmp_path: Path) -> None:
    keepalive = {"TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 2}
    with served(tmp_path, plain=["127.0.0.1", 0], keepalive=keepalive, **SHORT) as service:
        before = service.descriptors()
        connections = [socket.create_connection(tuple(service.plain[0])) for _ in range(50)]
        for number, connection in enumerate(connections):
            connection.sendall(line("gone", number) + b"\n" + line("gone", 1000 + number)[:100])
        until(lambda: service.metric("gpdata_plain_lines_total", result="stored") == 50)
        gone = [vanish(connection) for connection in connections]
        if not all(gone):
            pytest.skip("closing a socket without a word needs CAP_NET_ADMIN (TCP_REPAIR); run as root")
        until(lambda: service.metric("gpdata_plain_connections") == 0)
        until(lambda: service.descriptors() <= before)
        assert sorted(service.pending()) == sorted(line("gone", number) for number in range(50))
        torn = [entry for entry in service.lake.quarantine.entries() if entry.code == "torn"]
        assert len(torn) == 50


def large(run: int, size: int) -> bytes:
    """Return a line of about that many bytes, the key behind the population as recorders have it."""
    individuals = [{"program": f"({run} {n} " + "exec_if " * 1_200 + ")", "errors": [n, run]} for n in range(64)]
    body = {"population": individuals * (size // 640_000 + 1), "outcome": "continue"}
    return json.dumps(body | {"config-uuid": f"large-{run:03d}", "index": 0}).encode()


async def upload(service: Served, client: httpx.AsyncClient, run: int, size: int) -> str:
    """Upload a large line until it is stored, as a client does that is told to come again; return its SHA-256."""
    sent = large(run, size)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(sent), 256 << 10):
            yield sent[start : start + (256 << 10)]

    while True:
        answer = await client.post(service.url + UPLOAD, content=pieces())
        if answer.status_code == 200:
            assert answer.json()["stored"] + answer.json()["duplicate"] == 1
            return hashlib.sha256(sent).hexdigest()
        assert answer.status_code == 503, answer.text
        await asyncio.sleep(0.2)


async def upload_all(service: Served, clients: int, size: int) -> list[str]:
    limits = httpx.Limits(max_connections=clients)
    headers = {"Authorization": f"Bearer {service.ada}"}
    async with httpx.AsyncClient(headers=headers, limits=limits, timeout=600, trust_env=False) as client:
        return await asyncio.gather(*(upload(service, client, run, size) for run in range(clients)))


@pytest.mark.parametrize(
    ("clients", "size"), [(12, 3_000_000), pytest.param(200, 20_000_000, marks=pytest.mark.faults)]
)
def test_large_lines_from_many_clients_at_once(tmp_path: Path, clients: int, size: int) -> None:
    with served(tmp_path, transform=clients > 100, transform_memory=3 << 30) as service:
        reader = Reader(service)
        reader.start()
        sent = asyncio.run(upload_all(service, clients, size))
        print(f"{clients} x {size / 1e6:.0f} MB: at most {service.peak() / MIB:.0f} MiB; {reader.looks} queries")
        assert service.peak() < 512 * MIB
        if clients > 100:
            until(lambda: service.metric("gpdata_lake_last_batch") > 0, 600, "the first batch")
        looks = reader.looks
        until(lambda: reader.looks > looks or not reader.is_alive())
        reader.stop.set()
        reader.join()
        assert reader.wrong == []
    service.transform()
    in_lake, aside = service.kept()
    assert (in_lake, aside) == (set(sent), set())


class Reader(threading.Thread):
    """Asks over and over while uploads come; what it has seen stays."""

    def __init__(self, service: Served) -> None:
        super().__init__(daemon=True)
        self.lake, self.stop, self.looks, self.wrong = service.lake.path, threading.Event(), 0, list[str]()

    def run(self) -> None:
        seen = 0
        try:
            while not self.stop.wait(0.1):
                ((found,),) = gpdata.open(self.lake).sql("SELECT count(*) FROM generations").fetchall()
                if found < seen:
                    self.wrong.append(f"{found} generations after {seen}")
                seen, self.looks = found, self.looks + 1
        except Exception as error:
            self.wrong.append(repr(error))


def test_the_large_line_is_what_the_wire_takes() -> None:
    assert identify(large(7, 1_000_000)) == ("large-007", 0)
