"""Ingest as a service of the really running hub: its users' tokens, through its proxy, by every client."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

import gpdata
from gpdata.errors import InvalidInput
from gpdata.lake import Lake
from hub import ingest_service, proxy
from hub.run import as_nobody, users_can_run
from hub.settings import FOLDERS, ROOT, SYSTEM
from tests.support import free_port, line, run_lines, until, write_stream

pytestmark = pytest.mark.xdist_group("hub-services")

GOOD = "correct horse battery of {}"
ROUTE = "/services/gpdata"
PATHS = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
"""Where the children of these tests find this checkout's gpdata, whichever one is installed."""
WRITE, READ = "custom:gpdata:write", "custom:gpdata:read"


class Hub:
    """A hub of this checkout, with ada and bob."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lake, self.port, self.ingest_port = folder, folder / "lake", free_port(), free_port()
        Lake.create(self.lake)
        self.url = f"http://127.0.0.1:{self.port}"
        self.service = f"{self.url}{ROUTE}"
        self.environment = {
            **os.environ,
            "HUB_STATE": str(folder / "state"),
            "HUB_PORT": str(self.port),
            "HUB_INGEST_PORT": str(self.ingest_port),
            "HUB_USERS": FOLDERS,
            "GPDATA_LAKE": str(self.lake),
            "PYTHONPATH": PATHS,
        }
        for name in ("GPDATA_SERVER", "GPDATA_TOKEN", "GPDATA_OWNER"):
            self.environment.pop(name, None)
        add = f"from hub.add_user import add_user; [add_user(name, {GOOD!r}.format(name)) for name in ('ada', 'bob')]"
        subprocess.run([sys.executable, "-c", add], env=self.environment, check=True)
        self.log = folder / "hub.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            command = [sys.executable, ROOT / "hub" / "run.py"]
            self.process = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        until(self._ready, 90, f"the hub with its service ({self.log})")

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        time.sleep(0.2)
        try:
            return httpx.get(f"{self.service}/readyz", trust_env=False, timeout=10).status_code == 200
        except httpx.HTTPError:
            return False

    def family(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def ingest(self) -> psutil.Process:
        return next(p for p in self.family() if "ingest" in p.cmdline() and "--with-parent" in p.cmdline())

    def token(self, name: str, *scopes: str) -> tuple[str, str]:
        """Let a user make a token with these scopes, or all that the user has; return it and its id."""
        body = {"auth": {"username": name, "password": GOOD.format(name)}, "note": "test"}
        if scopes:
            body["scopes"] = list(scopes)
        answer = httpx.post(f"{self.url}/hub/api/users/{name}/tokens", json=body, trust_env=False, timeout=30)
        assert answer.status_code == 201, answer.text
        return answer.json()["token"], answer.json()["id"]

    def api(self, method: str, path: str, token: str) -> httpx.Response:
        headers = {"Authorization": f"token {token}"}
        return httpx.request(method, f"{self.url}/hub/api{path}", headers=headers, trust_env=False, timeout=60)

    def upload(self, body: object, token: str | None, **options: object) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        address = f"{options.get('address', self.service)}/v1/generations"
        return httpx.post(address, content=body, headers=headers, trust_env=False, timeout=120)

    def owners(self) -> dict[str, str | None]:
        return dict(gpdata.open(self.lake).sql("SELECT run_uuid, owner FROM runs").fetchall())

    def end(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        family = self.family()
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(60)
        finally:
            for process in family:
                if process.is_running():
                    process.kill()
            if self.process.poll() is None:
                self.process.kill()


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    try:
        proxy.install()
    except InvalidInput as error:
        pytest.skip(str(error))
    hub = Hub(tmp_path_factory.mktemp("hub"))
    try:
        hub.start()
        yield hub
    finally:
        hub.end()


@pytest.fixture(scope="module")
def ada(hub):
    return hub.token("ada", WRITE)[0]


@pytest.fixture(scope="module")
def bob(hub):
    return hub.token("bob")[0]  # all that bob may do


def gpdata_command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from gpdata.cli import main; main()", *map(str, arguments)]
    return subprocess.run(
        command, env={**os.environ, "PYTHONPATH": PATHS, **environment}, capture_output=True, text=True, timeout=60
    )


def test_every_client_uploads_under_its_users_name(hub, ada, bob, tmp_path, monkeypatch):
    # curl
    stream = write_stream(tmp_path / "lines", run_lines("by-curl"))
    command = ["curl", "-sS", "--noproxy", "*", "-H", f"Authorization: Bearer {ada}", "--data-binary", f"@{stream}"]
    sent = subprocess.run([*command, f"{hub.service}/v1/generations"], capture_output=True, text=True, check=True)
    assert '"stored":5' in sent.stdout, sent
    # Recorder
    monkeypatch.setenv("GPDATA_SERVER", hub.service)
    monkeypatch.setenv("GPDATA_TOKEN", bob)
    with gpdata.Recorder(system="mine", run_uuid="by-recorder", outbox=tmp_path / "recorder") as run:
        run.generation([{"errors": [1.0]}], outcome="success")
    assert run.account.accepted == 1
    # forward
    (tmp_path / "token").write_text(f"{ada}\n")
    port = free_port()
    arguments = ["--to", hub.service, "--token-file", tmp_path / "token", "--outbox", tmp_path / "forward"]
    command = [sys.executable, "-c", "from gpdata.cli import main; main()", "forward", *map(str, arguments)]
    with subprocess.Popen(
        [*command, "--listen", f"127.0.0.1:{port}"], env={**os.environ, "PYTHONPATH": PATHS}
    ) as forward:
        try:
            send(port, run_lines("by-forward"))
            reader = hub.token("bob", READ)[0]
            until(lambda: arrived(hub, reader).get("by-forward") == "ada", 30, "what was forwarded")
        finally:
            forward.terminate()
    assert arrived(hub, reader) == {"by-curl": "ada", "by-recorder": "bob", "by-forward": "ada"}
    until(lambda: len(hub.owners()) >= 3, 30, "the lake")
    assert hub.owners() == {"by-curl": "ada", "by-recorder": "bob", "by-forward": "ada"}


def send(port, lines):
    def sent() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(b"".join(each + b"\n" for each in lines))
        except ConnectionRefusedError:
            return False
        return True

    until(sent, 30, "the forwarder")


def arrived(hub, token):
    answer = httpx.get(f"{hub.service}/v1/runs", headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    return {run["run_uuid"]: run["owner"] for run in answer.json()["runs"]}


def test_nobody_adds_to_the_run_of_another_and_nothing_can_be_deleted(hub, ada, bob):
    assert hub.upload(line("hers", 0), ada).json()["stored"] == 1
    answer = hub.upload(line("hers", 1), bob)
    assert (answer.status_code, answer.json()["lines"][0]["code"]) == (403, "other_owner")
    headers = {"Authorization": f"Bearer {bob}"}
    for path in ("/v1/runs/hers", "/v1/generations"):
        for method in ("DELETE", "PUT", "PATCH"):
            assert httpx.request(method, f"{hub.service}{path}", headers=headers, trust_env=False).status_code == 405


def test_only_tokens_with_the_scope_get_in(hub, ada):
    for scopes in ((READ,), ("read:users:name!user",)):
        answer = hub.upload(line("no-scope"), hub.token("ada", *scopes)[0])
        assert (answer.status_code, answer.json()["error"]) == (403, "no_scope")
    for token, code in ((None, "no_token"), ("f" * 32, "bad_token")):
        answer = hub.upload(line("nobody") * 1000, token)
        assert (answer.status_code, answer.json()["error"]) == (401, code)
        assert answer.headers["www-authenticate"] == "Bearer"
    assert httpx.get(f"{hub.service}/v1/runs", headers={"Authorization": f"Bearer {ada}"}).status_code == 403
    for path in ("/v1/runs", "/metrics"):
        assert httpx.get(f"{hub.service}{path}", trust_env=False).status_code == 401
    document = httpx.get(f"{hub.service}/v1/openapi.json", trust_env=False).json()
    assert document["servers"] == [{"url": ROUTE}]


def test_a_revoked_token_is_refused_within_seconds(hub):
    everything = hub.token("ada")[0]
    token, number = hub.token("ada", WRITE)
    assert hub.upload(line("revoked", 0), token).status_code == 200
    assert hub.api("DELETE", f"/users/ada/tokens/{number}", everything).status_code == 204
    until(lambda: hub.upload(line("revoked", 0), token).status_code == 401, 15, "the refusal")
    assert hub.upload(line("revoked", 0), everything).status_code == 200


def test_refusals_pass_the_proxy_as_they_are(hub, ada):
    answer = hub.upload(b"\n" * 100_001, ada)
    assert (answer.status_code, answer.json()["error"]) == (413, "too_many_lines")
    answer = hub.upload(b"{}", ada)
    assert (answer.status_code, answer.json()["lines"][0]["result"]) == (422, "refused")
    answer = hub.upload(b"x" * (20 << 20), "f" * 32)
    assert (answer.status_code, answer.json()["error"]) == (401, "bad_token")


def test_two_hundred_megabytes_pass_the_proxy(hub, ada):
    lines = [line("large", generation, extra="x" * (20 << 20)) for generation in range(10)]
    answer = hub.upload(b"\n".join(lines), ada)
    assert (answer.status_code, answer.json()["stored"]) == (200, 10), answer.text[:500]


def test_a_users_server_uploads_under_its_users_name_without_any_set_up(hub, tmp_path, monkeypatch):
    everything = hub.token("ada")[0]
    assert hub.api("POST", "/users/ada/server", everything).status_code in (201, 202)
    until(lambda: hub.api("GET", "/users/ada", everything).json().get("server"), 120, f"the server ({hub.log})")
    environments = [p.environ() for p in hub.family() if p.environ().get("JUPYTERHUB_USER") == "ada"]
    found = environments[0]
    assert found["GPDATA_LAKE"] == str(hub.lake)
    assert found["GPDATA_SERVER"] == f"http://127.0.0.1:{hub.ingest_port}{ROUTE}"
    assert found["GPDATA_TOKEN"] == found["JUPYTERHUB_API_TOKEN"]
    for name in ("GPDATA_LAKE", "GPDATA_SERVER", "GPDATA_TOKEN", "JUPYTERHUB_USER"):
        monkeypatch.setenv(name, found[name])
    with gpdata.Recorder(system="mine", run_uuid="from-a-notebook", outbox=tmp_path / "outbox") as run:
        run.generation([{"errors": [1.0]}], outcome="success")
    until(lambda: "from-a-notebook" in hub.owners(), 30, "the run in the lake")
    mine = gpdata.open().mine
    assert "from-a-notebook" in dict(mine.sql("SELECT run_uuid, owner FROM runs").fetchall())
    assert mine.sql("SELECT DISTINCT owner FROM runs").fetchall() == [("ada",)]
    assert hub.api("DELETE", "/users/ada/server", everything).status_code in (202, 204)
    until(lambda: hub.upload(b"", found["GPDATA_TOKEN"]).status_code == 401, 30, "the end of the server's token")


@contextmanager
def external_service(hub, folder):
    """Run the service as a chart does: beside the hub, told where that is."""
    port = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": PATHS,
        "JUPYTERHUB_API_URL": f"{hub.url}/hub/api",
        "JUPYTERHUB_SERVICE_PREFIX": f"{ROUTE}/",
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}",
    }
    command = [sys.executable, "-c", "from gpdata.cli import main; main()", "ingest", "--accounts", "hub"]
    options = ["--lake", str(folder / "lake"), "--no-transform", "--keep-free", "0"]
    with subprocess.Popen([*command, *options], env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(f"listening at http://127.0.0.1:{port}{ROUTE}, ")
            yield f"http://127.0.0.1:{port}{ROUTE}"
        finally:
            process.terminate()


def test_a_killed_hub_comes_back_with_its_service_and_nothing_is_lost(hub, ada, tmp_path):
    with external_service(hub, tmp_path) as beside:
        assert hub.upload(line("beside", 0), ada, address=beside).json()["stored"] == 1
        assert hub.upload(line("before", 0), ada).json()["stored"] == 1
        ingest, other = hub.ingest(), hub.token("ada", WRITE)[0]
        hub.process.kill()
        hub.process.wait()
        until(lambda: not ingest.is_running(), 30, "the end of the service of a hub that was killed")
        answer = hub.upload(line("beside", 1), other, address=beside)
        assert (answer.status_code, answer.json()["error"]) == (503, "hub_away")
        assert answer.headers["retry-after"]
        box = tmp_path / "box"
        run = gpdata.Recorder(hub.service, system="mine", run_uuid="kept", token=ada, outbox=box, close_timeout=0.5)
        run.generation([{"errors": [1.0]}], outcome="success")
        with pytest.warns(UserWarning, match="--drain"):
            run.close()
        hub.start()
        assert hub.upload(line("beside", 1), other, address=beside).json()["stored"] == 1
    done = gpdata_command("forward", "--to", hub.service, "--outbox", box, "--drain", GPDATA_TOKEN=ada)
    assert done.returncode == 0, done.stderr
    until(lambda: hub.owners().get("kept") == "ada", 30, "what was recorded while the hub was away")
    assert hub.owners()["before"] == "ada"
    text = hub.log.read_text()
    assert ada not in text
    assert other not in text


@pytest.mark.faults  # the hub looks every 30 seconds
def test_the_hub_starts_a_service_anew_that_was_killed(hub, ada):
    before = hub.ingest()
    before.kill()
    until(lambda: hub.upload(line("anew", 0), ada).status_code == 503, 30, "the proxy's answer")
    until(lambda: hub.upload(line("anew", 0), ada).status_code == 200, 60, "the service")
    assert hub.ingest().pid != before.pid


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away; run as root to check it")


@root_only
@pytest.mark.skipif(os.environ.get("GPDATA_TEST_SYSTEM_USERS") != "1", reason="makes an account on this machine: "
                    "run as root with GPDATA_TEST_SYSTEM_USERS=1 to allow it")  # fmt: skip
def test_where_root_runs_the_hub_the_service_is_an_account_of_its_own(hub):
    if not users_can_run(sys.executable):
        pytest.skip(f"other users may not run {sys.executable}; use an environment of a Python that all may run")
    made = ingest_service.ACCOUNT not in {each.pw_name for each in pwd.getpwall()}
    with tempfile.TemporaryDirectory() as temporary:
        folder, port = Path(temporary), free_port()
        folder.chmod(0o755)
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": PATHS,
            "JUPYTERHUB_API_URL": f"{hub.url}/hub/api",
            "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}",
        }
        command = [sys.executable, "-P", ROOT / "hub" / "ingest_service.py", folder / "lake", SYSTEM]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline().startswith("listening at")
                answer = hub.upload(line(), hub.token("ada", WRITE)[0], address=f"http://127.0.0.1:{port}")
                assert answer.json()["stored"] == 1
                until(lambda: gpdata.open(folder / "lake").version, 60, "the run in the lake")
                account = pwd.getpwnam(ingest_service.ACCOUNT)
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                assert {tuple(each.uids()) for each in family} == {(account.pw_uid,) * 3}
                assert not any(os.getgrouplist(account.pw_name, account.pw_gid)[1:])
                found = [folder / "lake", *(folder / "lake").rglob("*")]
                assert {path.stat().st_uid for path in found} == {account.pw_uid}
                assert [path for path in found if path.stat().st_mode & 0o022] == []
                assert as_nobody(["cat", *map(str, (folder / "lake").rglob("*.parquet"))])
                assert not as_nobody(["touch", str(folder / "lake" / "new")])
            finally:
                process.terminate()
    if made:
        subprocess.run(["userdel", ingest_service.ACCOUNT], check=True)
