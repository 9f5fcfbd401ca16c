"""What takes the lines of one run of a sweep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gpdata.lake import Lake
from gpdata.spool import Meta
from gpdata.sweeps.receiver import OneRun, Receiver, Sink
from gpdata.wire import Limits
from tests.support import run_lines


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """A receiver of any one run."""
    lake = Lake.create(tmp_path / "lake")
    meta = Meta("recorder")
    with lake.spool().writer(meta) as writer:
        made = Receiver(Sink(writer, meta, OneRun(None), Limits()))
        try:
            yield made
        finally:
            made.drain()


def _post(receiver: Receiver, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.post(f"{receiver.server}/v1/generations", headers=headers, content=run_lines()[0], trust_env=False)


def test_its_own_run_is_taken(receiver: Receiver) -> None:
    assert _post(receiver, receiver.token).json()["stored"] == 1


def test_another_token_is_refused(receiver: Receiver) -> None:
    answer = _post(receiver, "gpdata_sweep_another")
    assert (answer.status_code, answer.json()["error"]) == (401, "bad_token")
