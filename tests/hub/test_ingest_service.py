"""How the hub is told of the ingest service: its configuration, its proxy's patience, and whose the lake is."""

from __future__ import annotations

import os
import pwd
import socket
import stat
import subprocess
import time

import pytest
from jupyterhub.app import JupyterHub
from traitlets.config import Config

from gpdata.errors import InvalidInput
from hub import ingest_service, proxy
from hub.settings import FOLDERS, ROOT, settings

PATIENT = """
const http = require("node:http");
const options = {requestTimeout: 300, connectionsCheckingInterval: 50};
const server = http.createServer(options, (request, response) => {
  request.on("data", () => {}).on("error", () => {}).on("end", () => response.end("whole"));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""


@pytest.mark.parametrize(
    ("path", "patient", "status"),
    [
        ("/services/gpdata/v1/generations", True, b"200"),
        ("/services/gpdata/v1/generations", False, b"408"),
        ("/services/gpdata/v1/generations-2", True, b"408"),
        ("/hub/login?next=/services/gpdata/v1/generations/", True, b"408"),
        ("/user/ada/api", True, b"408"),
    ],
)
def test_slow_uploads_are_not_cut_and_all_else_is(path, patient, status):
    node = proxy.node_and_npm()[0]
    command = [*node, *(["--require", str(proxy.PATIENCE)] if patient else []), "-e", PATIENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        try:
            port = int(server.stdout.readline())
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                connection.sendall(f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n".encode())
                try:
                    for _ in range(40):  # a second in all
                        connection.sendall(b"x")
                        time.sleep(0.025)
                except ConnectionError:
                    pass
                answer = connection.recv(100)
        finally:
            server.terminate()
    assert answer.split(b" ")[1] == status


def test_the_proxy_is_started_with_patience_for_the_services_route():
    assert proxy.command()[1:3] == ["--require", str(proxy.PATIENCE)]
    assert proxy.PATIENCE.is_file()


def load(monkeypatch, tmp_path, **environment):
    for name in ("HUB_TLS_KEY", "HUB_TLS_CERT", "HUB_PORT", "HUB_INGEST_PORT", "GPDATA_LAKE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HUB_STATE": str(tmp_path / "state"), "HUB_USERS": FOLDERS, **environment}.items():
        monkeypatch.setenv(name, value)
    app = JupyterHub()
    app.load_config_file(str(ROOT / "hub" / "jupyterhub_config.py"))
    return app.config


def listed(trait):
    """Return what a list of the configuration becomes: files only add to it."""
    return list(trait) if isinstance(trait, list) else trait.get_value([])


def routes_of(config):
    routes = config.Proxy.extra_routes.to_dict()["update"]
    return {route: address for route, address in routes.items() if route.endswith("/services/gpdata/")}


def test_the_service_listens_on_loopback_beside_the_hub(monkeypatch, tmp_path):
    config = load(monkeypatch, tmp_path, GPDATA_LAKE="/data/lake")
    (process,) = [each for each in listed(config.JupyterHub.services) if each["name"] == "gpdata"]
    assert routes_of(config) == {"/services/gpdata/": "http://127.0.0.1:8470"}
    assert process["environment"]["JUPYTERHUB_SERVICE_URL"] == "http://127.0.0.1:8470"
    assert process["command"][-3:] == [str(ROOT / "hub" / "ingest_service.py"), "/data/lake", FOLDERS]
    assert "url" not in process  # or the hub would not start while the service cannot
    assert not {"admin", "api_token"} & set(process)
    roles = {name for role in listed(config.JupyterHub.load_roles) for name in role.get("services", ())}
    assert "gpdata" not in roles
    assert config.Spawner.environment["GPDATA_SERVER"] == "http://127.0.0.1:8470/services/gpdata"
    assert routes_of(load(monkeypatch, tmp_path, HUB_INGEST_PORT="9001")) == {
        "/services/gpdata/": "http://127.0.0.1:9001"
    }


def test_the_service_is_on_the_hubs_domain_where_each_server_has_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("HUB_DOMAIN", "https://hub.example.org")
    monkeypatch.setattr("hub.settings._domain", lambda text, **_: text)  # it wants a certificate
    assert routes_of(load(monkeypatch, tmp_path)) == {"hub.example.org/services/gpdata/": "http://127.0.0.1:8470"}


def test_ports_of_two_hubs_do_not_meet_and_stay_ports():
    assert settings({"HUB_PORT": "8001"}, root=False).ingest_port == 8471
    assert settings({"HUB_PORT": "65535"}, root=False).ingest_port == 470
    with pytest.raises(InvalidInput, match="HUB_INGEST_PORT"):
        settings({"HUB_INGEST_PORT": "0"}, root=False)


def test_on_a_cluster_the_service_is_the_charts(monkeypatch):
    for name in ("HUB_STATE", "GPDATA_INGEST_URL", "GPDATA_SERVER"):
        monkeypatch.delenv(name, raising=False)
    file = ROOT / "hub" / "jupyterhub_config.d" / "services.py"
    code = compile(file.read_text(), str(file), "exec")

    def loaded() -> Config:
        config = Config()
        config.JupyterHub.services, config.JupyterHub.load_roles = [], []  # as zero-to-jupyterhub has them
        config.KubeSpawner.environment = {"GPDATA_LAKE": "/lake"}
        exec(code, {"c": config})
        return config

    assert loaded().JupyterHub.services == []
    assert {role["name"] for role in loaded().JupyterHub.load_roles} == {"user", "server"}
    monkeypatch.setenv("GPDATA_INGEST_URL", "http://ingest:8470")
    monkeypatch.setenv("GPDATA_SERVER", "https://hub.example.org/services/gpdata")
    config = loaded()
    assert config.JupyterHub.services == []
    assert config.Proxy.extra_routes.to_dict()["update"] == {"/services/gpdata/": "http://ingest:8470"}
    assert set(config.KubeSpawner.environment) == {"GPDATA_LAKE", "GPDATA_SERVER", "GPDATA_TOKEN"}


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away; run as root to check it")


@root_only
def test_a_lake_of_roots_is_given_to_the_service_and_nobody_else_writes_in_it(tmp_path):
    lake = tmp_path / "lake"
    (lake / "runs").mkdir(parents=True)
    (lake / "runs" / "file").write_text("x")
    (lake / "runs" / "file").chmod(0o666)
    (lake / "runs").chmod(0o777)
    outside = tmp_path / "outside"
    outside.write_text("x")
    (lake / "link").symlink_to(outside)
    ingest_service.give(lake, pwd.struct_passwd(("gpdata", "x", 987, 986, "", "/", "/")))
    given = [lake, lake / "runs", lake / "runs" / "file"]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in given} == {(987, 986)}
    assert [stat.S_IMODE(path.stat().st_mode) & 0o077 for path in given] == [0o055, 0o055, 0o044]
    assert outside.stat().st_uid == 0


@root_only
def test_a_lake_of_a_person_is_refused(tmp_path):
    os.chown(tmp_path, 4242, 4242)
    with pytest.raises(InvalidInput, match=r"uid 4242.*chown -R root:"):
        ingest_service.owner_of(tmp_path)
