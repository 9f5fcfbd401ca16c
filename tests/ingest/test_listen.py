"""The TLS port, idle and hostile connections, and what they leave behind."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import httpx
import pytest

from gpdata.errors import InvalidInput
from gpdata.ingest.listen import bind, tls_context
from tests.ingest.conftest import UPLOAD, Running, Start, make_certificate
from tests.ingest.waiting import until
from tests.support import line

Pair = tuple[Path, Path]


def secure(start: Start, certificate: Pair, **options: object) -> Running:
    return start(certificate=certificate[0], key=certificate[1], **options)


def trusting(certificate: Pair, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificate[0])
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = min(newest, context.minimum_version)
    context.maximum_version = newest
    return context


def failures(server: Running, certificate: Pair, reason: str) -> float:
    """Return a metric, asked for over TLS."""
    with httpx.Client(base_url=server.service.url, verify=trusting(certificate), trust_env=False) as client:
        for text in client.get("/metrics").text.splitlines():
            if text.startswith(f'gpdata_ingest_tls_failures_total{{reason="{reason}"}}'):
                return float(text.split()[-1])
    return 0


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_uploads_over_tls(start: Start, certificate: Pair, newest: ssl.TLSVersion) -> None:
    server = secure(start, certificate)
    assert server.service.url.startswith("https://")
    with server.client(verify=trusting(certificate, newest)) as client:
        assert client.post(UPLOAD, content=line(size=500)).json()["stored"] == 1
    assert server.pending() == [line(size=500)]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_tls_1_1_is_refused_and_counted(start: Start, certificate: Pair) -> None:
    server = secure(start, certificate)
    with (
        server.client(verify=trusting(certificate, ssl.TLSVersion.TLSv1_1)) as client,
        pytest.raises(httpx.ConnectError),
    ):
        client.post(UPLOAD, content=line())
    until(lambda: failures(server, certificate, "old_tls") == 1)
    assert server.pending() == []


def test_plain_http_to_the_tls_port_is_told_what_to_do(start: Start, certificate: Pair) -> None:
    server = secure(start, certificate)
    host, port = server.service.address
    answer = httpx.post(f"http://{host}:{port}{UPLOAD}", content=line(size=2000), trust_env=False)
    assert answer.status_code == 400
    assert "https://" in answer.text
    assert failures(server, certificate, "plain_text") == 1
    assert server.pending() == []


def test_who_does_not_trust_the_certificate_is_counted(start: Start, certificate: Pair) -> None:
    server = secure(start, certificate)
    with server.client(verify=ssl.create_default_context()) as client, pytest.raises(httpx.ConnectError):
        client.post(UPLOAD, content=line())
    until(lambda: failures(server, certificate, "not_trusted") == 1)


def test_nonsense_and_silence_end_and_give_their_descriptors_back(start: Start, certificate: Pair) -> None:
    server = secure(start, certificate, handshake_seconds=1.0)
    assert failures(server, certificate, "other") == 0
    until(lambda: server.service.metrics.registry.get_sample_value("gpdata_ingest_connections") == 0)
    before = descriptors()
    silent = [socket.create_connection(server.service.address) for _ in range(40)]
    begun = [socket.create_connection(server.service.address) for _ in range(40)]
    garbled = [socket.create_connection(server.service.address) for _ in range(40)]
    gone = [socket.create_connection(server.service.address) for _ in range(40)]
    for one in begun:
        one.sendall(b"\x16\x03\x01\x02\x00\x01")
    for one in garbled:
        one.sendall(b"\x16garbage garbage garbage garbage")
    for one in gone:
        one.close()
    # Those who mean it are served meanwhile.
    assert failures(server, certificate, "nobody") == 0
    until(lambda: failures(server, certificate, "timeout") == 80)
    until(lambda: failures(server, certificate, "other") + failures(server, certificate, "closed") == 80)
    for one in (*silent, *begun, *garbled):
        one.settimeout(5)
        with one:
            try:
                while one.recv(4096):  # an alert, perhaps
                    pass
            except ConnectionResetError:
                pass
    until(lambda: descriptors() <= before)


def test_of_too_many_handshakes_the_oldest_are_given_up(
    start: Start, certificate: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpdata.ingest.listen._HANDSHAKES", 10)
    server = secure(start, certificate, handshake_seconds=30.0)
    silent = [socket.create_connection(server.service.address) for _ in range(30)]
    until(lambda: failures(server, certificate, "crowded_out") >= 20)
    for one in silent:
        one.close()


def test_heads_that_do_not_end_are_cut(start: Start) -> None:
    server = start(head_seconds=0.5)
    with socket.create_connection(server.service.address) as slow:
        slow.settimeout(10)
        slow.sendall(b"GET /healthz HT")
        assert slow.recv(100) == b""
    with socket.create_connection(server.service.address) as long:
        long.settimeout(10)
        long.sendall(b"GET /healthz HTTP/1.1\r\n" + b"X-Long: " + b"x" * 100_000)
        assert long.recv(100).startswith(b"HTTP/1.1 400")
    with socket.create_connection(server.service.address) as nonsense:
        nonsense.settimeout(10)
        nonsense.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
        assert nonsense.recv(100).startswith(b"HTTP/1.1 400")


def test_a_connection_is_used_again_after_an_early_answer(server: Running) -> None:
    with server.client("nonsense") as client:
        refused = client.post(UPLOAD, content=line(size=3000))
        assert refused.status_code == 401
        assert client.post(UPLOAD, content=line(size=3000)).status_code == 401
        assert client.get("/healthz").status_code == 200


def test_an_early_answer_to_a_body_without_end_closes_in_time(server: Running) -> None:
    token, secret = server.tokens.create("eve")
    with socket.create_connection(server.service.address) as endless:
        endless.settimeout(20)
        head = (
            f"POST {UPLOAD} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nContent-Length: 99999999\r\n\r\n"
        )
        endless.sendall(head.encode() + line())
        until(lambda: server.metric("gpdata_ingest_uploads_under_way") == 1)
        server.tokens.revoke(token.id)
        found = b""
        while part := endless.recv(4096):
            found += part
    assert found.startswith(b"HTTP/1.1 401")
    assert b'"revoked"' in found


def test_a_certificate_is_replaced_without_a_restart(start: Start, tmp_path: Path) -> None:
    first, second = (make_certificate(path) for path in (tmp_path / "1", tmp_path / "2") if not path.mkdir())
    used = tuple(tmp_path / path.name for path in first)

    def install(pair: Pair) -> None:
        for source, target in zip(pair, used, strict=True):
            target.write_bytes(source.read_bytes())

    install(first)
    server = start(certificate=used[0], key=used[1])
    install(second)
    server.service.reload()
    with server.client(verify=trusting(second)) as client:
        assert client.get("/healthz").text == "ok"
    used[1].write_bytes(b"no key")
    server.service.reload()
    with server.client(verify=trusting(second)) as client:
        assert client.get("/healthz").text == "ok"


def test_what_cannot_be_listened_to_is_said(certificate: Pair, tmp_path: Path) -> None:
    with bind("127.0.0.1", 0) as taken:
        with pytest.raises(InvalidInput, match="already; end it, or name another port with --port"):
            bind("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(InvalidInput, match="name an address of this machine"):
            bind("192.0.2.1", 0)
        with pytest.raises(InvalidInput, match="is no address of this machine"):
            bind("no.such.host.invalid", 0)
    with pytest.raises(InvalidInput, match="No such file"):
        tls_context(tmp_path / "none.pem", certificate[1])
    other = make_certificate(tmp_path)
    with pytest.raises(InvalidInput, match="belong together"):
        tls_context(certificate[0], other[1])
