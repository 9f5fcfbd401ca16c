"""The document is valid, names what is served and nothing else, and real answers are as it says."""

from __future__ import annotations

import json
from typing import Any

import httpx
import jsonschema
import pytest

from gpdata.ingest.openapi import document
from gpdata.ingest.refused import STATUS
from gpdata.spool import Outcome
from tests.ingest.conftest import UPLOAD, Running
from tests.support import RUN, line

DOCUMENT = document()
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def check(answer: httpx.Response, path: str) -> None:
    """Hold an answer to the document."""
    served = json.loads(json.dumps(DOCUMENT))  # statuses are texts in JSON
    operation = served["paths"][path][answer.request.method.lower()]
    declared = operation["responses"][str(answer.status_code)]
    for name, header in declared.get("headers", {}).items():
        assert name in answer.headers
        value: Any = answer.headers[name]
        jsonschema.validate(int(value) if header["schema"].get("type") == "integer" else value, header["schema"])
    if answer.request.method == "HEAD":
        assert "content" not in declared
        return
    kind = answer.headers["content-type"].partition(";")[0]
    schema = declared["content"][kind]["schema"] | {"components": served["components"]}
    value = answer.json() if kind == "application/json" else answer.text
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(value)


def test_each_schema_is_one() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_the_service_serves_its_document(server: Running) -> None:
    with server.client(None) as client:
        assert client.get("/v1/openapi.json").json() == json.loads(json.dumps(DOCUMENT))


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_what_is_declared_is_served_and_nothing_else(server: Running, path: str) -> None:
    declared = {method.upper() for method in DOCUMENT["paths"][path]}
    with server.client() as client:
        for method in METHODS:
            answer = client.request(method, path.replace("{run_uuid}", RUN))
            if method in declared:
                assert answer.status_code != 405
                check(answer, path)
            else:
                assert answer.status_code == 405
                assert set(answer.headers["allow"].split(", ")) == declared


def test_an_outcome_has_the_fields_that_are_declared() -> None:
    assert set(DOCUMENT["components"]["schemas"]["Outcome"]["properties"]) == set(Outcome.__struct_fields__)


def test_every_code_has_a_status_that_some_path_declares() -> None:
    text = json.dumps(DOCUMENT["paths"])
    assert [code for code in STATUS if code != "not_found" and f'"{code}"' not in text] == []


def test_real_answers_are_as_declared(server: Running) -> None:
    reader = server.tokens.create("eve", ["read"])[1]
    bodies = (b"", line(), line(seed=1), line(), b"{}", b'{"index":1', line() + b"\n" + b"{}")
    answers = [server.post(body) for body in bodies]
    answers += [server.post(line(generation=1), server.bob), server.post(line(), None), server.post(line(), reader)]
    answers += [server.post(line(), Content_Encoding=encoding) for encoding in ("br", "gzip", "zstd")]
    answers += [server.post(line(), X_Gpdata_Origin="x" * 201)]
    assert {answer.status_code for answer in answers} == {200, 400, 401, 403, 415, 422}
    for answer in answers:
        check(answer, UPLOAD)
    with server.client() as client:
        for query in ("", "?limit=1", "?limit=x", "?after=zzz&owner=ada"):
            check(client.get(f"/v1/runs{query}"), "/v1/runs")
        for run in (RUN, "unknown", "..%2F..%2Fetc%2Fpasswd"):
            check(client.get(f"/v1/runs/{run}"), "/v1/runs/{run_uuid}")
