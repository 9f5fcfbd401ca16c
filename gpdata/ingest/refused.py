"""The answers to requests that are not carried out: a status, a stable code, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

LINGER = 5.0
"""Seconds for which the rest of a body is read and thrown away after an early answer, so that it arrives."""

STATUS: dict[str, int] = {
    "bad_body": 400,
    "bad_request": 400,
    "no_token": 401,
    "bad_token": 401,
    "revoked": 401,
    "expired": 401,
    "no_scope": 403,
    "not_found": 404,
    "unknown_run": 404,
    "method_not_allowed": 405,
    "too_slow": 408,
    "too_many_lines": 413,
    "too_large": 413,
    "bad_encoding": 415,
    "bad_query": 422,
    "internal_error": 500,
    "disk_full": 503,
    "write_failed": 503,
    "stopping": 503,
    "busy": 503,
    "hub_away": 503,
}
"""Every code and its status; codes are never renamed."""

_RETRY_AFTER = {"disk_full": 30, "write_failed": 30, "stopping": 5, "busy": 5, "hub_away": 5}
_BRIEF = {"revoked": 0.5, "too_slow": 0.5, "stopping": 0.5}
"""Where the connection is closed soon, whether or not the answer was read."""


class Refused(Exception):
    """Ends a request with an error.

    Parameters
    ----------
    code : str
        One of `STATUS`.
    detail : str
        What was wrong, what is valid, what to do next.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail

    @property
    def linger(self) -> float:
        """Seconds for which the rest of a body is read on."""
        return _BRIEF.get(self.code, LINGER)

    def response(self) -> Response:
        """Return the answer."""
        return error(self.code, self.detail)


def error(code: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error as JSON.

    Examples
    --------
    >>> error("busy", "come again").headers["retry-after"]
    '5'
    """
    status = STATUS[code]
    sent = dict(headers or {})
    if status == 401:
        sent["WWW-Authenticate"] = "Bearer"
    if code in _RETRY_AFTER:
        sent["Retry-After"] = str(_RETRY_AFTER[code])
    return json({"error": code, "detail": detail}, status, sent)


def json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return any value that msgspec encodes as JSON."""
    return Response(msgspec.json.encode(value), status, headers, "application/json")
