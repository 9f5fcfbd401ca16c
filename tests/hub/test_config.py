"""The configuration loads as JupyterHub loads it, and its traits are as meant."""

from __future__ import annotations

import json
import os
import sys

import pytest
from jupyterhub.app import JupyterHub
from traitlets.config import Config

from hub import proxy
from hub.authenticator import LabAuthenticator
from hub.settings import ROOT


@pytest.fixture
def config(state) -> Config:
    return load()


def load() -> Config:
    app = JupyterHub()
    app.load_config_file(str(ROOT / "hub" / "jupyterhub_config.py"))
    return app.config


def test_nobody_signs_up_and_weak_passwords_are_refused(config):
    assert config.JupyterHub.authenticator_class is LabAuthenticator
    authenticator = LabAuthenticator(add_new_table=False, config=config)
    assert not authenticator.enable_signup
    assert not authenticator.open_signup
    assert authenticator.minimum_password_length == 12
    assert authenticator.allowed_failed_logins == 5
    assert authenticator.is_password_strong("correct horse battery")
    assert not authenticator.is_password_strong("short")
    assert not authenticator.is_password_strong("1qaz2wsx3edc")  # 12 characters, and in every list
    assert authenticator.is_password_strong("é" * 36)
    assert not authenticator.is_password_strong("é" * 37)


@pytest.mark.parametrize("name", ["ada", "a", "ada-l_2", "a" * 31])
def test_names_that_are_accounts(config, name):
    assert LabAuthenticator(add_new_table=False, config=config).validate_username(name)


@pytest.mark.parametrize("name", ["", "Ada", "1ada", "ada l", "../ada", "ada/..", "ada\n", "a" * 32, "-a", "ädä", "."])
def test_names_that_are_none(config, name):
    assert not LabAuthenticator(add_new_table=False, config=config).validate_username(name)


def test_secrets_and_accounts_lie_in_the_private_directory(config, state):
    assert state.stat().st_mode & 0o777 == 0o700
    assert config.JupyterHub.db_url == f"sqlite:///{state}/jupyterhub.sqlite"
    assert config.JupyterHub.cookie_secret_file == f"{state}/cookie_secret"
    assert config.ConfigurableHTTPProxy.pid_file == f"{state}/proxy.pid"


def test_only_the_proxy_is_reached_and_all_of_it_stops_together(config):
    assert config.JupyterHub.bind_url == "http://127.0.0.1:8000/"
    assert config.JupyterHub.hub_bind_url.startswith("http://127.0.0.1:")
    assert config.ConfigurableHTTPProxy.api_url.startswith("http://127.0.0.1:")
    assert config.JupyterHub.cleanup_servers
    assert config.JupyterHub.cleanup_proxy


def test_a_server_runs_the_hubs_python_and_knows_the_lake(config, monkeypatch):
    assert config.Spawner.cmd == [sys.executable, str(ROOT / "hub" / "user_server.py")]
    assert config.Spawner.environment["GPDATA_LAKE"] == str(ROOT / "example-lake")
    monkeypatch.setenv("GPDATA_LAKE", "/data/lake")
    assert load().Spawner.environment["GPDATA_LAKE"] == "/data/lake"


def test_folders_are_apart_and_below_the_private_directory(config, state):
    assert config.JupyterHub.spawner_class == "jupyterhub.spawner.SimpleLocalProcessSpawner"
    assert config.SimpleLocalProcessSpawner.home_dir_template == f"{state}/homes/{{username}}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start servers as other users; run as root to check it")
def test_root_starts_servers_as_accounts_of_the_machine(state, monkeypatch):
    monkeypatch.setenv("HUB_USERS", "system")
    config = load()
    assert config.JupyterHub.spawner_class == "jupyterhub.spawner.LocalProcessSpawner"
    assert callable(config.Spawner.pre_spawn_hook)
    assert "--allow-root" not in config.Spawner.args


def test_a_cluster_that_loads_the_folder_keeps_its_own_accounts_and_servers(state, monkeypatch):
    monkeypatch.delenv("HUB_STATE")
    config = Config()
    # As zero-to-jupyterhub does it: `c` is there, and `get_config` is another function than traitlets'.
    config.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
    for file in sorted((ROOT / "hub" / "jupyterhub_config.d").glob("*.py")):
        exec(compile(file.read_text(), str(file), "exec"), {"c": config, "__file__": str(file)})
    assert config.Spawner.default_url == "/lab"
    assert config.JupyterHub.tornado_settings["slow_spawn_timeout"] == 0
    assert "headers" in config.JupyterHub.tornado_settings
    assert set(config) == {"JupyterHub", "Spawner"}
    assert not {"authenticator_class", "spawner_class", "db_url", "bind_url"} & set(config.JupyterHub)


def test_the_proxys_lock_names_no_registry_and_pins_every_package():
    packages = json.loads(proxy.LOCK.read_text())["packages"]
    assert all("resolved" not in package for package in packages.values())
    assert all("integrity" in package for name, package in packages.items() if name)
    assert packages[""]["dependencies"] == json.loads(proxy.DECLARATION.read_text())["dependencies"]
