"""The client of the upload protocol: every status, and addresses, tokens and proxies that must not leak."""

from __future__ import annotations

import io
import json
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpdata.errors import InvalidInput
from gpdata.spool import Meta, Spool
from gpdata.spool.frames import frame
from gpdata.upload.http import Client, Permanent, Retry, checked_token, server_address
from tests.support import RUN, line
from tests.upload.server import TOKEN, Server


def client(server: Server, **options: Any) -> Client:
    return Client(server.address, lambda: TOKEN, **options)


def test_a_spool_file_is_sent_as_it_lies_on_the_disk(server: Server, tmp_path: Path) -> None:
    lines = [line(generation=0), line(generation=1), line(generation=1)]
    file = Spool(tmp_path).write(lines, Meta("recorder"))
    with file.path.open("rb") as body:
        answer = client(server).post(body, origin="a machine\r\nX-Bad: ü")
    assert [(o.line, o.result, o.run_uuid, o.generation) for o in answer.lines] == [
        (1, "stored", RUN, 0),
        (2, "stored", RUN, 1),
        (3, "duplicate", RUN, 1),
    ]
    assert server.lines == {(RUN, 0): lines[0], (RUN, 1): lines[1]}
    assert server.origins == ["a machine??X-Bad: ?"]


def test_refused_lines_are_an_answer(server: Server) -> None:
    server.refuse[RUN] = "bad_field"
    (outcome,) = client(server).post(frame(line())).lines
    assert (outcome.result, outcome.code, outcome.detail) == ("refused", "bad_field", "it is told why")


@pytest.mark.parametrize("status", [400, 413, 415])
def test_what_the_service_will_never_take(server: Server, status: int) -> None:
    server.faults.append((status, {}, {"error": "bad_body", "detail": "the third frame"}))
    with pytest.raises(Permanent, match="bad_body: the third frame"):
        client(server).post(frame(line()))


@pytest.mark.parametrize("status", [401, 403, 404, 405, 408, 429, 500, 503])
def test_what_may_be_taken_later(server: Server, status: int) -> None:
    server.faults.append((status, {"Retry-After": "7"}, {"error": "some_code", "detail": "not now"}))
    with pytest.raises(Retry, match=f"answers {status} some_code: not now") as caught:
        client(server).post(frame(line()))
    assert (caught.value.code, caught.value.after) == ("some_code", 7.0)


@pytest.mark.parametrize(
    ("status", "headers", "says"),
    [
        (302, {"Location": "http://127.0.0.1:1/"}, "sends elsewhere"),
        (307, {"Location": "https://else.example/v1/generations"}, "sends elsewhere"),
        (200, {}, "not as gpdata ingest does"),
        (400, {}, "check the address"),
        (404, {}, "check the address"),
        (413, {}, "a proxy before it may limit"),
        (502, {}, "the service down"),
        (503, {"Retry-After": "Fri, 20 Nov 2026 08:00:00 GMT"}, "the service down"),
        (503, {"Retry-After": "1e999"}, "the service down"),
    ],
)
@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"", b"[]", b'{"lines": 7}', b'"\xff"'])
def test_a_stranger_does_not_judge_lines(
    server: Server, status: int, headers: dict[str, str], says: str, body: bytes
) -> None:
    server.faults.append((status, headers, body))
    with pytest.raises(Retry, match=says) as caught:
        client(server).post(frame(line()))
    assert caught.value.after == 0.0
    assert server.posts == 1


def test_nobody_answers(server: Server) -> None:
    server.faults += ["drop", 3.0]
    sender = client(server, answer_within=0.3)
    with pytest.raises(Retry, match="does not answer"):
        sender.post(frame(line()))
    with pytest.raises(Retry, match="no answer within"):
        sender.post(frame(line()))
    server.stop()
    with pytest.raises(Retry, match="does not answer"):
        client(server).post(frame(line()))


def test_a_refused_token_and_a_new_one(server: Server) -> None:
    tokens = ["wrong"]
    sender = Client(server.address, lambda: tokens[-1])
    with pytest.raises(Retry) as caught:
        sender.post(frame(line()))
    assert "wrong" not in str(caught.value)
    assert not sender.has_new_token()
    tokens.append(TOKEN)
    assert sender.has_new_token()
    sender.post(frame(line()))
    assert not sender.has_new_token()


def test_no_proxy_sees_a_token_for_this_machine(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert len(client(server).post(frame(line())).lines) == 1


def test_certificates_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate]
    subprocess.run([*made, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)  # fmt: skip

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"lines": []}).encode())

        def log_message(self, *_: object) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    http.socket = context.wrap_socket(http.socket, server_side=True)
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    port = http.server_address[1]
    try:
        with pytest.raises(Retry, match=r"CERTIFICATE_VERIFY_FAILED.*--ca"):
            Client(f"https://localhost:{port}", lambda: TOKEN).post(b"")
        assert Client(f"https://localhost:{port}", lambda: TOKEN, ca=certificate).post(io.BytesIO(b"")).lines == []
        with pytest.raises(Retry, match="CERTIFICATE_VERIFY_FAILED"):  # the name is checked, too
            Client(f"https://127.0.0.1:{port}", lambda: TOKEN, ca=certificate).post(b"")
    finally:
        http.shutdown()
        http.server_close()
    for wrong in (key, tmp_path / "none.pem", tmp_path):
        with pytest.raises(InvalidInput, match="valid is a file of certificates in PEM"):
            Client("https://localhost", lambda: TOKEN, ca=wrong)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://ingest.lab.org", "readable for all on the way"),
        ("http://127.example.org", "readable for all on the way"),
        ("ingest.lab.org", "no address"),
        ("ftp://ingest.lab.org", "no address"),
        ("https://", "no address"),
        ("https://lab.org:x", "no address"),
        ("https://[::1", "no address"),
        ("https://lab.org/?a=b", "no address"),
        ("https://lab.org/#a", "no address"),
        ("https://ada:secret@lab.org", "holds a user or a password"),
    ],
)
def test_addresses_that_cannot_be_used(address: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        server_address(address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("given_", "address"),
    [
        ("http://[::1]:8470", "http://[::1]:8470"),
        ("https://LAB.org:443/gpdata/", "https://lab.org/gpdata"),
        (" http://127.0.0.1:80", "http://127.0.0.1"),
    ],
)
def test_addresses_have_one_spelling(given_: str, address: str) -> None:
    assert server_address(given_) == address
    assert server_address(address) == address


@given(st.text())
def test_a_token_is_one_word_and_never_shown(text: str) -> None:
    found = text.strip()
    if found.isascii() and found.isprintable() and len(found.split()) == 1:
        assert checked_token(text, "GPDATA_TOKEN") == found
        return
    with pytest.raises(InvalidInput) as caught:
        checked_token(text, "GPDATA_TOKEN")
    assert str(caught.value) in {str(_error("")), str(_error("two words"))}  # whatever the text is


def _error(text: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        checked_token(text, "GPDATA_TOKEN")
    return caught.value
