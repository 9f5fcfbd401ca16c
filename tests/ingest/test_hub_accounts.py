"""The users of a hub as accounts: whose a token is, what it may do, and what happens while the hub is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gpdata.errors import InvalidInput
from gpdata.ingest.accounts import READ, WRITE, Denied, Identity
from gpdata.ingest.hub_accounts import HubAccounts
from gpdata.ingest.options import Options
from gpdata.ingest.refused import Refused
from gpdata.ingest.service import Service
from tests.ingest.conftest import UPLOAD, Running
from tests.ingest.waiting import until
from tests.support import RUN, line

API = "http://127.0.0.1:8081/hub/api"
GOOD, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2


class Hub:
    """What answers as a hub does; `away` and `answers` can be changed meanwhile."""

    def __init__(self) -> None:
        self.models: dict[str, dict[str, Any]] = {GOOD: model()}
        self.asked: list[str] = []
        self.answer: Callable[[], httpx.Response] | None = None
        self.away = False
        self.gate: asyncio.Event | None = None
        self.now = 0.0

    def accounts(self) -> HubAccounts:
        return HubAccounts(API, clock=lambda: self.now, transport=httpx.MockTransport(self._handle))

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url) == f"{API}/user"
        kind, token = request.headers["authorization"].split()
        assert kind == "token"
        self.asked.append(token)
        if self.gate is not None:
            await self.gate.wait()
        if self.away:
            raise httpx.ConnectError("refused")
        if self.answer is not None:
            return self.answer()
        return httpx.Response(200, json=self.models[token]) if token in self.models else httpx.Response(403)


def model(name: str = "ada", scopes: tuple[str, ...] = ("custom:gpdata:write",), **other: Any) -> dict[str, Any]:
    return {"name": name, "kind": "user", "scopes": list(scopes), "admin": False, "token_id": "a1"} | other


@pytest.fixture
def hub() -> Hub:
    return Hub()


async def denied(accounts: HubAccounts, token: str | None) -> str:
    with pytest.raises(Denied) as caught:
        await accounts.identify(token)
    assert not token or token not in caught.value.detail
    return caught.value.code


@pytest.mark.parametrize(
    ("scopes", "mine"),
    [
        ((), set()),
        (("custom:gpdata:write",), {WRITE}),
        (("custom:gpdata:read",), {READ}),
        (("custom:gpdata:read", "custom:gpdata:write", "access:servers"), {READ, WRITE}),
        (("custom:gpdata:writer", "gpdata:write", "write", "admin:users"), set()),
    ],
)
def test_scopes_of_the_hub_are_scopes_here(hub: Hub, scopes: tuple[str, ...], mine: set[str]) -> None:
    hub.models[GOOD] = model("bob", scopes)
    found = asyncio.run(hub.accounts().identify(GOOD))
    assert (found.name, found.scopes) == ("bob", mine)
    assert GOOD not in repr(found)


def test_who_is_no_user_of_the_hub_is_denied(hub: Hub) -> None:
    hub.models[OTHER] = model(kind="service")

    async def ask() -> None:
        accounts = hub.accounts()
        assert await denied(accounts, None) == await denied(accounts, "") == "no_token"
        assert await denied(accounts, "f" * 32) == "bad_token"
        assert await denied(accounts, OTHER) == "bad_token"
        before = len(hub.asked)
        for impossible in ("x" * 513, "mit ä", "two words", "a\nb"):
            assert await denied(accounts, impossible) == "bad_token"
        assert len(hub.asked) == before

    asyncio.run(ask())


def test_the_hub_is_asked_once_in_five_seconds_and_revocation_is_seen_then(hub: Hub) -> None:
    async def ask() -> None:
        accounts = hub.accounts()
        first = await accounts.identify(GOOD)
        del hub.models[GOOD]
        hub.now = 4.9
        assert await accounts.identify(GOOD) == first
        assert await accounts.still_valid(first)
        assert len(hub.asked) == 1
        hub.now = 5.0
        assert await denied(accounts, GOOD) == "revoked"
        assert not await accounts.still_valid(first)
        hub.models[GOOD] = model()
        assert (await accounts.identify(GOOD)).name == "ada"

    asyncio.run(ask())


def test_an_upload_under_way_learns_of_revocation_without_waiting_for_the_hub(hub: Hub) -> None:
    async def ask() -> None:
        accounts = hub.accounts()
        ada = await accounts.identify(GOOD)
        del hub.models[GOOD]
        hub.now, hub.gate = 5.0, asyncio.Event()
        assert await accounts.still_valid(ada)
        assert await accounts.still_valid(ada)
        hub.gate.set()
        async with asyncio.timeout(5):
            while await accounts.still_valid(ada):
                await asyncio.sleep(0)
        assert len(hub.asked) == 2

    asyncio.run(ask())


def test_an_identity_that_was_not_given_out_here_is_not_valid(hub: Hub) -> None:
    assert not asyncio.run(hub.accounts().still_valid(Identity("ada", frozenset({WRITE}), "0" * 16)))


def test_many_who_come_at_once_ask_once_and_one_who_leaves_disturbs_nobody(hub: Hub) -> None:
    async def ask() -> None:
        accounts, hub.gate = hub.accounts(), asyncio.Event()
        waiting = [asyncio.create_task(accounts.identify(GOOD)) for _ in range(5)]
        while not hub.asked:
            await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        hub.gate.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert {who.name for who in found[1:] if isinstance(who, Identity)} == {"ada"}
        assert len(hub.asked) == 1

    asyncio.run(ask())


@pytest.mark.parametrize("status", [200, 302, 404, 429, 500, 502, 503])
def test_what_is_no_hub_refuses_nobody(hub: Hub, status: int) -> None:
    hub.answer = lambda: httpx.Response(status, text="<html>", headers={"location": "https://elsewhere"})
    with pytest.raises(Refused) as caught:
        asyncio.run(hub.accounts().identify(GOOD))
    assert (caught.value.code, caught.value.response().status_code) == ("hub_away", 503)
    assert int(caught.value.response().headers["retry-after"]) >= 1


def test_a_hub_that_is_away_stops_no_upload_and_lets_nobody_in(hub: Hub) -> None:
    async def ask() -> None:
        accounts = hub.accounts()
        ada = await accounts.identify(GOOD)
        hub.away, hub.now = True, 60.0
        for _ in range(3):
            assert await accounts.still_valid(ada)
            await asyncio.sleep(0.01)
        with pytest.raises(Refused):
            await accounts.identify(GOOD)
        with pytest.raises(Refused):
            await accounts.identify(OTHER)
        hub.away = False
        assert (await accounts.identify(GOOD)).name == "ada"

    asyncio.run(ask())


def test_tokens_that_nobody_uses_are_forgotten_where_there_are_many(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpdata.ingest.hub_accounts._MANY", 2)
    hub.models |= {str(n) * 8: model() for n in range(4)}

    async def ask() -> None:
        accounts = hub.accounts()
        first, second, _ = [await accounts.identify(str(n) * 8) for n in range(3)]
        hub.now = 61.0
        assert await accounts.still_valid(second)
        await accounts.identify("3" * 8)
        assert await accounts.still_valid(second)
        assert not await accounts.still_valid(first)

    asyncio.run(ask())


@pytest.mark.parametrize("api", ["", "hub:8081", "file:///etc/passwd"])
def test_an_address_that_is_none_is_refused(api: str) -> None:
    with pytest.raises(InvalidInput, match="JUPYTERHUB_API_URL"):
        HubAccounts(api)


@pytest.fixture
def served(hub: Hub, tmp_path: Path) -> Any:
    options = Options(lake=tmp_path / "lake", port=0, keep_free=0, transform=False, prefix="/services/gpdata")
    running = Running(Service(options, accounts=hub.accounts()))
    yield running
    running.stop()


def test_the_service_under_its_prefix(hub: Hub, served: Running) -> None:
    hub.models |= {OTHER: model("eve", ("custom:gpdata:read",))}
    with served.client(GOOD) as ada, served.client(OTHER) as eve, served.client(None) as nobody:
        assert ada.post(f"/services/gpdata{UPLOAD}", content=line()).json()["stored"] == 1
        assert ada.post(UPLOAD, content=line()).json()["duplicate"] == 1
        assert eve.post(f"/services/gpdata{UPLOAD}", content=line()).json()["error"] == "no_scope"
        assert eve.get(f"/services/gpdata/v1/runs/{RUN}").json()["owner"] == "ada"
        assert ada.get(f"/services/gpdata/v1/runs/{RUN}").status_code == 403
        for path in ("/healthz", "/readyz"):
            assert nobody.get(path).status_code == nobody.get(f"/services/gpdata{path}").status_code == 200
        document = nobody.get("/services/gpdata/v1/openapi.json").json()
        assert document["servers"] == [{"url": "/services/gpdata"}]
        assert nobody.get("/metrics").status_code == 200
        assert nobody.get("/services/gpdata/metrics").status_code == 401
        assert "gpdata_ingest_requests_total" in eve.get("/services/gpdata/metrics").text
        for path in ("/services/gpdata", "/services/gpdata-2/healthz", "/services/gpdata/services/gpdata/healthz"):
            assert nobody.get(path).status_code == 404


def test_the_service_while_the_hub_is_away(hub: Hub, served: Running) -> None:
    hub.away = True
    answer = served.post(line(), GOOD)
    assert (answer.status_code, answer.json()["error"]) == (503, "hub_away")
    assert answer.headers["retry-after"]
    assert served.pending() == []
    hub.away = False
    assert served.post(line(), GOOD).json()["stored"] == 1


def test_an_upload_ends_when_its_token_is_revoked(hub: Hub, served: Running) -> None:
    def body() -> Any:
        yield line()[:100]
        until(lambda: served.metric("gpdata_ingest_uploads_under_way") == 1)
        del hub.models[GOOD]
        hub.now += 5
        while True:
            yield b" " * 1000

    with served.client(GOOD) as client:
        answer = client.post(UPLOAD, content=body())
    assert (answer.status_code, answer.json()["error"]) == (401, "revoked")
    assert served.pending() == []
