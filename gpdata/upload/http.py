"""The client's side of `POST /v1/generations`: a spool file as it lies on the disk, and what the server says of it."""

from __future__ import annotations

import ipaddress
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec

from gpdata.errors import GpdataError, InvalidInput
from gpdata.spool import Outcome

CONNECT_WITHIN: Final = 10.0
ANSWER_WITHIN: Final = 120.0
"""Seconds for an answer, and for each piece of a body to be taken."""
REFUSED_TOKEN: Final = frozenset({"no_token", "bad_token", "revoked", "expired", "no_scope"})
"""Codes of a server that wants another token."""

_MOST_ANSWER_BYTES = 64 << 20
_MOST_WAIT = 600.0
_KEEP_ALIVE = 4.0  # less than any server's, so that no request goes to a connection that is being closed
_PORTS = {"https": 443, "http": 80}


class Retry(GpdataError, ConnectionError):
    """A request that was not answered for good: the same bytes can be sent again later.

    Parameters
    ----------
    reason : str
        What happened, for people.
    code : str, optional
        The server's code; empty where none was read.
    after : float, optional
        Seconds after which the server wants to be asked again.

    Examples
    --------
    >>> Retry("the disk is full", code="disk_full", after=5.0).after
    5.0
    """

    def __init__(self, reason: str, *, code: str = "", after: float = 0.0) -> None:
        super().__init__(reason)
        self.code = code
        self.after = after


class Permanent(GpdataError, ValueError):
    """A request whose body this server will never take.

    Parameters
    ----------
    code, detail : str
        The server's stable reason, and what was wrong in words.

    Examples
    --------
    >>> str(Permanent("bad_body", "the third frame is broken"))
    'bad_body: the third frame is broken'
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Answer(msgspec.Struct, frozen=True):
    """What became of each line of a request."""

    lines: list[Outcome]
    stored: int = 0
    duplicate: int = 0
    refused: int = 0


class _Problem(msgspec.Struct, frozen=True):
    error: str
    detail: str


class Client:
    """Uploads to one ingest service; threads may share it.

    Parameters
    ----------
    address : str
        The service's address, as `server_address` takes it.
    token : callable
        Gives the token that is good now; asked before each request.
    ca : Path, optional
        Certificates of a private authority, in PEM; the well-known authorities where it is left out.
    answer_within : float, optional
        Seconds for an answer.

    Raises
    ------
    InvalidInput
        The address or the certificates cannot be used.

    Examples
    --------
    >>> Client("https://ingest.lab.org/", lambda: "gpdata_1_2").address
    'https://ingest.lab.org'
    """

    def __init__(
        self,
        address: str,
        token: Callable[[], str],
        *,
        ca: Path | None = None,
        answer_within: float = ANSWER_WITHIN,
    ) -> None:
        self.address = server_address(address)
        self._token = token
        self._refused: str | None = None
        self._answer_within = answer_within
        self._http = httpx.Client(
            verify=_certificates(self.address, ca),
            # The token crosses http:// only inside this machine: it must not be shown to a proxy.
            trust_env=self.address.startswith("https:"),
            follow_redirects=False,  # a token must not wander
            timeout=httpx.Timeout(answer_within, connect=CONNECT_WITHIN),
            limits=httpx.Limits(max_connections=8, max_keepalive_connections=4, keepalive_expiry=_KEEP_ALIVE),
        )

    def post(self, body: bytes | BinaryIO, *, origin: str = "") -> Answer:
        """Upload zstd frames of lines.

        Parameters
        ----------
        body : bytes or open file
            The frames; a file is streamed, and none of it is held.
        origin : str, optional
            Where the lines came from, for people.

        Returns
        -------
        Answer
            What became of each line, refused ones included.

        Raises
        ------
        Retry
            Nobody answered, or asked for the same again later.
        Permanent
            The server will never take this body.
        """
        token = self._token()
        headers = {"Authorization": f"Bearer {token}", "Content-Encoding": "zstd"}
        if origin:
            headers["X-Gpdata-Origin"] = "".join(c if " " <= c <= "~" else "?" for c in origin)[:200].strip()
        try:
            with self._http.stream("POST", f"{self.address}/v1/generations", content=body, headers=headers) as response:
                data = self._read(response)
        except httpx.HTTPError as error:
            raise Retry(self._unreachable(error)) from None
        try:
            answer = _understand(response, data)
        except Retry as retry:
            self._refused = token if retry.code in REFUSED_TOKEN else None
            raise
        self._refused = None
        return answer

    def has_new_token(self) -> bool:
        """Say whether the server refused a token, and there is another one now."""
        return self._refused is not None and self._token() != self._refused

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _read(self, response: httpx.Response) -> bytes:
        """Read the answer, in bounded time and memory."""
        deadline = time.monotonic() + self._answer_within
        data = bytearray()
        for piece in response.iter_bytes():
            data += piece
            if len(data) > _MOST_ANSWER_BYTES or time.monotonic() > deadline:
                raise httpx.ReadError(f"the answer did not end after {len(data):,} bytes")
        return bytes(data)

    def _unreachable(self, error: httpx.HTTPError) -> str:
        what = str(error) or type(error).__name__
        if isinstance(error, httpx.ConnectTimeout):
            what = f"no connection within {CONNECT_WITHIN:.0f} s"
        elif isinstance(error, httpx.TimeoutException):
            what = f"no answer within {self._answer_within:.0f} s"
        elif "CERTIFICATE_VERIFY_FAILED" in what:
            what += "; where the server has a certificate of the lab's own authority, name that authority's file (--ca)"
        return f"{self.address} does not answer ({what})"


def server_address(given: str) -> str:
    """Return the address of an ingest service in its one spelling.

    Parameters
    ----------
    given : str
        `https://HOST[:PORT][/PATH]`; `http://` to this machine only.

    Returns
    -------
    str
        Scheme and host in lower case, without the usual port and the last slash.

    Raises
    ------
    InvalidInput
        It is no such address.

    Examples
    --------
    >>> server_address("HTTPS://Ingest.Lab.org:443/"), server_address("http://localhost:8470")
    ('https://ingest.lab.org', 'http://localhost:8470')
    """
    try:
        parts = urlsplit(given.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise InvalidInput(f"the server {given!r} is no address ({error}); valid is https://HOST[:PORT]") from None
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(
            "the server's address holds a user or a password; valid is https://HOST[:PORT]: "
            "who uploads is told by the token (GPDATA_TOKEN)"
        )
    if parts.scheme not in _PORTS or not host or parts.query or parts.fragment:
        raise InvalidInput(f"the server {given!r} is no address that can be uploaded to; valid is https://HOST[:PORT]")
    if parts.scheme == "http" and not is_loopback(host):
        raise InvalidInput(
            f"the server {given!r} would be sent the token and the data readable for all on the way; "
            f"valid is https://{host}, and http:// to this machine only (http://localhost:PORT)"
        )
    netloc = f"[{host}]" if ":" in host else host
    if port not in (None, _PORTS[parts.scheme]):
        netloc += f":{port}"
    return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", ""))


def is_loopback(host: str) -> bool:
    """Say whether a host name or address is this machine's loopback.

    Examples
    --------
    >>> is_loopback("localhost"), is_loopback("127.0.0.2"), is_loopback("::1"), is_loopback("127.example.org")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def checked_token(token: str | None, where: str) -> str:
    """Return a token that can stand in a header; the message about another one does not show it.

    Parameters
    ----------
    token : str or None
        What was given.
    where : str
        Where it was given, for the message.

    Returns
    -------
    str
        The token, without white space around it.

    Raises
    ------
    InvalidInput
        There is none, or it can be none.

    Examples
    --------
    >>> checked_token(" gpdata_1_2 ", "GPDATA_TOKEN")
    'gpdata_1_2'
    """
    found = (token or "").strip()
    if not found:
        raise InvalidInput(
            f"there is no token in {where}; the server's admin makes one with 'gpdata token create YOU', "
            "and you set it as GPDATA_TOKEN"
        )
    if not (found.isascii() and found.isprintable() and " " not in found):
        raise InvalidInput(
            f"what {where} holds is no token; valid is one word as 'gpdata token create' printed it, and nothing else"
        )
    return found


def _certificates(address: str, ca: Path | None) -> ssl.SSLContext | bool:
    """Return what tells whose certificates are good: always somebody's, nobody's where there is no TLS."""
    try:
        if ca is not None:
            return ssl.create_default_context(cafile=str(ca))
    except OSError as error:  # an ssl.SSLError is one, too
        raise InvalidInput(
            f"the certificates of {str(ca)!r} cannot be read ({error.strerror or error}); "
            "valid is a file of certificates in PEM"
        ) from None
    return True if address.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _understand(response: httpx.Response, data: bytes) -> Answer:
    status = response.status_code
    if status in (200, 403, 413, 422):
        try:
            return msgspec.json.decode(data, type=Answer)
        except msgspec.DecodeError:
            pass
    try:
        problem = msgspec.json.decode(data, type=_Problem)
    except msgspec.DecodeError:
        # Whatever that is, it has not judged the lines: they stay, until gpdata's own service answers.
        raise Retry(_stranger(response), after=_after(response)) from None
    if status in (400, 413, 415):
        raise Permanent(problem.error, problem.detail)
    raise Retry(f"the server answers {status} {problem.error}: {problem.detail}", code=problem.error,
                after=_after(response))  # fmt: skip


def _stranger(response: httpx.Response) -> str:
    status, host = response.status_code, response.request.url.host
    if response.has_redirect_location:
        return f"{host} sends elsewhere ({status} to {response.headers['location'][:200]}); name the address it is at"
    if status == 413:
        return f"{host} answers 413, but not as gpdata ingest does; a proxy before it may limit the size of a body"
    if status >= 500:
        return f"{host} answers {status}, but not as gpdata ingest does; a proxy may be up and the service down"
    return f"{host} answers {status}, but not as gpdata ingest does; check the address"


def _after(response: httpx.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return min(float(text), _MOST_WAIT) if text.isascii() and text.isdigit() else 0.0
