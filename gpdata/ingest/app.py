"""The HTTP protocol: who may ask what, and the answers. `gpdata.ingest.openapi` describes it."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Protocol

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from gpdata.ingest.accounts import READ, WRITE, Accounts, Denied, Identity
from gpdata.ingest.body import decoder
from gpdata.ingest.intake import Intake
from gpdata.ingest.ledger import LakeLedger
from gpdata.ingest.metrics import Metrics
from gpdata.ingest.openapi import MOST_ORIGIN, MOST_RUNS, document
from gpdata.ingest.refused import LINGER, Refused, error, json
from gpdata.ingest.upload import Gone
from gpdata.spool import Outcome
from gpdata.spool.incoming import DUPLICATE, REFUSED, STORED

_log = logging.getLogger(__name__)

_UPLOAD = "/v1/generations"
_ORIGIN = re.compile(f"[ -~]{{1,{MOST_ORIGIN}}}")
_LIMIT = re.compile(r"[0-9]{1,4}")
_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)


class Ready(Protocol):
    """Says why the service cannot do its work now."""

    def __call__(self) -> list[str]:
        """Return the reasons; none where it can."""


class Answer(msgspec.Struct):
    """What became of the lines of one upload."""

    stored: int
    duplicate: int
    refused: int
    lines: list[Outcome]


def make_app(
    intake: Intake, ledger: LakeLedger, accounts: Accounts, metrics: Metrics, ready: Ready, prefix: str = ""
) -> Callable[[Scope, Receive, Send], object]:
    """Return the ASGI application.

    Parameters
    ----------
    intake : Intake
        Takes the bodies.
    ledger : LakeLedger
        Answers what has arrived.
    accounts : Accounts
        Knows whose a token is.
    metrics : Metrics
        Counts.
    ready : callable
        Returns the reasons why the service is not ready.
    prefix : str, optional
        What a proxy leaves before the path of each request, such as ``/services/gpdata``. Who comes by it has to
        show a token for the metrics, too; without it everything is served to who reaches the port itself.

    Returns
    -------
    callable
        The application.
    """
    door = _Door(accounts, metrics)
    generations = _Generations(intake, door, metrics)
    service = _Service(ledger, door, metrics, ready, prefix)
    app = Starlette(
        routes=[
            Route(_UPLOAD, generations, methods=["POST"]),
            Route("/v1/runs", service.runs),
            Route("/v1/runs/{run_uuid:path}", service.run),
            Route("/v1/openapi.json", service.openapi),
            Route("/healthz", service.healthz),
            Route("/readyz", service.readyz),
            Route("/metrics", service.metrics_text),
        ],
        exception_handlers={
            HTTPException: _http_error,
            Refused: _refused,
            Denied: door.denied,
            Exception: _fault,
        },
    )
    app.router.redirect_slashes = False
    return _Counted(app, generations, metrics, prefix)


class _Door:
    """Lets in who has a token, before a byte of the body is read."""

    def __init__(self, accounts: Accounts, metrics: Metrics) -> None:
        self._accounts, self._metrics = accounts, metrics

    async def identify(self, authorization: str, scope: str) -> Identity:
        """Return who asks, or refuse."""
        sent = _BEARER.fullmatch(authorization)
        identity = await self._accounts.identify(sent[1] if sent else None)
        if scope not in identity.scopes:
            self._metrics.denied.labels("no_scope").inc()
            has = ", ".join(sorted(identity.scopes)) or "none"
            raise Refused("no_scope", f"this needs a token with the scope {scope}; yours has {has}: ask for another")
        return identity

    async def denied(self, request: Request, denied: Exception) -> Response:
        assert isinstance(denied, Denied)
        self._metrics.denied.labels(denied.code).inc()
        _log.info("denied %s: %s", request.client.host if request.client else "?", denied.code)
        return error(denied.code, denied.detail)


class _Generations:
    """Answers uploads: an ASGI application without a framework, which costs a small body more than its parsing."""

    def __init__(self, intake: Intake, door: _Door, metrics: Metrics) -> None:
        self._intake, self._door, self._metrics = intake, door, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            status, body = await self._take(scope, receive)
        except Refused as refused:
            await (await _refused(Request(scope), refused))(scope, receive, send)
        except Denied as denied:
            await (await self._door.denied(Request(scope), denied))(scope, receive, send)
        except Gone as gone:
            await (await _gone(Request(scope), gone))(scope, receive, send)
        except Exception as fault:
            await (await _fault(Request(scope), fault))(scope, receive, send)
            raise  # into the log, by the server
        else:
            headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    async def _take(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        headers: dict[bytes, str] = {}
        for name, value in scope["headers"]:
            text = value.decode("latin-1")
            if name in headers:
                text = f"{headers[name]}, {text}"
            headers[name] = text
        identity = await self._door.identify(headers.get(b"authorization", ""), WRITE)
        encoding = headers.get(b"content-encoding", "")
        body = decoder(encoding)
        if body is None:
            detail = f"Content-Encoding {encoding[:40]!r} is not known; valid are identity, gzip and zstd, one of them"
            raise Refused("bad_encoding", detail)
        origin = headers.get(b"x-gpdata-origin")
        if origin is not None and not _ORIGIN.fullmatch(origin):
            raise Refused("bad_request", f"X-Gpdata-Origin has 1 to {MOST_ORIGIN} printable ASCII characters")
        outcomes = await self._intake.take(receive, body, identity, origin)
        self._metrics.outcomes(outcomes)
        results = [outcome.result for outcome in outcomes]
        counts = results.count(STORED), results.count(DUPLICATE), results.count(REFUSED)
        if _log.isEnabledFor(logging.INFO):
            client = scope["client"][0] if scope.get("client") else "?"
            _log.info("upload of %s from %s: %d stored, %d duplicate, %d refused", identity.name, client, *counts)
        return _status(outcomes), msgspec.json.encode(Answer(*counts, lines=outcomes))


class _Service:
    """Answers everything else."""

    def __init__(self, ledger: LakeLedger, door: _Door, metrics: Metrics, ready: Ready, prefix: str) -> None:
        self._ledger, self._door = ledger, door
        self._metrics, self._ready = metrics, ready
        self._document = msgspec.json.encode(document(prefix))

    async def runs(self, request: Request) -> Response:
        await self._door.identify(request.headers.get("authorization", ""), READ)
        query = request.query_params
        limit = query.get("limit", "100")
        if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MOST_RUNS:
            raise Refused("bad_query", f"limit={limit[:20]!r}; valid is a whole number from 1 to {MOST_RUNS}")
        found, following = await asyncio.to_thread(
            self._ledger.runs, owner=query.get("owner"), after=query.get("after", ""), limit=int(limit)
        )
        return json({"runs": found, "next": following})

    async def run(self, request: Request) -> Response:
        await self._door.identify(request.headers.get("authorization", ""), READ)
        found = await asyncio.to_thread(self._ledger.run, request.path_params["run_uuid"])
        if found is None:
            raise Refused("unknown_run", "nothing has arrived of this run; GET /v1/runs lists those that have")
        return json(found)

    async def openapi(self, request: Request) -> Response:
        return Response(self._document, media_type="application/json")

    async def healthz(self, request: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(self, request: Request) -> Response:
        reasons = self._ready()
        return json({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def metrics_text(self, request: Request) -> Response:
        if request.scope["state"]["prefixed"]:
            await self._door.identify(request.headers.get("authorization", ""), READ)
        text = await asyncio.to_thread(self._metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4")


def _status(outcomes: list[Outcome]) -> int:
    if not outcomes or any(outcome.result != REFUSED for outcome in outcomes):
        return 200
    codes = {outcome.code for outcome in outcomes}
    return {"other_owner": 403, "too_long": 413}.get(codes.pop() or "", 422) if len(codes) == 1 else 422


async def _http_error(request: Request, exception: Exception) -> Response:
    assert isinstance(exception, HTTPException)
    if exception.status_code == 405:
        allowed = ", ".join(sorted((exception.headers or {}).get("Allow", "").split(", ")))
        detail = f"{request.method[:20]} is not possible here; valid is {allowed}"
        return error("method_not_allowed", detail, {"Allow": allowed})
    return error("not_found", "there is nothing here; /v1/openapi.json lists what is")


async def _refused(request: Request, exception: Exception) -> Response:
    assert isinstance(exception, Refused)
    request.scope["state"]["linger"] = exception.linger
    _log.info("refused %s: %s", request.client.host if request.client else "?", exception.code)
    return exception.response()


async def _gone(request: Request, exception: Exception) -> Response:
    _log.info("upload from %s broke off; nothing was kept", request.client.host if request.client else "?")
    return Response(status_code=400)  # nobody is there to read it


async def _fault(request: Request, exception: Exception) -> Response:
    return error("internal_error", "gpdata failed on this request; nothing was kept, and the service's log says why")


class _Counted:
    """Takes the prefix off the path, and counts answers by status."""

    def __init__(self, app: Starlette, generations: _Generations, metrics: Metrics, prefix: str) -> None:
        self._app, self._generations, self._metrics, self._prefix = app, generations, metrics, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.setdefault("state", {})
        state["linger"] = LINGER
        state["prefixed"] = bool(self._prefix) and scope["path"].startswith(f"{self._prefix}/")
        if state["prefixed"]:
            scope["path"] = scope["path"][len(self._prefix) :]

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.answered(message["status"])
            await send(message)

        upload = scope["type"] == "http" and scope["path"] == _UPLOAD and scope["method"] == "POST"
        await (self._generations if upload else self._app)(scope, receive, counted)
