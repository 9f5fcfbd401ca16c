"""The shell: lazy commands, messages instead of tracebacks, exit statuses, and `gpdata schema`."""

from __future__ import annotations

import errno
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner, Result

import gpdata.config
from gpdata.cli import COMMANDS, Lazy, LazyGroup, main
from gpdata.errors import InvalidInput, LakeBusy, NotALake
from gpdata.schema import TABLES, arrow_schema
from gpdata.schema.markdown import page, section
from gpdata.schema.spark import spark_json

HEAVY = {
    "duckdb",
    "matplotlib",
    "pyspark",
    "pandas",
    "deltalake",
    "polars",
    "ipywidgets",
    "starlette",
    "seaborn",
}

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a lazy command which does what it is told."""
    monkeypatch.delenv("GPDATA_TRACEBACK", raising=False)

    def run(action: Callable[[], object]) -> Result:
        module = ModuleType("command_of_a_test")
        module.act = click.Command("act", callback=lambda: action())  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        group = LazyGroup("gpdata", lazy={"act": Lazy(f"{module.__name__}:act", "Act.")})
        return CliRunner().invoke(group, ["act"])

    return run


def throw(error: BaseException) -> Callable[[], object]:
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize("error", [InvalidInput("bad"), NotALake("no lake"), LakeBusy("busy")])
def test_an_error_of_gpdata_is_its_message_and_status_2(run: Run, error: Exception) -> None:
    result = run(throw(error))
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"Error: {error}\n")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "/x"),
            ["Permission denied: '/x'.", "permissions"],
        ),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), ["No space left on device: '/x'.", "Free"]),
        (FileNotFoundError(errno.ENOENT, "No such file", "/x"), ["No such file: '/x'.", "spelling"]),
        (OSError(errno.ENOSPC, "No space left on device"), ["No space left on device.", "Free"]),
        (OSError(errno.ENOTDIR, "Not a directory", b"/x"), ["Not a directory: b'/x'.", "again"]),
        (OSError("the store says no"), ["the store says no.", "again"]),
        (TimeoutError(), ["TimeoutError.", "again"]),
    ],
)
def test_an_error_of_the_system_says_what_where_and_what_next(run: Run, error: Exception, says: list[str]) -> None:
    result = run(throw(error))
    assert (result.exit_code, result.stdout) == (2, "")
    assert all(part in result.stderr for part in says), result.stderr
    assert "Traceback" not in result.stderr


def test_a_real_refusal_of_the_system(run: Run, tmp_path: Path) -> None:
    result = run(lambda: (tmp_path / "none" / "file").write_text("x"))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: No such file or directory: '{tmp_path / 'none' / 'file'}'. ")


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "GPDATA_BATCH_BYTES"),
        (click.Abort(), 1, "stopped"),
        (EOFError("ended before the end-of-stream marker"), 1, "EOFError: ended before"),
        (ValueError("boom"), 1, "ValueError: boom"),
        (KeyError("boom"), 1, "KeyError: 'boom'"),
        (type("PanicException", (BaseException,), {})("rust"), 1, "PanicException: rust"),
        (click.UsageError("so not"), 2, "so not"),
        (click.FileError("/x", "gone"), 1, "gone"),
    ],
)
def test_every_other_end_has_a_message_and_a_status(run: Run, error: BaseException, status: int, says: str) -> None:
    result = run(throw(error))
    assert (result.exit_code, result.stdout) == (status, "")
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_the_unexpected_asks_for_a_report(run: Run) -> None:
    assert "report this" in (text := run(throw(ValueError("boom"))).stderr)
    assert "GPDATA_TRACEBACK=1" in text


@pytest.mark.parametrize("error", [ValueError("boom"), InvalidInput("boom"), OSError("boom")])
def test_the_traceback_is_shown_on_demand(run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setenv("GPDATA_TRACEBACK", "1")
    assert "Traceback (most recent call last)" in run(throw(error)).stderr


def test_a_command_chooses_its_status(run: Run) -> None:
    assert run(lambda: None).exit_code == 0
    assert run(lambda: click.get_current_context().exit(3)).exit_code == 3
    assert run(lambda: sys.exit(4)).exit_code == 4


def test_errors_pass_where_click_is_asked_for_them() -> None:
    group = LazyGroup("gpdata", lazy={})
    with pytest.raises(click.UsageError, match="no command 'nope'"):
        group.main(["nope"], standalone_mode=False)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("imprt", "import"), ("reports", "report"), ("shema", "schema"), ("compct", "compact")],
)
def test_a_misspelt_command_is_told_the_near_ones(given: str, meant: str) -> None:
    result = CliRunner().invoke(main, [given])
    assert result.exit_code == 2
    assert f"there is no command {given!r}: did you mean {meant!r}" in result.stderr


def test_a_command_like_none_is_told_them_all() -> None:
    stderr = CliRunner().invoke(main, ["xyzzy"]).stderr
    assert all(repr(name) in stderr for name in COMMANDS)


def test_an_unknown_option_is_no_unknown_command() -> None:
    result = CliRunner().invoke(main, ["--nope"])
    assert result.exit_code == 2
    assert "--nope" in result.stderr


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_every_command_in_order(option: str) -> None:
    stdout = CliRunner().invoke(main, [option]).stdout
    sections = list(dict.fromkeys(f"{command.section}:" for command in COMMANDS.values()))
    lines = [line for line in stdout.split(f"{sections[0]}\n")[1].splitlines() if line]
    assert [line.split()[0] for line in lines if line not in sections] == list(COMMANDS)
    assert [line for line in lines if line in sections] == sections[1:]


def test_help_names_every_setting() -> None:
    source = Path(inspect.getfile(gpdata.config)).read_text(encoding="utf-8")
    stdout = CliRunner().invoke(main, ["--help"]).stdout
    assert set(re.findall(r"GPDATA_\w+", stdout)) == set(re.findall(r"GPDATA_\w+", source))


def test_version() -> None:
    from importlib.metadata import version

    assert CliRunner().invoke(main, ["--version"]).stdout == f"gpdata, version {version('gpdata')}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_has_help(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"Usage: gpdata {name} ")


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["schema"], ["schema", "--format", "spark"]])
def test_a_quick_command_loads_nothing_heavy(command: list[str]) -> None:
    code = (
        "import json, sys\n"
        "from gpdata.cli import main\n"
        f"main({command!r}, prog_name='gpdata', standalone_mode=False)\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(json.loads(done.stderr))


SHOW = [sys.executable, "-c", "from gpdata.cli import main; main(prog_name='gpdata')"]


@pytest.mark.parametrize("command", ["--help", "schema"])
def test_a_reader_that_leaves_ends_the_command_quietly(command: str) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*SHOW, command], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to write to")
@pytest.mark.parametrize("command", ["--help", "schema"])
def test_a_full_disk_behind_standard_output(command: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*SHOW, command], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("Error: No space left on device. Free some space")


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["schema", *arguments])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_schema_prints_the_page_or_a_section() -> None:
    assert printed() == printed("--format", "markdown") == page()
    assert all(printed(table.name) == section(table) for table in TABLES)


def test_schema_prints_arrow() -> None:
    every = printed("--format", "arrow")
    for table in TABLES:
        one = printed(table.name, "--format", "arrow")
        assert one == f"{arrow_schema(table).to_string()}\n"
        assert f"# {table.name}\n{one}" in every


def test_schema_prints_spark() -> None:
    every = json.loads(printed("--format", "spark"))
    assert list(every) == [table.name for table in TABLES]
    for table in TABLES:
        one = json.loads(printed(table.name, "--format", "spark"))
        assert one == json.loads(spark_json(table)) == every[table.name]


def test_schema_prints_the_json_schema_of_a_line() -> None:
    from gpdata.schema.json_schema import json_schema

    assert json.loads(printed("--format", "json-schema")) == json_schema()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["runz"], "'runz' is not one of 'runs', 'generations'"),
        (["--format", "avro"], "'avro' is not one of 'markdown'"),
        (["runs", "--format", "json-schema"], "leave 'runs' out"),
    ],
)
def test_schema_refuses_what_it_does_not_know(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(main, ["schema", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
