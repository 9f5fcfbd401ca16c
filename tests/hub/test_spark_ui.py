"""Spark's web page through the hub: its owner sees it, everybody else is refused, also at the port itself."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
from pathlib import Path

import httpx
import psutil
import pytest

from gpdata.sessions.session import conf_directory
from gpdata.sessions.ui import FOLDER, Page, announce, find

pytestmark = pytest.mark.xdist_group("hub")


@pytest.fixture(scope="module")
def session(lab_hub):
    """Return the hub's two people and the home of the first, after the first started Spark in a notebook."""
    hub, ada, bob = lab_hub
    missing = ada.get("spark-ui/")
    assert missing.status_code == 404
    assert "No Spark session runs in your notebooks" in missing.text
    kernel = ada.kernel()
    said = ada.run(kernel, "import gpdata as gp; spark = gp.spark(); print(spark.range(10).count(), '| done')")
    assert "10 | done" in said
    assert "SparkMonitor" not in said  # nothing of the progress is printed where no page shows it
    return ada, bob, Path(hub.environment["HUB_STATE"]) / "homes" / "ada", kernel


def page_of(home: Path) -> Page:
    [page] = find(home / ".local" / "share" / "jupyter" / "runtime")
    return page


def test_the_owner_sees_every_page_below_the_own_address(session):
    ada, _, _, _ = session
    first = ada.get("spark-ui/", follow_redirects=True)
    assert first.status_code == 200
    assert first.url.path == "/user/ada/spark-ui/jobs/"
    assert "Spark Jobs" in first.text
    addresses = re.findall(r'(?:href|src)="(/[^"]*)"', first.text)
    assert addresses
    assert {address.split("spark-ui/")[0] for address in addresses} == {"/user/ada/"}
    for address in sorted({address for address in addresses if "/static/" in address}):
        assert ada.get(address.removeprefix("/user/ada/")).status_code == 200
    for path in ("stages/", "storage/", "environment/", "executors/", "SQL/"):
        assert ada.get(f"spark-ui/{path}").status_code == 200
    [application] = ada.get("spark-ui/api/v1/applications").json()
    executors = ada.get(f"spark-ui/api/v1/applications/{application['id']}/executors").json()
    assert [executor["id"] for executor in executors] == ["driver"]  # what the page asks for by itself
    assert "spark-ui" in ada.get("server-proxy/servers-info").text


def test_nobody_else_sees_it_through_the_hub(session):
    ada, bob, _, _ = session
    for path in ("spark-ui/", "spark-ui/environment/", "spark-ui/api/v1/applications"):
        assert httpx.get(ada.server + path, verify=ada.verify).status_code in (302, 403)
        foreign = httpx.get(ada.server + path, headers=bob.headers(), verify=bob.verify)
        assert foreign.status_code in (302, 403, 404)
        assert "Spark Jobs" not in foreign.text
        assert bob.get(path).status_code == 404  # his own server shows his own sessions


def test_the_port_itself_refuses_whoever_has_not_the_key(session):
    _, bob, home, _ = session
    page = page_of(home)
    base = f"http://127.0.0.1:{page.port}"
    for path in ("/", "/environment/", "/static/webui.js", "/api/v1/applications"):
        assert httpx.get(base + path).status_code == 403
        wrong = {"Authorization": Page(page.port, b"x" * 32).authorization}
        assert httpx.get(base + path, headers=wrong).status_code == 403
    assert httpx.get(f"{base}/jobs/", headers={"Authorization": page.authorization}).status_code == 200
    # Bob's server may reach every port of the machine; it signs nothing for this one.
    assert bob.get(f"proxy/{page.port}/jobs/").status_code == 403


def test_an_old_signature_opens_nothing(session, monkeypatch):
    page = page_of(session[2])
    monkeypatch.setattr("gpdata.sessions.ui.time.time", lambda: 1_000_000_000.0)
    old = {"Authorization": page.authorization}
    assert httpx.get(f"http://127.0.0.1:{page.port}/jobs/", headers=old).status_code == 403


def test_the_key_is_in_no_command_line_and_in_no_file_of_others(session):
    _, _, home, _ = session
    pages = (home / ".local" / "share" / "jupyter" / "runtime" / FOLDER).glob("*/page.json")  # killed kernels leave one
    said = {page.parent: json.loads(page.read_text()) for page in pages}
    [folder] = [folder for folder, page in said.items() if page["port"] == page_of(home).port]
    key = said[folder]["key"]
    assert key in (folder / "spark-defaults.conf").read_text()
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert any("SparkSubmit" in line for line in lines)
    assert not any(key in line for line in lines)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_spark_listens_to_this_machine_only(session):
    ports = psutil.net_connections(kind="tcp")
    java = {process.pid for process in psutil.process_iter(["name", "environ"]) if is_adas_spark(process, session[2])}
    listening = {
        connection.laddr.ip for connection in ports if connection.pid in java and connection.status == "LISTEN"
    }
    assert listening
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}


def is_adas_spark(process: psutil.Process, home: Path) -> bool:
    return process.info["name"] == "java" and (process.info["environ"] or {}).get("HOME") == str(home)


def test_progress_is_reported_to_the_notebook(session):
    """Settings of sparkmonitor are the session's, and its listener is connected to this kernel."""
    ada, _, _, kernel = session
    code = (
        "from sparkmonitor import kernelextension\n"
        "got = []\n"
        "kernelextension.monitor.comm = type('Comm', (), {'send': lambda self, message: got.append(message)})()\n"
        "spark.range(1000).repartition(3).count()\n"
        "import time\n"
        "end = time.monotonic() + 60\n"
        "while not any('JobEnd' in str(message) for message in got) and time.monotonic() < end: time.sleep(0.1)\n"
        "print(sorted(name for name in ('conf', 'swan_spark_conf') if name in globals()))\n"
        "print(any('sparkJobStart' in str(m) for m in got), any('JobEnd' in str(m) for m in got))"
    )
    assert ada.run(kernel, code).strip().endswith("[]\nTrue True")


def test_a_port_that_somebody_else_took_is_not_spoken_to(tmp_path, monkeypatch):
    folder = announce(tmp_path, conf_directory(), {})
    port = json.loads((folder / "page.json").read_text())["port"]
    assert find(tmp_path) == []  # no session yet
    with socket.create_server(("127.0.0.1", port)):
        assert [page.port for page in find(tmp_path)] == [port]
        monkeypatch.setattr("gpdata.sessions.ui.os.geteuid", lambda: os.getuid() + 1)
        assert find(tmp_path) == []


def test_the_directory_of_a_kernel_that_was_killed_goes(tmp_path):
    folder = announce(tmp_path, conf_directory(), {})
    dead = folder.with_name(str(2**22 + 1))  # no process has that number
    folder.rename(dead)
    assert find(tmp_path) == []
    assert not dead.exists()


def test_the_settings_of_before_hold_too(tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "spark-defaults.conf").write_text("spark.site.own yes")
    (tmp_path / "conf" / "log4j2.properties").write_text("rootLogger.level = warn")
    folder = announce(tmp_path / "runtime", tmp_path / "conf", {"spark.extraListeners": "a.Listener"})
    lines = (folder / "spark-defaults.conf").read_text().splitlines()
    assert lines[0] == "spark.site.own yes"
    assert "spark.extraListeners a.Listener" in lines
    assert (folder / "log4j2.properties").exists()
