"""The plain TCP receiver with real sockets: what arrived is in the spool or in the quarantine."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpdata.errors import InvalidInput
from gpdata.spool import Disk, Key, Quarantine, Spool, SpoolFile, zstd
from gpdata.spool.plain_tcp import LOOPBACK, PlainServer
from gpdata.wire import Limits, Rejection
from tests.support import RUN, line, run_lines

DEADLINE = 20.0


class Failing(Disk):
    """A disk that is full, or broken, for as long as somebody says so."""

    def __init__(self) -> None:
        self.broken = False
        self.failed = 0

    def create(self, path: Path) -> BinaryIO:
        self._check()
        return super().create(path)

    def sync(self, file: BinaryIO) -> None:
        self._check()
        super().sync(file)

    def _check(self) -> None:
        if self.broken:
            self.failed += 1
            raise OSError(errno.ENOSPC, "No space left on device")


class Place:
    """A spool, a quarantine and a receiver in front of them."""

    def __init__(self, path: Path, *, disk: Disk | None = None, **options: Any) -> None:
        self.spool = Spool(path / "spool", disk=disk)
        self.quarantine = Quarantine(path / "quarantine", disk=disk)
        self.server = PlainServer(self.spool, self.quarantine, source="plain", **options)

    @property
    def lines(self) -> list[bytes]:
        return [found for file in self.spool.pending() for found in self.spool.read(file) if isinstance(found, bytes)]

    @property
    def aside(self) -> list[tuple[str, bytes]]:
        return sorted((entry.code, self.quarantine.raw(entry)) for entry in self.quarantine.entries())

    @asynccontextmanager
    async def running(self, host: str = "127.0.0.1") -> AsyncIterator[PlainServer]:
        await self.server.start(host, 0)
        try:
            yield self.server
        finally:
            await self.server.stop()

    async def client(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.server.addresses[0])

    async def send(self, *pieces: bytes) -> None:
        """Send over a connection of its own and close it."""
        _, writer = await self.client()
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        writer.close()
        await writer.wait_closed()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.005)


def with_ends(given_lines: list[bytes]) -> bytes:
    return b"".join(content + b"\n" for content in given_lines)


def test_each_line_is_durable_while_the_connection_goes_on(tmp_path: Path) -> None:
    place, sent = Place(tmp_path, owner="ada"), run_lines(generations=3)

    async def run() -> None:
        before = datetime.now(UTC)
        async with place.running():
            _, writer = await place.client()
            for number, content in enumerate(sent, 1):
                writer.write(content[:50])
                await writer.drain()
                writer.write(content[50:] + b"\n")
                await until(lambda number=number: len(place.spool.pending()) == number)
                assert place.lines == sent[:number]
            for file, content in zip(place.spool.pending(), sent, strict=True):
                meta = place.spool.meta(file)
                assert meta is not None
                assert (meta.source, meta.owner, meta.raw_bytes) == ("plain", "ada", len(content) + 1)
                assert meta.origin == "{}:{}".format(*writer.get_extra_info("sockname"))
                assert meta.received_at is not None
                assert before <= meta.received_at <= datetime.now(UTC)
            assert place.server.counts.open == 1
            writer.close()
            await until(lambda: place.server.counts.open == 0)

    asyncio.run(run())
    counts = place.server.counts
    assert (counts.connections, counts.lines, counts.torn, counts.refused) == (1, 3, 0, 0)
    assert counts.bytes == len(with_ends(sent))
    assert place.aside == []


def test_a_line_is_received_when_its_first_byte_came(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def run() -> datetime:
        async with place.running():
            _, writer = await place.client()
            writer.write(line(RUN, 0)[:10])
            await until(lambda: place.server.counts.bytes == 10)
            between = datetime.now(UTC)
            writer.write(line(RUN, 0)[10:] + b"\n" + line(RUN, 1) + b"\n" + line(RUN, 2) + b"\n")
            writer.close()
            await until(lambda: place.server.counts.lines == 3)
            return between

    between = asyncio.run(run())
    received = [meta.received_at for meta in map(place.spool.meta, place.spool.pending()) if meta and meta.received_at]
    assert len(received) >= 2
    assert received[0] <= between <= received[1]
    assert place.lines == [line(RUN, generation) for generation in range(3)]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 40_000), max_size=12), st.sampled_from([b"\n", b"\r\n"]))
def test_how_a_stream_is_cut_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], end: bytes
) -> None:
    sent = [*run_lines(generations=4, size=3), b"", b"nonsense", line(RUN, 9)]
    data = end.join([*sent, b""])
    edges = [0, *sorted(at % len(data) for at in cuts), len(data)]
    place = Place(tmp_path_factory.mktemp("cut"))

    async def run() -> None:
        async with place.running():
            _, writer = await place.client()
            for start, stop in pairwise(edges):
                writer.write(data[start:stop])
                await writer.drain()
                await asyncio.sleep(0)
            writer.close()
            await until(lambda: place.server.counts.lines == 5)

    asyncio.run(run())
    assert place.lines == [*sent[:4], sent[6]]
    assert place.aside == [("not_json", b"nonsense")]


def test_a_connection_that_ends_inside_a_line_leaves_its_beginning_in_the_quarantine(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def run() -> None:
        async with place.running():
            await place.send(line(RUN, 0) + b"\n" + line(RUN, 1)[:-20])
            await place.send(line(RUN, 1) + b"\n")
            await until(lambda: place.server.counts.lines == 2 and place.server.counts.torn == 1)

    asyncio.run(run())
    assert sorted(place.lines) == sorted([line(RUN, 0), line(RUN, 1)])
    assert place.aside == [("torn", line(RUN, 1)[:-20])]
    (entry,) = place.quarantine.entries()
    assert entry.source == "plain"
    assert (entry.origin or "").startswith("127.0.0.1:")
    assert entry.time is not None


def test_a_connection_that_is_reset_leaves_the_same(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def run() -> None:
        async with place.running():
            _, writer = await place.client()
            writer.write(line()[:100])
            await until(lambda: place.server.counts.bytes == 100)
            linger = b"\1\0\0\0\0\0\0\0"
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.close()
            await until(lambda: place.server.counts.open == 0)

    asyncio.run(run())
    assert place.aside == [("torn", line()[:100])]


def test_a_generation_that_lacks_its_newline_only_is_stored(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def run() -> None:
        async with place.running():
            await place.send(line())
            await until(lambda: place.server.counts.lines == 1)

    asyncio.run(run())
    assert place.lines == [line()]
    assert place.aside == []


def test_what_is_refused_is_quarantined_with_its_reason_and_the_connection_goes_on(tmp_path: Path) -> None:
    class Theirs:
        def refusal(self, run_uuid: str, generation: int, owner: str | None) -> Rejection | None:
            return Rejection("other_owner", "not yours", run_uuid, generation) if run_uuid == "theirs" else None

        def sha256(self, run_uuid: str, generation: int) -> str | None:
            return None

    limits = Limits(line_bytes=50_000)
    place, long = Place(tmp_path, ledger=Theirs(), limits=limits), line(RUN, 5, size=200)
    assert len(long) > 60_000

    async def run() -> None:
        async with place.running():
            await place.send(line("theirs", 3) + b"\n", long + b"\n", b'{"index":1}\n', line(RUN, 0) + b"\n")
            await until(lambda: place.server.counts.lines == 1)

    asyncio.run(run())
    assert place.lines == [line(RUN, 0)]
    assert place.aside == [
        ("missing_field", b'{"index":1}'),
        ("other_owner", line("theirs", 3)),
        ("too_long", long[:50_000]),
    ]
    (theirs,) = (entry for entry in place.quarantine.entries() if entry.code == "other_owner")
    assert (theirs.run_uuid, theirs.generation, theirs.source) == ("theirs", 3, "plain")
    assert (place.server.counts.refused, place.server.counts.torn) == (3, 0)


def test_other_networks_are_closed_at_once(tmp_path: Path) -> None:
    place = Place(tmp_path, networks=[ipaddress.ip_network("10.0.0.0/8")])

    async def run() -> None:
        async with place.running():
            reader, writer = await place.client()
            assert await reader.read() == b""
            writer.close()

    asyncio.run(run())
    assert (place.server.counts.rejected, place.server.counts.connections) == (1, 0)
    assert (place.lines, place.aside) == ([], [])


def test_a_loopback_name_is_listened_to_at_each_address(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def run() -> None:
        async with place.running("localhost") as server:
            assert len({port for _, port in server.addresses}) == 1
            for generation, address in enumerate(server.addresses):
                _, writer = await asyncio.open_connection(*address)
                writer.write(line(RUN, generation) + b"\n")
                await writer.drain()
                writer.close()
            await until(lambda: server.counts.lines == len(server.addresses))

    asyncio.run(run())
    assert all(any(ipaddress.ip_address(host) in net for net in LOOPBACK) for host, _ in place.server.addresses)


def test_nothing_is_read_while_there_is_no_room_and_nothing_is_lost(tmp_path: Path) -> None:
    asked: list[bool] = []
    room = [False]

    def allow() -> bool:
        asked.append(room[0])
        return room[0]

    place, sent = Place(tmp_path, allow=allow), run_lines(generations=40, size=500)

    async def run() -> None:
        async with place.running():
            _, writer = await place.client()
            writer.write(with_ends(sent))
            blocked = asyncio.create_task(writer.drain())
            await until(lambda: len(asked) == 3)
            assert place.server.counts.bytes == 0
            room[0] = True
            await blocked
            writer.close()
            await until(lambda: place.server.counts.lines == 40)

    asyncio.run(run())
    assert place.lines == sent


def test_a_failing_disk_is_outlived_without_losing_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpdata.spool.plain_tcp._PAUSES", (0.01, 0.05))
    disk = Failing()
    place, sent = Place(tmp_path, disk=disk), run_lines(generations=6, size=50)
    stored: list[SpoolFile] = []
    place.server._stored = lambda file, keys: stored.append(file)

    async def run() -> None:
        async with place.running():
            _, writer = await place.client()
            writer.write(with_ends(sent[:2]) + sent[2][:30_000])
            await until(lambda: place.server.counts.lines == 2)
            disk.broken = True
            writer.write(sent[2][30_000:] + b"\n" + with_ends(sent[3:]) + sent[0][:999])
            await writer.drain()
            await until(lambda: disk.failed > 2)
            assert place.lines == sent[:2]
            disk.broken = False
            await until(lambda: place.server.counts.lines == 6)
            disk.broken = True
            writer.close()
            await until(lambda: place.server.counts.write_errors > 8)
            disk.broken = False
            await until(lambda: place.server.counts.torn == 1)

    asyncio.run(run())
    assert place.lines == sent
    assert place.aside == [("torn", sent[0][:999])]
    assert [file.id for file in stored] == [file.id for file in place.spool.pending()]
    assert list((place.spool.path / "tmp").iterdir()) == []


def test_a_last_line_without_newline_outlives_a_failing_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpdata.spool.plain_tcp._PAUSES", (0.01, 0.05))
    disk = Failing()
    place = Place(tmp_path, disk=disk)

    async def run() -> None:
        async with place.running():
            _, writer = await place.client()
            writer.write(line())
            await until(lambda: place.server.counts.bytes == len(line()))
            disk.broken = True
            writer.close()
            await until(lambda: place.server.counts.write_errors > 3)
            disk.broken = False
            await until(lambda: place.server.counts.open == 0)

    asyncio.run(run())
    assert place.lines == [line()]
    assert place.aside == []
    assert (place.server.counts.lines, place.server.counts.torn) == (1, 0)


def test_a_line_that_is_not_held_closes_the_connection_when_the_disk_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpdata.spool.plain_tcp._HELD", 1_000)
    disk = Failing()
    place, sent = Place(tmp_path, disk=disk), line(RUN, 0, size=50)

    async def run() -> None:
        async with place.running():
            reader, writer = await place.client()
            writer.write(sent[:-1])
            await until(lambda: place.server.counts.bytes == len(sent) - 1)
            disk.broken = True
            writer.write(sent[-1:] + b"\n")
            assert await reader.read() == b""
            writer.close()
            disk.broken = False
            await place.send(sent + b"\n")  # as the recorder does
            await until(lambda: place.server.counts.lines == 1)

    asyncio.run(run())
    assert place.lines == [sent]
    assert place.server.counts.write_errors == 1


def test_a_stop_reads_what_has_arrived_and_keeps_what_is_torn(tmp_path: Path) -> None:
    room = [False]
    place, sent = Place(tmp_path, allow=lambda: room[0]), run_lines(generations=5, size=20)

    async def run() -> None:
        await place.server.start("127.0.0.1", 0)
        _, idle = await place.client()
        _, writer = await place.client()
        await until(lambda: place.server.counts.connections == 2)
        writer.write(with_ends(sent) + sent[0][:500])
        await writer.drain()
        room[0] = True
        await place.server.stop()
        await place.server.stop()
        with pytest.raises(OSError):
            await place.client()
        for each in (idle, writer):
            each.close()

    asyncio.run(run())
    assert place.lines == sent
    assert place.aside == [("torn", sent[0][:500])]
    assert place.server.counts.open == 0


def test_a_stop_does_not_wait_for_a_sender_without_end(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def run() -> int:
        await place.server.start("127.0.0.1", 0)
        _, writer = await place.client()

        async def flood() -> int:
            sent = 0
            try:
                while True:
                    writer.write(line(RUN, sent) + b"\n")
                    await writer.drain()
                    sent += 1
            except ConnectionError:
                return sent

        flooding = asyncio.create_task(flood())
        await until(lambda: place.server.counts.lines > 5)
        async with asyncio.timeout(DEADLINE):
            await place.server.stop(grace=0.2)
            return await flooding

    assert asyncio.run(run()) > 5
    assert place.lines == [line(RUN, generation) for generation in range(len(place.lines))]


def test_what_was_stored_is_told_with_its_keys(tmp_path: Path) -> None:
    told: list[tuple[SpoolFile, list[Key]]] = []
    place = Place(tmp_path, stored=lambda file, keys: told.append((file, keys)))

    async def run() -> None:
        async with place.running():
            await place.send(with_ends(run_lines(generations=3)))
            await until(lambda: place.server.counts.lines == 3)

    asyncio.run(run())
    assert [file.id for file, _ in told] == [file.id for file in place.spool.pending()]
    assert [(key.run_uuid, key.generation) for _, keys in told for key in keys] == [(RUN, 0), (RUN, 1), (RUN, 2)]


def test_many_connections_at_once(tmp_path: Path) -> None:
    place = Place(tmp_path)
    sent = {f"run-{number}": run_lines(f"run-{number}", generations=3, size=100) for number in range(60)}

    async def run() -> None:
        async with place.running():
            await asyncio.gather(*(place.send(*(content + b"\n" for content in each)) for each in sent.values()))
            await until(lambda: place.server.counts.lines == 180 and place.server.counts.open == 0)

    asyncio.run(run())
    assert sorted(place.lines) == sorted(content for each in sent.values() for content in each)
    assert place.server.counts.connections == 60


@pytest.mark.parametrize(("host", "message"), [("nowhere.invalid", "is no address"), ("192.0.2.1", "cannot listen at")])
def test_an_address_that_is_not_here_is_told(tmp_path: Path, host: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        asyncio.run(Place(tmp_path).server.start(host, 0))


def test_an_address_in_use_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        first = Place(tmp_path / "first")
        async with first.running():
            await Place(tmp_path / "second").server.start(*first.server.addresses[0])

    with pytest.raises(InvalidInput, match=r"cannot listen at 127\.0\.0\.1:.*in use; end what listens"):
        asyncio.run(run())


@pytest.mark.parametrize("name", ["recon-sink_killed_mid_line.part1", "recon-sink_killed_mid_big_line.part1"])
def test_torn_streams_of_real_runs(captures: Path, tmp_path: Path, name: str) -> None:
    data = zstd.decompress((captures / f"{name}.raw.zst").read_bytes())
    *whole, torn = data.split(b"\n")
    place = Place(tmp_path)

    async def run() -> None:
        async with place.running():
            await place.send(data)
            await until(lambda: place.server.counts.torn == 1)

    asyncio.run(run())
    assert torn
    assert place.lines == whole
    assert place.aside == [("torn", torn)]


def test_a_run_whose_connection_was_lost_inside_a_line_is_complete(captures: Path, tmp_path: Path) -> None:
    parts = [zstd.decompress(path.read_bytes()) for path in sorted(captures.glob("recon-sink_killed_mid_big_line.*"))]
    place = Place(tmp_path)

    async def run() -> None:
        async with place.running():
            for number, data in enumerate(parts, 1):
                await place.send(data)
                await until(lambda number=number: place.server.counts.connections == number)
            await until(lambda: place.server.counts.open == 0)

    asyncio.run(run())
    *whole, torn = parts[0].split(b"\n")
    assert sorted(place.lines) == sorted([*whole, *parts[1].splitlines()])
    assert place.aside == [("torn", torn)]
    assert any(content.startswith(torn) for content in place.lines)
