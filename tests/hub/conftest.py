"""An own state directory for every test of the hub."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import nbformat
import pytest

from gpdata.errors import InvalidInput
from hub import ingest_service
from hub.settings import FOLDERS, ROOT, SYSTEM

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


@pytest.fixture(scope="session")
def chromium() -> str:
    named = os.environ.get("GPDATA_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not found:
        pytest.skip("no chromium on the PATH; install one (Debian: apt install chromium) or name it in GPDATA_CHROMIUM")
    return found


@pytest.fixture
def material(example_lake):
    """Return a folder that all users of the machine may read (pytest's own are private), with lake and notebooks.

    The notebooks are without their outputs, so that what is found after the run comes from the run.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        shutil.copytree(example_lake, folder / "lake")
        shutil.copytree(ROOT / "example-notebooks", folder / "notebooks")
        for file in (folder / "notebooks").rglob("*.ipynb"):
            notebook = nbformat.read(file, as_version=4)
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    cell.outputs, cell.execution_count = [], None
            nbformat.write(notebook, file)
        yield folder


@pytest.fixture(params=[FOLDERS, SYSTEM])
def people(request):
    """Name the kind of users and two of them; remove those that became accounts of the machine."""
    if request.param == FOLDERS:
        yield FOLDERS, ["ada", "bob"]
        return
    if os.geteuid() != 0 or os.environ.get("GPDATA_TEST_SYSTEM_USERS") != "1":
        pytest.skip("makes accounts on this machine: run as root with GPDATA_TEST_SYSTEM_USERS=1 to allow it")
    names = [f"gpdata-test-{who}-{os.getpid()}" for who in ("ada", "bob")]
    there = {each.pw_name for each in pwd.getpwall()}
    yield SYSTEM, names
    for name in [*names, *({ingest_service.ACCOUNT} - there)]:
        subprocess.run(["userdel", "--remove", name], check=False, capture_output=True)
