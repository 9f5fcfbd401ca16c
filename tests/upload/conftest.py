"""A Recorder whose lines are caught, and decoded by the wire as a lake would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from gpdata.lake import Account
from gpdata.upload import Recorder
from gpdata.wire import Decoded, Origin, decode
from tests.upload.server import Server


class Caught:
    """A transport that keeps the lines."""

    def __init__(self, *_: object, **__: object) -> None:
        self.place = Path("nowhere")
        self.account = Account()
        self.lines: list[bytes] = []

    def send(self, line: bytes, received_at: datetime) -> None:
        self.lines.append(line)

    def settle(self) -> None: ...

    def close(self) -> None: ...


class Run:
    """A run that is recorded nowhere, and what it would be in a lake."""

    def __init__(self, **options: Any) -> None:
        with patch("gpdata.upload.recorder.Embedded", Caught):
            self.recorder = Recorder("nowhere", **{"system": "s", **options})

    @property
    def lines(self) -> list[bytes]:
        return self.recorder._transport.lines  # type: ignore[attr-defined]

    @property
    def decoded(self) -> list[Decoded]:
        found = [decode(line, Origin("recorder")) for line in self.lines]
        assert all(isinstance(each, Decoded) for each in found), found
        return found  # type: ignore[return-value]

    @property
    def generations(self) -> list[dict[str, Any]]:
        return [each.generation_row.to_pylist()[0] for each in self.decoded]

    @property
    def populations(self) -> list[list[dict[str, Any]]]:
        return [each.individuals.to_pylist() for each in self.decoded]


@pytest.fixture(scope="session")
def begin() -> Callable[..., Run]:
    """Return a function that begins a run, of the options of a Recorder."""
    return Run


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a running server that keeps to the upload protocol."""
    started = Server().start()
    yield started
    started.stop()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let failed uploads be tried again soon."""
    monkeypatch.setattr("gpdata.upload.sender.FIRST_WAIT", 0.01)
    monkeypatch.setattr("gpdata.upload.sender.MOST_WAIT", 0.1)
