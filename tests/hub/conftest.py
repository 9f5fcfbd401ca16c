"""An own state directory for every test of the hub."""

from __future__ import annotations

import pytest

pytest.importorskip("jupyterhub", reason="needs the extra 'hub': pip install 'gpdata[hub]', or make env")
pytest.importorskip("nativeauthenticator", reason="needs the extra 'hub': pip install 'gpdata[hub]', or make env")


@pytest.fixture
def state(tmp_path, monkeypatch):
    """Let the hub's settings of this process name a new state directory, and keep users in folders."""
    for name in ("HUB_PORT", "HUB_IP", "HUB_TLS_KEY", "HUB_TLS_CERT", "HUB_NOTEBOOKS", "GPDATA_LAKE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HUB_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HUB_USERS", "folders")
    return tmp_path / "state"
