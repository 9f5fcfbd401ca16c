"""Schemathesis holds the running service to its own OpenAPI document: right and wrong requests, made from it."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import Unsatisfiable

from gpdata.ingest.openapi import document
from tests.faults.served import Served, served
from tests.support import RUN, line

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed; it is in the extra 'dev'")


@schemathesis.serializer("application/x-ndjson")
def as_lines(context: Any, value: Any) -> bytes:
    """Return a body as it is sent: text as it is, anything else as JSON."""
    return value if isinstance(value, bytes) else (value if isinstance(value, str) else json.dumps(value)).encode()


SEED = int(os.environ.get("SEED", str(random.randrange(10**6))))


def hold(service: Served, examples: int) -> dict[str, int]:
    """Make requests for each operation, and check each answer; return how many were made of each."""
    made: dict[str, int] = {}
    described = schemathesis.openapi.from_url(f"{service.url}/v1/openapi.json")
    for found in described.get_all_operations():
        operation = found.ok()
        name = f"{operation.method.upper()} {operation.path}"
        made[name] = 0
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            try:
                made[name] += hold_one(service, operation.as_strategy(generation_mode=mode), examples)
            except (schemathesis.errors.SchemathesisError, Unsatisfiable):
                # Some operations have nothing that a negative request could break.
                if mode is schemathesis.GenerationMode.POSITIVE:
                    raise
    return made


def hold_one(service: Served, cases: Any, examples: int) -> int:
    """Make requests of one kind; return how many."""
    made = 0

    @seed(SEED)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def check(case: Any) -> None:
        nonlocal made
        made += 1
        answer = case.call(headers={"Authorization": f"Bearer {service.ada}"}, timeout=60)
        case.validate_response(answer, checks=CHECKS)

    check()
    return made


CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_headers_conformance,
    schemathesis.checks.response_schema_conformance,
]


@pytest.mark.parametrize("examples", [8, pytest.param(500, marks=pytest.mark.faults)])
def test_the_service_keeps_to_its_document(tmp_path: Path, examples: int) -> None:
    with served(tmp_path) as service:
        assert service.post(line()).json()["stored"] == 1
        made = hold(service, examples)
        assert service.metric("gpdata_ingest_requests_total", status="500") == 0
        with service.client() as client:
            assert client.get(f"/v1/runs/{RUN}").json()["generations"] == 1
    print(f"{sum(made.values())} requests: {made}; SEED={SEED}")
    operations = {f"{method.upper()} {path}" for path, known in document()["paths"].items() for method in known}
    assert set(made) >= operations - {"GET /v1/openapi.json"}  # that one is how the document is read
    assert all(made.values())
