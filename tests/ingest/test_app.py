"""The protocol: every status and code, as a client sees it, and what is on the disk then."""

from __future__ import annotations

import errno
import gzip
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import httpx
import pytest

from gpdata.ingest.upload import Bounds
from gpdata.spool import Disk, Meta, Spool, zstd
from gpdata.wire import Limits
from tests.ingest.conftest import UPLOAD, Running, Start
from tests.ingest.waiting import until
from tests.support import RUN, contents, line, run_lines

OTHER = RUN[:-1] + "2"


def body(*lines: bytes) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def code(answer: httpx.Response) -> str:
    found = answer.json()
    assert set(found) == {"error", "detail"}
    assert found["detail"]
    return str(found["error"])


def results(answer: httpx.Response) -> list[tuple[int, str, str | None]]:
    return [(line["line"], line["result"], line.get("code")) for line in answer.json()["lines"]]


def test_lines_are_stored_and_then_duplicates(server: Running) -> None:
    lines = run_lines(generations=3)
    answer = server.post(body(*lines), X_Gpdata_Origin="laptop 7")
    assert answer.status_code == 200
    assert answer.json() == {
        "stored": 3,
        "duplicate": 0,
        "refused": 0,
        "lines": [{"line": n + 1, "result": "stored", "run_uuid": RUN, "generation": n} for n in range(3)],
    }
    assert server.pending() == lines
    (file,) = server.spool.pending()
    meta = server.spool.meta(file)
    assert meta is not None
    assert (meta.source, meta.owner, meta.origin) == ("upload", "ada", "laptop 7")
    assert meta.received_at is not None
    assert meta.keys is not None
    again = server.post(body(*lines))
    assert (again.status_code, again.json()["duplicate"]) == (200, 3)
    assert server.pending() == lines


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "GZIP", "zstd"])
def test_each_encoding_brings_the_same_rows(server: Running, encoding: str) -> None:
    lines = run_lines(generations=4)
    halves = body(*lines[:2]), body(*lines[2:])
    pack = {"gzip": gzip.compress, "zstd": zstd.compress}.get(encoding.lower(), bytes)
    sent = b"".join(map(pack, halves))
    headers = {"Content_Encoding": encoding} if encoding else {}
    answer = server.post(sent, **headers)
    assert answer.json()["stored"] == 4
    assert server.transform().accepted == 4
    assert contents(server.lake.path)["generations"].column("generation").to_pylist() == [0, 1, 2, 3]


def test_a_spool_file_is_taken_as_it_lies_on_the_disk(server: Running, tmp_path: Path) -> None:
    lines = run_lines(generations=5)
    spool = Spool(tmp_path / "outbox")
    file = spool.write(lines, Meta("forward", owner="somebody else", origin="there"))
    answer = server.post(file.path.read_bytes(), Content_Encoding="zstd")
    assert answer.json()["stored"] == 5
    assert server.pending() == lines
    meta = server.spool.meta(server.spool.pending()[0])
    assert meta is not None
    assert meta.owner == "ada"


def test_no_line_at_all_is_no_error(server: Running) -> None:
    for empty in (b"", b"\n\n", b"   \n"):
        answer = server.post(empty)
        assert (answer.status_code, answer.json()["lines"]) == (200, [])
    assert server.pending() == []
    assert server.unfinished() == []


def test_a_conflict_is_stored_and_says_so_and_ends_in_the_quarantine(server: Running) -> None:
    server.post(body(line()))
    answer = server.post(body(line(seed=1)))
    assert answer.status_code == 200
    assert results(answer) == [(1, "stored", "conflict")]
    account = server.transform()
    assert (account.accepted, account.quarantined) == (1, 1)
    assert server.metric("gpdata_ingest_lines_total", result="stored", code="conflict") == 1


@pytest.mark.parametrize("in_lake", [False, True])
def test_another_users_run_is_refused(server: Running, in_lake: bool) -> None:
    server.post(body(line()))
    if in_lake:
        server.transform()
    before = server.pending()
    answer = server.post(body(line(generation=1)), server.bob)
    assert (answer.status_code, results(answer)) == (403, [(1, "refused", "other_owner")])
    mixed = server.post(body(line(generation=1), line(OTHER)), server.bob)
    assert (mixed.status_code, mixed.json()["stored"], mixed.json()["refused"]) == (200, 1, 1)
    assert server.pending() == [*before, line(OTHER)]
    assert server.metric("gpdata_ingest_lines_total", result="refused", code="other_owner") == 2


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"[]\n", "not_an_object"),
        (b'{"config-uuid":"r"}\n', "missing_field"),
        (b"{\n", "torn"),
        (b"\xff\n", "bad_utf8"),
        (b'{"config-uuid":"../x\\u0000","index":0,"outcome":"failure","population":[{}]}\n', "bad_field"),
    ],
)
def test_a_line_without_a_key_is_refused(server: Running, sent: bytes, why: str) -> None:
    answer = server.post(sent)
    assert (answer.status_code, results(answer)) == (422, [(1, "refused", why)])
    assert server.pending() == []
    assert server.unfinished() == []


def test_a_line_that_is_too_long_is_refused_and_the_others_are_not(start: Start) -> None:
    server = start(limits=Limits(line_bytes=len(line()) + 100))
    answer = server.post(body(line(size=50)))
    assert (answer.status_code, results(answer)) == (413, [(1, "refused", "too_long")])
    mixed = server.post(body(line(size=50), line()))
    assert (mixed.status_code, results(mixed)) == (200, [(1, "refused", "too_long"), (2, "stored", None)])


@pytest.mark.parametrize(
    ("token", "wanted"),
    [(None, "no_token"), ("nonsense", "bad_token"), ("gpdata_0123456789ab_" + "0" * 64, "bad_token")],
)
def test_who_is_not_known_is_denied(server: Running, token: str | None, wanted: str) -> None:
    answer = server.post(body(line()), token)
    assert (answer.status_code, code(answer)) == (401, wanted)
    assert answer.headers["www-authenticate"] == "Bearer"
    with server.client(token) as client:
        assert client.get("/v1/runs").status_code == 401
    assert server.metric("gpdata_ingest_denied_total", reason=wanted) == 2
    assert server.pending() == []


def test_a_revoked_token_is_denied(server: Running) -> None:
    token, secret = server.tokens.create("eve")
    assert server.post(b"", secret).status_code == 200
    server.tokens.revoke(token.id)
    until(lambda: server.post(body(line()), secret).status_code == 401)
    assert code(server.post(body(line()), secret)) == "revoked"


def test_each_scope_is_for_its_own(server: Running) -> None:
    reader, writer = (server.tokens.create("eve", [scope])[1] for scope in ("read", "write"))
    answer = server.post(body(line()), reader)
    assert (answer.status_code, code(answer)) == (403, "no_scope")
    assert server.post(body(line()), writer).status_code == 200
    with server.client(writer) as client:
        assert code(client.get("/v1/runs")) == "no_scope"
    assert server.metric("gpdata_ingest_denied_total", reason="no_scope") == 2


def test_the_wrong_path_method_and_encoding(server: Running) -> None:
    with server.client() as client:
        assert (client.get("/nothing").status_code, code(client.get("/nothing"))) == (404, "not_found")
        wrong = client.put("/v1/runs")
        assert (wrong.status_code, code(wrong), wrong.headers["allow"]) == (405, "method_not_allowed", "GET, HEAD")
        assert client.get(UPLOAD).status_code == 405
    for encoding in ("br", "gzip, zstd"):
        answer = server.post(body(line()), Content_Encoding=encoding)
        assert (answer.status_code, code(answer)) == (415, "bad_encoding")
    assert server.post(body(line()), X_Gpdata_Origin="x" * 201).status_code == 400


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_body_that_is_broken_or_breaks_off_leaves_nothing(server: Running, encoding: str) -> None:
    pack = {"gzip": gzip.compress, "zstd": zstd.compress}[encoding]
    packed = pack(body(*run_lines(generations=30, size=40)))
    flipped = bytearray(packed)
    flipped[len(packed) // 2] ^= 0xFF
    for broken in (packed[:-20], packed + packed[:12], bytes(flipped), packed + b"more", b"{}" * 20):
        answer = server.post(broken, Content_Encoding=encoding)
        assert (answer.status_code, code(answer)) == (400, "bad_body")
    assert server.pending() == []
    assert server.unfinished() == []


def test_a_window_that_is_too_large_is_refused_with_advice(server: Running) -> None:
    options = {zstd.CompressionParameter.compression_level: 3, zstd.CompressionParameter.window_log: 24}
    compressor = zstd.ZstdCompressor(options=options)
    packed = compressor.compress(body(line())) + compressor.flush()
    answer = server.post(packed, Content_Encoding="zstd")
    assert (answer.status_code, code(answer)) == (400, "bad_body")
    assert "--long" in answer.json()["detail"]


@pytest.mark.parametrize("inside", [b"x", b"\n", b"{}\n"])
@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_ends_at_its_limit(start: Start, encoding: str, inside: bytes) -> None:
    server = start(bounds=Bounds(raw_bytes=8 << 20, lines=1000), limits=Limits(line_bytes=1 << 20))
    pack = {"gzip": gzip.compress, "zstd": zstd.compress}[encoding]
    answer = server.post(pack(inside * (64 << 20)), Content_Encoding=encoding)
    assert (answer.status_code, code(answer)) == (413, "too_large" if inside == b"x" else "too_many_lines")
    assert server.pending() == []
    assert server.unfinished() == []


def test_a_client_that_goes_away_leaves_nothing(server: Running) -> None:
    def half() -> Iterator[bytes]:
        yield body(line())
        until(lambda: server.metric("gpdata_ingest_uploads_under_way") == 1)
        raise ConnectionError

    with server.client() as client, pytest.raises(ConnectionError):
        client.post(UPLOAD, content=half())
    until(lambda: server.metric("gpdata_ingest_uploads_under_way") == 0)
    assert server.pending() == []
    assert server.unfinished() == []


def test_a_token_that_is_revoked_during_an_upload_ends_it(server: Running) -> None:
    token, secret = server.tokens.create("eve")
    go_on = threading.Event()

    def slow() -> Iterator[bytes]:
        yield body(*run_lines(generations=3))
        until(lambda: server.metric("gpdata_ingest_uploads_under_way") == 1)
        server.tokens.revoke(token.id)
        go_on.wait(10)
        yield body(line(OTHER))

    until_over = threading.Thread(
        target=lambda: (until(lambda: server.metric("gpdata_ingest_requests_total", status="401") == 1), go_on.set())
    )
    until_over.start()
    with server.client(secret) as client:
        try:
            answer = client.post(UPLOAD, content=slow())
        except httpx.TransportError:  # the connection was closed before the answer was read
            answer = None
    until_over.join()
    assert answer is None or (answer.status_code, code(answer)) == (401, "revoked")
    assert server.pending() == []
    assert server.unfinished() == []


def test_a_body_that_stalls_or_drips_is_given_up(start: Start) -> None:
    server = start(bounds=Bounds(stall=0.5, rate_over=1.0, least_rate=10_000))

    def stall() -> Iterator[bytes]:
        yield body(line())
        until(lambda: server.metric("gpdata_ingest_requests_total", status="408") == 1)

    def drip() -> Iterator[bytes]:
        while server.metric("gpdata_ingest_requests_total", status="408") < 2:
            yield b" "

    for slow in (stall, drip):
        with server.client() as client:
            try:
                answer = client.post(UPLOAD, content=slow())
            except httpx.TransportError:
                continue
            assert (answer.status_code, code(answer)) == (408, "too_slow")
    assert server.metric("gpdata_ingest_requests_total", status="408") == 2
    assert server.pending() == []


def test_two_users_race_for_one_run_and_exactly_one_gets_it(server: Running) -> None:
    ready = threading.Barrier(2)
    answers: dict[str, httpx.Response] = {}

    def upload(token: str, seed: int) -> None:
        def halves() -> Iterator[bytes]:
            yield body(line(seed=seed))
            ready.wait(10)
            yield body(line(generation=1, seed=seed))

        with server.client(token) as client:
            answers[token] = client.post(UPLOAD, content=halves())

    threads = [threading.Thread(target=upload, args=(t, i)) for i, t in enumerate((server.ada, server.bob))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [token for token, answer in answers.items() if answer.status_code == 200]
    (lost,) = [answer for answer in answers.values() if answer.status_code != 200]
    assert len(taken) == 1
    assert lost.status_code == 403 or (lost.status_code, code(lost)) == (503, "busy")
    owner = "ada" if taken[0] == server.ada else "bob"
    account = server.transform()
    assert (account.accepted, account.quarantined) == (2, 0)
    with server.client() as client:
        assert client.get(f"/v1/runs/{RUN}").json()["owner"] == owner


def test_what_was_claimed_and_given_up_is_free_again(server: Running) -> None:
    server.post(gzip.compress(body(line()) * 2)[:-9], Content_Encoding="gzip")
    assert server.post(body(line()), server.bob).json()["stored"] == 1


class FailingDisk(Disk):
    """Fails to sync files while it is told to."""

    error: int | None = None

    def sync(self, file: BinaryIO) -> None:
        if self.error is not None:
            raise OSError(self.error, "it fails")
        super().sync(file)


@pytest.mark.parametrize(("number", "wanted"), [(errno.ENOSPC, "disk_full"), (errno.EIO, "write_failed")])
def test_a_failing_disk_refuses_and_recovers(start: Start, number: int, wanted: str) -> None:
    disk = FailingDisk()
    server = start(disk=disk)
    disk.error = number
    answer = server.post(body(line()))
    assert (answer.status_code, code(answer)) == (503, wanted)
    assert int(answer.headers["retry-after"]) > 0
    with server.client(None) as client:
        assert client.get("/readyz").status_code == 503
    assert server.unfinished() == []
    assert server.pending() == []
    disk.error = None
    assert server.post(body(line())).json()["stored"] == 1
    with server.client(None) as client:
        assert client.get("/readyz").json() == {"ready": True, "reasons": []}


def test_a_disk_without_room_refuses_before_the_body(start: Start) -> None:
    server = start(keep_free=1 << 60)
    answer = server.post(body(line()))
    assert (answer.status_code, code(answer)) == (503, "disk_full")
    assert "retry-after" in answer.headers
    with server.client(None) as client:
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        assert (client.get("/healthz").status_code, client.get("/healthz").text) == (200, "ok")


def test_too_many_uploads_are_told_to_come_again(start: Start) -> None:
    server = start(bounds=Bounds(uploads=1))

    def one() -> Iterator[bytes]:
        yield body(line(size=3000))
        until(server.unfinished)
        second = server.post(body(line(OTHER)))
        assert (second.status_code, code(second)) == (503, "busy")

    with server.client() as client:
        assert client.post(UPLOAD, content=one()).json()["stored"] == 1


def test_what_has_arrived_is_told(server: Running) -> None:
    server.post(body(line(), line(generation=1), line(generation=4)))
    server.post(body(line(OTHER)), server.bob)
    with server.client() as client:
        first = client.get(f"/v1/runs/{RUN}").json()
        received = first.pop("last_received_at")
        assert received.endswith("Z")
        known = {"run_uuid": RUN, "owner": "ada", "generations": 3, "first": 0, "last": 4, "gaps": [[2, 3]]}
        assert first == known | {"in_lake": 0, "waiting": 3}
        server.transform()
        assert client.get(f"/v1/runs/{RUN}").json() == known | {
            "in_lake": 3,
            "waiting": 0,
            "last_received_at": received,
        }
        page = client.get("/v1/runs", params={"limit": 1}).json()
        assert ([run["run_uuid"] for run in page["runs"]], page["next"]) == ([RUN], RUN)
        page = client.get("/v1/runs", params={"limit": 1, "after": page["next"]}).json()
        assert ([run["run_uuid"] for run in page["runs"]], page["next"]) == ([OTHER], None)
        assert [run["run_uuid"] for run in client.get("/v1/runs", params={"owner": "bob"}).json()["runs"]] == [OTHER]
        assert code(client.get("/v1/runs/unknown")) == "unknown_run"
        assert code(client.get("/v1/runs", params={"limit": "0"})) == "bad_query"


def test_the_rows_say_who_sent_them(server: Running) -> None:
    server.post(body(*run_lines(generations=2)))
    server.transform()
    (run,) = contents(server.lake.path)["runs"].to_pylist()
    assert (run["owner"], run["source"]) == ("ada", "upload")


def test_many_at_once_lose_nothing(server: Running) -> None:
    runs = [f"{RUN[:-2]}{n:02d}" for n in range(24)]
    sent = {run: [line(run, g, 2, pad="x" * 700_000) for g in range(3)] for run in runs}
    answers: dict[str, httpx.Response] = {}

    def upload(run: str, token: str) -> None:
        answers[run] = server.post(zstd.compress(body(*sent[run])), token, Content_Encoding="zstd")

    threads = [
        threading.Thread(target=upload, args=(run, (server.ada, server.bob)[n % 2])) for n, run in enumerate(runs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers.values()} == {200}
    assert sorted(server.pending()) == sorted(line for lines in sent.values() for line in lines)
    assert server.unfinished() == []
    assert server.metric("gpdata_ingest_lines_total", result="stored") == 72
    assert server.metric("gpdata_ingest_body_bytes_total", form="raw") == sum(
        len(line) + 1 for lines in sent.values() for line in lines
    )


def test_no_metric_has_data_of_a_user(server: Running) -> None:
    server.post(body(line()), X_Gpdata_Origin="secret-laptop")
    with server.client(None) as client:
        text = client.get("/metrics").text
    assert not [word for word in ("ada", "secret-laptop", RUN, server.ada) if f'"{word}"' in text]
