"""An own state directory for every test of the hub."""

from __future__ import annotations

import os
import shutil

import pytest

from gpdata.errors import InvalidInput

pytest.importorskip("jupyterhub", reason="needs the extra 'hub': pip install 'gpdata[hub]', or make env")
pytest.importorskip("nativeauthenticator", reason="needs the extra 'hub': pip install 'gpdata[hub]', or make env")


@pytest.fixture
def state(tmp_path, monkeypatch):
    """Let the hub's settings of this process name a new state directory, and keep users in folders."""
    for name in [name for name in os.environ if name.startswith("HUB_")] + ["GPDATA_LAKE"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HUB_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HUB_USERS", "folders")
    return tmp_path / "state"


@pytest.fixture(scope="session")
def installed_proxy() -> None:
    """Have the hub's proxy, or skip where npm cannot bring it."""
    from hub import proxy

    try:
        proxy.install()
    except InvalidInput as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def lab_hub(installed_proxy, tmp_path_factory):
    """Return a hub that runs with TLS, and the two who signed in: Ada with a server, Bob with one of his own."""
    from gpdata.lake import Lake
    from tests.hub.live import certificate, live_hub

    if shutil.which("openssl") is None:
        pytest.skip("makes a certificate: install openssl (Debian: apt install openssl)")
    folder = tmp_path_factory.mktemp("hub")
    Lake.create(folder / "lake")
    with live_hub(folder / "state", folder / "lake", HUB_MEMORY="4G", **certificate(folder)) as hub:
        people = []
        for name in ("ada", "bob"):
            hub.add(name)
            people.append(hub.sign_in(name))
        for person in people:
            person.start()
        yield hub, *people
