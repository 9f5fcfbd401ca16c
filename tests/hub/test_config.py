"""The configuration loads as JupyterHub loads it, and its traits are as meant."""

from __future__ import annotations

import json
import os
import sys

import pytest
from ipykernel.kernelspec import get_kernel_dict
from jupyterhub.app import JupyterHub
from systemdspawner import SystemdSpawner
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from hub import proxy
from hub.authenticator import LabAuthenticator
from hub.settings import ROOT
from hub.spawner import FolderSpawner, SystemUserSpawner


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
    assert config.JupyterHub.spawner_class is FolderSpawner
    assert config.FolderSpawner.home_dir_template == f"{state}/homes/{{username}}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start servers as other users; run as root to check it")
def test_root_starts_servers_as_accounts_of_the_machine(state, monkeypatch):
    monkeypatch.setenv("HUB_USERS", "system")
    monkeypatch.setattr("hub.limits.has_systemd", lambda: False)
    config = load()
    assert config.JupyterHub.spawner_class is SystemUserSpawner
    assert config.SystemUserSpawner.kept_by in ("cgroups", "processes")
    assert callable(config.Spawner.pre_spawn_hook)
    assert "--allow-root" not in config.Spawner.args


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start servers as other users; run as root to check it")
def test_systemd_keeps_the_limits_where_it_runs_the_machine(state, monkeypatch):
    monkeypatch.setenv("HUB_USERS", "system")
    monkeypatch.setenv("HUB_MEMORY", "8G")
    monkeypatch.setattr("hub.limits.has_systemd", lambda: True)
    config = load()
    assert config.JupyterHub.spawner_class == "systemd"
    assert config.Spawner.mem_limit == 8 * 2**30
    ours = config.SystemdSpawner
    assert set(ours) <= set(SystemdSpawner.class_trait_names(config=True))
    assert ours.unit_name_template == "gpdata-hub-8000-{USERNAME}"
    assert ours.unit_extra_properties["OOMPolicy"] == "continue"  # the server outlives a kernel that took too much
    assert ours.unit_extra_properties["LimitDATA"] == str(8 * 2**30 * 9 // 10)


def test_limits_reach_the_servers(state, monkeypatch):
    monkeypatch.setenv("HUB_MEMORY", "1.5G")
    monkeypatch.setenv("HUB_CPUS", "1.5")
    config = load()
    assert (config.Spawner.mem_limit, config.Spawner.cpu_limit) == (3 * 2**29, 1.5)
    monkeypatch.setenv("HUB_MEMORY", "none")
    assert load().Spawner.mem_limit is None


def listed(lazy, name):
    """Find an entry by its name in a list that several files add to."""
    return next(entry for entry in [*(lazy._extend or ()), *(lazy._prepend or ())] if entry["name"] == name)


def test_the_culler_may_see_who_is_idle_and_stop_servers_and_nothing_else(state, monkeypatch):
    monkeypatch.setenv("HUB_IDLE", "90m")
    config = load()
    assert listed(config.JupyterHub.services, "idle-culler")["command"][-2:] == ["--timeout=5400", "--cull-every=300"]
    assert "admin" not in listed(config.JupyterHub.services, "idle-culler")
    role = listed(config.JupyterHub.load_roles, "idle-culler")
    assert set(role["scopes"]) == {"list:users", "read:users:activity", "read:servers", "delete:servers"}
    assert role["services"] == ["idle-culler"]
    monkeypatch.setenv("HUB_IDLE", "never")
    with pytest.raises(StopIteration):
        listed(load().JupyterHub.services, "idle-culler")


def test_each_user_has_a_domain_where_one_is_named(state, monkeypatch):
    assert load().JupyterHub.subdomain_host == ""
    monkeypatch.setenv("HUB_DOMAIN", "https://hub.lab.org")
    assert load().JupyterHub.subdomain_host == "https://hub.lab.org"


def test_every_jupyterlab_has_what_the_hub_promises(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    file = str(ROOT / "hub" / "jupyter" / "jupyter_server_config.py")
    config = PyFileConfigLoader(file).load_config()
    assert config.KernelManager.transport_encryption == "auto"
    assert config.ServerApp.jpserver_extensions == {"gpdata.sessions.server": True}
    assert sorted(config.ServerProxy.servers) == ["spark-ui"]
    (tmp_path / "example-notebooks").mkdir()
    (tmp_path / "example-notebooks" / "explorer.ipynb").touch()
    explorer = PyFileConfigLoader(file).load_config().ServerProxy.servers["explorer"]
    assert explorer.launcher_entry.path_info == "voila/render/example-notebooks/explorer.ipynb"


def test_the_kernel_is_the_usual_one_with_the_extension():
    ours = json.loads((ROOT / "hub" / "jupyter" / "share" / "kernels" / "python3" / "kernel.json").read_text())
    usual = get_kernel_dict()
    assert ours["argv"][0] == "python"  # whichever Python the server runs
    assert [word for word in ours["argv"][1:] if not word.startswith("--ext=")] == usual["argv"][1:]
    assert {name: ours["metadata"][name] for name in usual["metadata"]} == usual["metadata"]


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
