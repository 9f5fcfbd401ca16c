"""The description of the protocol for machines: OpenAPI 3.1, exact to the status, header and field."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from gpdata.ingest.refused import STATUS
from gpdata.schema.json_schema import RUN_UUID_CHARS
from gpdata.wire.rejection import REJECTIONS

MOST_ORIGIN = 200
"""Characters of X-Gpdata-Origin."""
MOST_RUNS = 1000
"""Runs of one answer."""

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_LINE_CODES = [*REJECTIONS, "other_owner", "conflict"]

_CODES: dict[str, tuple[str, ...]] = {
    "upload": (
        "bad_body", "bad_request", "no_token", "bad_token", "revoked", "expired", "no_scope", "too_slow",
        "too_many_lines", "too_large", "bad_encoding", "internal_error", "disk_full", "write_failed",
        "stopping", "busy", "hub_away",
    ),
    "runs": ("no_token", "bad_token", "revoked", "expired", "no_scope", "bad_query", "internal_error", "hub_away"),
    "run": (
        "no_token", "bad_token", "revoked", "expired", "no_scope", "unknown_run", "not_found", "internal_error",
        "hub_away",
    ),
}  # fmt: skip

_ABOUT = {
    400: "The request or its body cannot be read. Permanent.",
    401: "Nobody is known by this token. Get a good one, then send again.",
    403: "The token is good, but not for this.",
    404: "There is no such thing.",
    405: "The path knows other methods; they stand in Allow.",
    408: "The body came too slowly; nothing was kept. Send it again.",
    413: "The body is too large. Permanent: send less at once.",
    415: "The Content-Encoding is not known. Permanent.",
    422: "The request can be read, but not be carried out.",
    500: "A fault of gpdata; nothing was kept. Send again later.",
    503: "Not now; nothing was kept. Send again after so many seconds as Retry-After says.",
}


def document(prefix: str = "") -> dict[str, Any]:
    """Return the OpenAPI document of the service.

    Parameters
    ----------
    prefix : str, optional
        What clients put before each path, such as ``/services/gpdata``.

    Returns
    -------
    dict
        It is JSON as it stands.

    Examples
    --------
    >>> sorted(document()["paths"])[0]
    '/healthz'
    """
    paths: dict[str, dict[str, Any]] = {
        "/v1/generations": {"post": _upload()},
        "/v1/runs": {"get": _runs()},
        "/v1/runs/{run_uuid}": {"get": _run()},
        "/v1/openapi.json": {
            "get": _open("openapi", "This document.", {200: _json({"type": "object"}, "The document.")})
        },
        "/healthz": {
            "get": _open("healthz", "Whether the process answers.", {200: _plain("Yes.", {"const": "ok", **_TEXT})})
        },
        "/readyz": {
            "get": _open(
                "readyz",
                "Whether the service can do its work.",
                {200: _json(_ref("Readiness"), "Yes."), 503: _json(_ref("Readiness"), "No, for these reasons.")},
            )
        },
        "/metrics": {"get": _open("metrics", "Prometheus metrics.", {200: _plain("The metrics.", _TEXT)})},
    }
    for methods in paths.values():
        for operation in methods.values():
            operation["responses"] |= _errors(("method_not_allowed",))
        if "get" in methods:
            methods["head"] = _head(methods["get"])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "gpdata ingest",
            "version": version("gpdata"),
            "description": "Takes generations of genetic-programming runs into a lake. An answer that says "
            "`stored` or `duplicate` means: the line survives a crash.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": prefix or "/"}],
        "paths": paths,
        "components": {"schemas": _schemas(), "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _upload() -> dict[str, Any]:
    refused = (
        "No line was stored: each belongs to a run of somebody else (403), is too long (413), or is refused for "
        "what else its code says (422). Permanent."
    )
    responses = _errors(_CODES["upload"]) | {
        200: _json(_ref("Answer"), "At least one line is stored or was already, or the body had none."),
        422: _json(_ref("Answer"), refused),
    }
    for status in (403, 413):
        error = responses[status]["content"]["application/json"]["schema"]
        responses[status]["content"]["application/json"]["schema"] = {"oneOf": [error, _ref("Answer")]}
    return {
        "operationId": "upload",
        "summary": "Upload generations, one JSON object a line; answered once they are durable.",
        "description": "The same line again is a duplicate, and harmless: after an answer that was lost, send again. "
        "`gpdata schema --format json-schema` tells what a line is.",
        "security": [{"token": []}],
        "parameters": [
            _parameter(
                "Content-Encoding",
                "header",
                {"type": "string", "enum": ["identity", "gzip", "zstd"]},
                "How the body is compressed; several frames or members may follow one another.",
            ),
            _parameter(
                "X-Gpdata-Origin",
                "header",
                {"type": "string", "pattern": f"^[ -~]{{1,{MOST_ORIGIN}}}$"},
                "Where the lines come from, for people.",
            ),
        ],
        "requestBody": {
            "required": False,
            "content": {
                "application/x-ndjson": {"schema": {"type": "string", "contentMediaType": "application/x-ndjson"}}
            },
        },
        "responses": responses,
    }


def _runs() -> dict[str, Any]:
    limit = {"type": "integer", "minimum": 1, "maximum": MOST_RUNS, "default": 100}
    return {
        "operationId": "runs",
        "summary": "What has arrived, by run, in the order of the uuids.",
        "security": [{"token": []}],
        "parameters": [
            _parameter("owner", "query", _TEXT, "Only runs of this user."),
            _parameter("after", "query", _TEXT, "Only runs behind this uuid: `next` of the answer before."),
            _parameter("limit", "query", limit, "At most so many."),
        ],
        "responses": {200: _json(_ref("Runs"), "The runs.")} | _errors(_CODES["runs"]),
    }


def _run() -> dict[str, Any]:
    path = {
        "name": "run_uuid",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1, "maxLength": RUN_UUID_CHARS},
    }
    return {
        "operationId": "run",
        "summary": "What has arrived of one run.",
        "security": [{"token": []}],
        "parameters": [path],
        "responses": {200: _json(_ref("Run"), "The run.")} | _errors(_CODES["run"]),
    }


def _open(name: str, summary: str, responses: dict[int, Any]) -> dict[str, Any]:
    """Describe what needs no token and carries no data."""
    return {"operationId": name, "summary": summary, "security": [], "responses": responses}


def _head(get: dict[str, Any]) -> dict[str, Any]:
    responses = {
        status: {key: value for key, value in answer.items() if key != "content"}
        for status, answer in get["responses"].items()
    }
    return get | {"operationId": f"{get['operationId']}_head", "responses": responses}


def _errors(codes: Iterable[str]) -> dict[int, Any]:
    found: dict[int, list[str]] = {}
    for code in codes:
        found.setdefault(STATUS[code], []).append(code)
    return {status: _error(status, group) for status, group in sorted(found.items())}


def _error(status: int, codes: list[str]) -> dict[str, Any]:
    fields = {"error": {"type": "string", "enum": codes}, "detail": _TEXT}
    answer = _json(_object(fields, ["error", "detail"]), _ABOUT[status])
    headers = {
        401: {"WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}}},
        405: {"Allow": {"required": True, "schema": _TEXT}},
        503: {"Retry-After": {"required": True, "schema": {"type": "integer", "minimum": 1}}},
    }
    return answer | ({"headers": headers[status]} if status in headers else {})


def _schemas() -> dict[str, Any]:
    outcome = _object(
        {
            "line": {"type": "integer", "minimum": 1, "description": "From 1; blank lines count."},
            "result": {"type": "string", "enum": ["stored", "duplicate", "refused"]},
            "run_uuid": {"type": ["string", "null"]},
            "generation": {"type": ["integer", "null"], "minimum": 0},
            "code": {
                "enum": [*_LINE_CODES, None],
                "description": "Why it is refused; `conflict` where it is stored, and will be set aside for another "
                "line of its run and generation.",
            },
            "detail": {"type": ["string", "null"]},
        },
        ["line", "result"],
    )
    counts = dict.fromkeys(("stored", "duplicate", "refused"), _COUNT)
    run = {
        "run_uuid": _TEXT,
        "owner": {"type": ["string", "null"]},
        "generations": _COUNT | {"description": "How many have arrived."},
        "first": _COUNT,
        "last": _COUNT,
        "gaps": {
            "type": "array",
            "description": "Stretches of generations between 0 and `last` that have not arrived: first and last.",
            "items": {"type": "array", "prefixItems": [_COUNT, _COUNT], "minItems": 2, "maxItems": 2},
        },
        "in_lake": _COUNT | {"description": "How many a reader of the lake sees."},
        "waiting": _COUNT | {"description": "How many are durable, but not in the lake yet."},
        "last_received_at": {"type": ["string", "null"], "format": "date-time"},
    }
    lists = {"runs": {"type": "array", "items": _ref("Run")}, "next": {"type": ["string", "null"]}}
    reasons = {"ready": {"type": "boolean"}, "reasons": {"type": "array", "items": _TEXT}}
    return {
        "Outcome": outcome,
        "Answer": _object(
            counts | {"lines": {"type": "array", "items": _ref("Outcome")}}, ["stored", "duplicate", "refused", "lines"]
        ),
        "Run": _object(run, list(run)),
        "Runs": _object(lists, list(lists)),
        "Readiness": _object(reasons, list(reasons)),
    }


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _plain(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"text/plain": {"schema": schema}}}


def _parameter(name: str, place: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": place, "required": False, "schema": schema, "description": description}
