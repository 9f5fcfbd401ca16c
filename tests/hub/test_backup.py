"""The hub's backup: made during uploads, brought back after all was lost."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading

import httpx
import pytest
from jupyterhub import orm

import gpdata
from gpdata.errors import InvalidInput
from gpdata.lake import Lake
from hub.add_user import add_user
from hub.backup import back_up_state
from hub.restore import advice, forget_servers, restore_state
from hub.settings import ROOT, SYSTEM, settings
from tests.support import line, until

pytestmark = pytest.mark.xdist_group("hub-backup")


def run(script, *arguments, environment):
    command = [sys.executable, ROOT / "hub" / script, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def upload(hub, token, lines):
    return httpx.post(
        f"{hub.url}services/gpdata/v1/generations",
        content=b"\n".join(lines),
        headers={"Authorization": f"Bearer {token}"},
        timeout=120,
    )


def is_answered(hub, token):
    try:
        return upload(hub, token, []).status_code in (200, 422)
    except httpx.TransportError:
        return False


@pytest.mark.faults
def test_after_the_loss_of_everything_users_data_and_tokens_are_back(installed_proxy, tmp_path):
    from tests.hub.live import live_hub

    state, lake, backups = tmp_path / "state", tmp_path / "lake", tmp_path / "backups"
    Lake.create(lake)
    stored, stop = [], threading.Event()
    with live_hub(state, lake) as hub:
        hub.add("ada")
        ada = hub.sign_in("ada")
        ada.start()
        until(lambda: is_answered(hub, ada.token), 60, "the ingest service")

        def work() -> None:
            for generation in range(10**6):
                if stop.is_set():
                    return
                answer = upload(hub, ada.token, [line("long", generation)])
                if answer.status_code == 200 and answer.json()["stored"] == 1:
                    stored.append(generation)

        uploads = threading.Thread(target=work)
        uploads.start()
        try:
            until(lambda: len(stored) > 5, 60, "uploads")
            promised = list(stored)
            made = run("backup.py", backups, environment=hub.environment)
        finally:
            stop.set()
            uploads.join()
    assert made.returncode == 0, made.stderr
    (backup,) = (path for path in backups.iterdir() if path.is_dir())
    for path in [backups, *(backup / "hub").rglob("*"), backup / "hub", backup / "hub.json"]:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    shutil.rmtree(state)
    shutil.rmtree(lake)

    back = run("restore.py", backups, environment=hub.environment)
    assert back.returncode == 0, back.stderr
    assert state.stat().st_mode & 0o777 == 0o700
    with live_hub(state, lake) as hub:
        assert hub.sign_in("ada").token  # the old password
        until(lambda: is_answered(hub, ada.token), 60, "the ingest service")  # the old token
        until(
            lambda: (
                {row[0] for row in gpdata.open(lake).sql("SELECT generation FROM generations").fetchall()}
                >= set(promised)
            ),
            60,
            "all that was acknowledged",
        )
        again = upload(hub, ada.token, [line("long", promised[0]), line("new", 0)])
        assert {each["result"] for each in again.json()["lines"]} == {"duplicate", "stored"}
        model = httpx.get(
            f"{hub.url}hub/api/users/ada", headers={"Authorization": f"token {ada.token}"}, timeout=60
        ).json()
        assert model["servers"] == {}  # the number of its process may be another one's by now
    refused = run("restore.py", backups, environment=hub.environment)
    assert refused.returncode == 1
    assert "is there already" in refused.stderr


@pytest.fixture
def accounts(state):
    """Return a state directory with ada, whose server the hub believes to run."""
    add_user("ada", "correct horse battery")
    session = orm.new_session_factory(settings().db_url)()
    user = orm.User.find(session, "ada")
    session.add(orm.OAuthClient(identifier="jupyterhub"))  # the running hub's
    token = user.new_api_token(note="Server at /user/ada/")
    kept = user.new_api_token(note="ada's laptop")
    server = orm.Server(ip="127.0.0.1", port=4242)
    session.add(orm.Spawner(user=user, name="", server=server, state={"pid": os.getpid(), "api_token": token}))
    session.commit()
    session.close()
    return state, token, kept


def test_what_ran_on_the_old_machine_is_forgotten_with_its_token(accounts, tmp_path):
    state, token, kept = accounts
    (state / "proxy.pid").write_text("1")
    (state / "cookie_secret").write_text("secret")
    (state / "homes").mkdir()
    back_up_state(state, tmp_path / "backup")
    assert sorted(path.name for path in (tmp_path / "backup").iterdir()) == ["cookie_secret", "jupyterhub.sqlite"]
    restore_state(tmp_path / "backup", tmp_path / "restored")
    session = orm.new_session_factory(f"sqlite:///{tmp_path / 'restored' / 'jupyterhub.sqlite'}")()
    (spawner,) = session.query(orm.Spawner)
    assert (spawner.server, spawner.state) == (None, {})
    assert orm.APIToken.find(session, token) is None
    assert orm.APIToken.find(session, kept).user.name == "ada"
    session.close()
    assert forget_servers(tmp_path / "restored" / "jupyterhub.sqlite") == 0
    with pytest.raises(InvalidInput, match="is there already"):
        restore_state(tmp_path / "backup", tmp_path / "restored")


def test_a_database_is_copied_while_it_is_written(accounts, tmp_path):
    state, _, _ = accounts
    writer = sqlite3.connect(state / "jupyterhub.sqlite")
    writer.execute("UPDATE users SET admin = 1")  # not committed
    back_up_state(state, tmp_path / "backup")
    writer.rollback()
    writer.close()
    copy = sqlite3.connect(tmp_path / "backup" / "jupyterhub.sqlite")
    assert copy.execute("SELECT name, admin FROM users").fetchall() == [("ada", 0)]
    copy.close()


def test_a_directory_without_a_hub_is_told(tmp_path):
    with pytest.raises(InvalidInput, match="there is no hub in"):
        back_up_state(tmp_path, tmp_path / "backup")
    with pytest.raises(InvalidInput, match="has no hub's state"):
        restore_state(tmp_path / "hub", tmp_path / "state")


def test_the_numbers_of_accounts_that_homes_belong_to_are_told(tmp_path):
    here = settings({"HUB_STATE": str(tmp_path)}, root=True)
    assert here.users == SYSTEM
    said = advice(json.loads('{"accounts": {"nobody": 1, "never-here": 1234}}'), here)
    assert said[0].startswith("useradd --uid 1234 ")
    assert "was uid 1 and is 65534 here" in said[1]
