"""Wrong, expired, revoked and others' tokens; old TLS, and none at all: nothing is accepted, and each is counted.

`make test-faults` tries 100,000 wrong tokens; SEED brings back a failure.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import random
import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest

from gpdata.ingest.tokens import Tokens
from tests.faults.served import UPLOAD, Good, Served, served, until
from tests.ingest.conftest import make_certificate
from tests.support import line

SEED = int(os.environ.get("SEED", str(random.randrange(10**6))))
CONNECTIONS = 16


def wrong_headers(good: str, chance: random.Random) -> str:
    """Return an Authorization header that is nearly right, or not at all."""
    _, id_, secret = good.split("_")
    place = chance.randrange(64)
    other = chance.choice([digit for digit in "0123456789abcdef" if digit != secret[place]])
    return chance.choice(
        [
            f"Bearer gpdata_{id_}_{secret[:place]}{other}{secret[place + 1 :]}",
            f"Bearer gpdata_{id_}_{secret[:place]}",
            f"Bearer gpdata_{id_}_{secret}{other}",
            f"Bearer gpdata_{id_}_{chance.randbytes(32).hex()}",
            f"Bearer gpdata_{chance.randbytes(6).hex()}_{secret}",
            f"Bearer gpdata_{chance.randbytes(6).hex()}_{chance.randbytes(32).hex()}",
            f"Bearer gpdata_{id_}_{hashlib.sha256(secret.encode()).hexdigest()}",
            f"Bearer {good.upper()}",
            f"Bearer {good} {good}",
            f"Bearer ../../{id_}",
            f"Bearer gpdata_../tokens/{id_}_{secret}",
            f"Bearer {secret}",
            f"Bearer {chance.randbytes(chance.randrange(1, 4000)).hex()}",
            f"Basic {base64.b64encode(f'ada:{good}'.encode()).decode()}",
            f"Token {good}",
            f"{good}",
            "Bearer",
            "",
        ]
    )


async def try_all(service: Served, headers: Iterable[str]) -> Counter[str]:
    """Upload with each header over some connections; return how often each answer came."""
    left, found = iter(headers), Counter[str]()

    async def one(client: httpx.AsyncClient) -> None:
        for header in left:
            answer = await client.post(service.url + UPLOAD, headers={"Authorization": header}, content=line("stolen"))
            found[f"{answer.status_code} {answer.json().get('error')}"] += 1

    limits = httpx.Limits(max_connections=CONNECTIONS)
    async with httpx.AsyncClient(verify=service.verify, limits=limits, timeout=120, trust_env=False) as client:
        await asyncio.gather(*(one(client) for _ in range(CONNECTIONS)))
    return found


def denied(service: Served) -> dict[str, float]:
    reasons = ("no_token", "bad_token", "revoked", "expired", "no_scope")
    return {reason: service.metric("gpdata_ingest_denied_total", reason=reason) for reason in reasons}


@pytest.mark.parametrize("count", [600, pytest.param(100_000, marks=pytest.mark.faults)])
def test_wrong_tokens(tmp_path: Path, count: int) -> None:
    chance = random.Random(SEED)
    with served(tmp_path) as service, Good(service) as good:
        before = service.peak()
        found = asyncio.run(try_all(service, (wrong_headers(service.ada, chance) for _ in range(count))))
        assert set(found) <= {"401 no_token", "401 bad_token"}, f"{found}; SEED={SEED}"
        assert found.total() == count
        counted = denied(service)
        assert {name: counted[name] for name in ("no_token", "bad_token")} == {
            name: found[f"401 {name}"] for name in ("no_token", "bad_token")
        }
        assert service.peak() < before + (64 << 20)
        good_before = len(good.acknowledged)
        until(lambda: len(good.acknowledged) > good_before)
    print(f"{found}, {len(good.acknowledged)} good uploads meanwhile; SEED={SEED}")
    assert {json_run for json_run in service.pending() if b"stolen" in json_run} == set()


def test_tokens_that_were_good_or_are_good_for_something_else(tmp_path: Path) -> None:
    with served(tmp_path) as service, Good(service):
        yesterday = Tokens(service.tokens.directory, clock=lambda: time.time() - 2 * 86_400)
        expired = yesterday.create("eve", days=1)[1]
        gone, revoked = service.tokens.create("eve")
        service.tokens.revoke(gone.id)
        reads = service.tokens.create("eve", ["read"])[1]
        writes = service.tokens.create("eve", ["write"])[1]
        assert service.post(line("ada's"), service.ada).json()["stored"] == 1
        for token, code in ((expired, "expired"), (revoked, "revoked"), (reads, "no_scope")):
            for run in ("new", "ada's"):
                assert service.post(line(run, 1), token).json()["error"] == code
        theirs = service.post(line("ada's", 1), writes)
        assert (theirs.status_code, theirs.json()["lines"][0]["code"]) == (403, "other_owner")
        with service.client(writes) as client:
            assert client.get("/v1/runs/ada's").json()["error"] == "no_scope"
        # Among good lines, too: theirs are taken, the other's not.
        mixed = service.post(line("new", 0) + b"\n" + line("ada's", 2) + b"\n" + line("new", 1), writes).json()
        assert (mixed["stored"], mixed["refused"]) == (2, 1)
        assert denied(service) == {"no_token": 0, "bad_token": 0, "revoked": 2, "expired": 2, "no_scope": 3}
        assert service.metric("gpdata_ingest_lines_total", code="other_owner") == 2
    kept = [found for found in service.pending() if b'"good"' not in found]
    assert sorted(kept) == sorted([line("ada's"), line("new", 0), line("new", 1)])


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_old_tls_and_plain_text_on_the_tls_port(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    with served(tmp_path, certificate=str(certificate), key=str(key)) as service, Good(service):
        for newest in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            old = ssl.create_default_context(cafile=certificate)
            old.set_ciphers("ALL:@SECLEVEL=0")
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, newest
            with pytest.raises(httpx.ConnectError), service.client(verify=old) as client:
                client.post(UPLOAD, content=line("stolen"))
        until(lambda: service.metric("gpdata_ingest_tls_failures_total", reason="old_tls") == 2)
        for _ in range(3):
            plain = f"http://{service.address[0]}:{service.address[1]}{UPLOAD}"
            answer = httpx.post(plain, content=line("stolen"), trust_env=False, headers={"Authorization": service.ada})
            assert answer.status_code == 400
        with socket.create_connection(service.address) as clojush:
            clojush.sendall(line("stolen") + b"\n")
            clojush.settimeout(20)
            assert clojush.recv(4096).startswith(b"HTTP/1.1 400")
        until(lambda: service.metric("gpdata_ingest_tls_failures_total", reason="plain_text") == 4)
    assert [found for found in service.pending() if b"stolen" in found] == []
