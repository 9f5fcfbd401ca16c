"""The accounts of a JupyterHub: its users make tokens on its own page, and upload under their names.

The hub is asked whose a token is with that token itself, so the service needs no rights at the hub. It asks with httpx,
which it has anyway: JupyterHub's own client, `HubAuth`, would bring the whole hub into the service's image.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx
import msgspec

from gpdata.errors import InvalidInput
from gpdata.ingest.accounts import READ, WRITE, Denied, Identity
from gpdata.ingest.refused import Refused

SCOPES: Final = {"custom:gpdata:write": WRITE, "custom:gpdata:read": READ}
"""The hub's custom scopes, and what each lets a token do here."""

_FRESH = 5.0
"""Seconds for which the hub is not asked again: this late is a revoked token refused."""
_FORGET = 60.0
_MANY = 4_096  # tokens that are held in memory; those that were not used for a minute go when there are more
_ANSWER_WITHIN = 10.0
_TOKEN = re.compile(r"[!-~]{1,512}")

_log = logging.getLogger(__name__)


class _Model(msgspec.Struct, frozen=True):
    """What the hub says of the token that it is asked with."""

    name: str
    kind: str
    scopes: list[str]


@dataclass(slots=True)
class _Known:
    token: str
    identity: Identity
    asked: float
    used: float
    good: bool = True


class HubAccounts:
    """The users of a JupyterHub and their tokens; implements `gpdata.ingest.accounts.Accounts`.

    A token may write with the scope ``custom:gpdata:write``, and read with ``custom:gpdata:read``. A hub that does not
    answer is no reason to refuse anybody: the answer then is 503, and clients send the same lines again. An upload
    that the hub let in goes on meanwhile; nobody can revoke a token at a hub that is away.

    Parameters
    ----------
    api : str
        The address of the hub's API, such as ``http://127.0.0.1:8081/hub/api``.
    clock : callable, optional
        Seconds that only go forward.
    transport : httpx.AsyncBaseTransport, optional
        What brings requests to the hub; the network by default.

    Raises
    ------
    InvalidInput
        The address is none.

    Examples
    --------
    >>> def hub(request):
    ...     return httpx.Response(200, json={"name": "ada", "kind": "user", "scopes": ["custom:gpdata:write"]})
    >>> accounts = HubAccounts("http://127.0.0.1:8081/hub/api", transport=httpx.MockTransport(hub))
    >>> asyncio.run(accounts.identify("0123456789abcdef")).name
    'ada'
    """

    def __init__(
        self,
        api: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if not api.startswith(("http://", "https://")):
            raise InvalidInput(
                f"the hub's API is {api!r}; valid is its address, such as http://127.0.0.1:8081/hub/api "
                "(JUPYTERHUB_API_URL, which a hub sets for its services)"
            )
        self._url = f"{api.rstrip('/')}/user"
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, asyncio.Task[Identity]] = {}
        # A connection for each question: they are few, and none is left to close when the service stops.
        self._client = httpx.AsyncClient(
            timeout=_ANSWER_WITHIN,
            trust_env=False,
            limits=httpx.Limits(max_connections=16, max_keepalive_connections=0),
            transport=transport,
        )

    async def identify(self, token: str | None) -> Identity:
        """Return whose token this is; see `gpdata.ingest.accounts.Accounts`.

        Raises
        ------
        Denied
            The token is missing, or the hub does not know it (any more).
        Refused
            The hub does not answer.
        """
        if not token:
            raise Denied("no_token", "no token was sent; send the header 'Authorization: Bearer TOKEN'")
        if not _TOKEN.fullmatch(token):
            raise _unknown()
        id_ = _id(token)
        known = self._known.get(id_)
        if known is not None and known.good and self._clock() - known.asked < _FRESH:
            known.used = self._clock()
            return known.identity
        # Shielded: others may wait for the same answer when one of them goes away.
        return await asyncio.shield(self._once(id_, token))

    async def still_valid(self, identity: Identity) -> bool:
        """Say whether the hub knew an identity's token when it was last asked, at most some seconds ago.

        It does not wait for the hub: a question that is due is asked beside.
        """
        known = self._known.get(identity.token_id)
        if known is None:
            return False
        known.used = self._clock()
        if known.good and known.used - known.asked >= _FRESH:
            self._once(identity.token_id, known.token)
        return known.good

    def _once(self, id_: str, token: str) -> asyncio.Task[Identity]:
        """Ask the hub, unless somebody asks for this token already."""
        if id_ not in self._asking:
            self._asking[id_] = asyncio.get_running_loop().create_task(self._learn(id_, token))
            self._asking[id_].add_done_callback(_seen)
        return self._asking[id_]

    async def _learn(self, id_: str, token: str) -> Identity:
        try:
            asked = self._clock()
            model = await self._ask(token)
        finally:
            del self._asking[id_]
        known = self._known.get(id_)
        if model is None:
            if known is not None:
                known.good = False
                raise Denied("revoked", "the hub does not know this token any more: it was revoked, or it expired; "
                             "make a new one on the hub's token page")  # fmt: skip
            raise _unknown()
        scopes = frozenset(mine for name, mine in SCOPES.items() if name in model.scopes)
        identity = Identity(model.name, scopes, id_)
        self._forget()
        self._known[id_] = _Known(token, identity, asked, self._clock())
        return identity

    async def _ask(self, token: str) -> _Model | None:
        """Return what the hub says of a token; None where it says that it is nobody's."""
        try:
            answer = await self._client.get(self._url, headers={"Authorization": f"token {token}"})
        except httpx.HTTPError as error:
            _log.warning("the hub does not answer at %s: %s", self._url, error or type(error).__name__)
            raise _away() from None
        if answer.status_code in (401, 403):
            return None
        try:
            model = msgspec.json.decode(answer.content if answer.status_code == 200 else b"", type=_Model)
        except msgspec.DecodeError:
            _log.warning("%s answers %d, and not as a hub does; if that lasts, check JUPYTERHUB_API_URL",
                         self._url, answer.status_code)  # fmt: skip
            raise _away() from None
        return model if model.kind == "user" else None

    def _forget(self) -> None:
        if len(self._known) >= _MANY:
            since = self._clock() - _FORGET
            self._known = {id_: known for id_, known in self._known.items() if known.used >= since}


def _id(token: str) -> str:
    """Return a name of the token for logs, from which nobody finds the token."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def _unknown() -> Denied:
    return Denied("bad_token", "the hub does not know this token as a user's; make one on the hub's token page")


def _away() -> Refused:
    detail = "the hub that knows the users does not answer now; nothing was kept, send the same lines again later"
    return Refused("hub_away", detail)


def _seen(task: asyncio.Task[Identity]) -> None:
    """Take note of what a question ended with, where nobody waits for it any more; what counts is kept."""
    if not task.cancelled():
        task.exception()
