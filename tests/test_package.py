"""The architecture, asserted: what `import gpdata` loads, what is public, how the files are; the settings."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

import gpdata
from gpdata.config import Settings, settings, show_traceback
from gpdata.errors import InvalidInput

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "gpdata").rglob("*.py"))
HEAVY = {
    "pyspark", "matplotlib", "seaborn", "duckdb", "deltalake", "pyarrow", "pandas", "polars", "numpy",
    "scipy", "starlette", "uvicorn", "ipywidgets", "IPython", "networkx", "click", "rich",
}  # fmt: skip

files = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))


def loaded(code: str) -> set[str]:
    """Return the top-level names of the modules that a fresh Python has after running the code."""
    code += "\nimport json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_import_loads_nothing_heavy() -> None:
    assert not loaded("import gpdata") & HEAVY


def test_listing_the_names_imports_nothing() -> None:
    assert not loaded("import gpdata; dir(gpdata); gpdata.__version__; gpdata.errors") & HEAVY


def test_the_names_are_sorted_listed_and_there() -> None:
    assert gpdata.__all__ == sorted(gpdata.__all__)
    assert dir(gpdata) == sorted([*gpdata.__all__, "__version__"])
    assert [name for name in gpdata.__all__ if getattr(gpdata, name).__name__.rpartition(".")[2] != name] == []


def test_the_version_is_the_installed_one() -> None:
    assert gpdata.__version__ == version("gpdata")


def test_an_unknown_name_is_told_the_near_ones() -> None:
    with pytest.raises(AttributeError, match=r"gpdata has no 'sucess_table': did you mean .*'success_table'"):
        gpdata.sucess_table  # noqa: B018
    assert not hasattr(gpdata, "nothing")


@files
def test_a_file_is_read_in_one_sitting(file: Path) -> None:
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= 400, f"{file.relative_to(ROOT)} has {lines} lines; the most is 400: part it by subject"


@files
def test_only_config_reads_the_environment(file: Path) -> None:
    if file in {ROOT / "gpdata" / "config.py", ROOT / "gpdata" / "exported.py"}:  # the second one sets what others read
        return
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"})
        or (isinstance(node, ast.keyword) and node.arg in {"envvar", "auto_envvar_prefix"})
    ]
    assert not found, f"{found} read the environment; only gpdata/config.py does: add a setting there"


def public() -> Iterator[tuple[str, object]]:
    """Yield what a user calls, by full name: the names of gpdata, and those of its public modules."""
    for name in gpdata.__all__:
        value = getattr(gpdata, name)
        if not isinstance(value, ModuleType):
            yield f"gpdata.{name}", value
        for inner in getattr(value, "__all__", ()) if isinstance(value, ModuleType) else ():
            yield f"gpdata.{name}.{inner}", getattr(value, inner)


def sections(docstring: str) -> dict[str, str]:
    """Part a numpy-style docstring into its sections by heading."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}$", docstring, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def lacking(name: str, value: object) -> list[str]:
    """Say what the docstring of a public function or class lacks."""
    if not (inspect.isfunction(value) or inspect.isclass(value)):
        return []
    has = sections(inspect.getdoc(value) or "")
    if inspect.isclass(value) and name.count(".") > 1:  # a class of a module: a word of the schema, or an error
        return [] if inspect.getdoc(value) else ["docstring"]
    needs = ["Parameters", "Examples", *(["Returns"] if inspect.isfunction(value) else [])]
    if name.count(".") == 1:
        needs.append("Raises")
    given = {
        word
        for line in has.get("Parameters", "").splitlines()
        if line and not line[0].isspace()
        for word in re.findall(r"\w+", line.split(" :")[0])
    }
    unsaid = [p for p in inspect.signature(value).parameters if p not in given]
    return [s for s in needs if s not in has] + [f"the parameter {p!r}" for p in unsaid]


def test_what_is_public_says_what_it_takes_gives_and_refuses() -> None:
    wrong = {name: what for name, value in public() if (what := lacking(name, value))}
    assert not wrong, f"docstrings lack: {wrong}"


def test_an_error_is_of_our_base_class_and_of_a_builtin() -> None:
    errors = [
        value for value in vars(gpdata.errors).values() if inspect.isclass(value) and issubclass(value, Exception)
    ]
    assert len(errors) > 1
    for error in errors:
        assert issubclass(error, gpdata.errors.GpdataError)
        assert error.__doc__
        if error is not gpdata.errors.GpdataError:
            assert any(base.__module__ == "builtins" for base in error.__bases__), error


def test_locked_versions_name_no_host() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text
    assert "--hash=sha256:" in text


def test_no_lock_file_of_a_tool_is_in_the_tree() -> None:
    assert not [path.name for pattern in ("uv.lock", "pylock*.toml", "poetry.lock") for path in ROOT.glob(pattern)]


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "gpdata" / "py.typed").is_file()


def test_settings_keep_their_defaults_where_nothing_is_set() -> None:
    assert settings({}) == settings({"GPDATA_LAKE": "", "GPDATA_OWNER": "", "GPDATA_BATCH_BYTES": ""}) == Settings()
    assert (Settings().lake, Settings().max_line_bytes, Settings().batch_bytes) == (
        "lake",
        256 << 20,
        64 << 20,
    )


def test_settings_are_read_from_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = Settings("there", "ada", 2**29, 1, traceback=True, me="ada", engine="polars")
    monkeypatch.setenv("GPDATA_LAKE", "there")
    monkeypatch.setenv("GPDATA_OWNER", "ada")
    monkeypatch.setenv("GPDATA_MAX_LINE_BYTES", "536870912")
    monkeypatch.setenv("GPDATA_BATCH_BYTES", "1")
    monkeypatch.setenv("GPDATA_TRACEBACK", "1")
    monkeypatch.setenv("GPDATA_ENGINE", "polars")
    assert settings() == wanted


@pytest.mark.parametrize("name", ["GPDATA_MAX_LINE_BYTES", "GPDATA_BATCH_BYTES"])
@pytest.mark.parametrize("text", ["0", "-1", "64MB", "1.5", "1e6", "536870913", "9" * 5000, " "])
def test_a_setting_that_is_no_number_of_bytes_is_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidInput, match=rf"{name} is '{text[:40]}'; valid is .* from 1 to 536870912; unset it"):
        settings({name: text})


@pytest.mark.parametrize(("text", "wanted"), [("1", True), ("yes", True), ("0", False), ("", False), ("No", False)])
def test_whether_the_traceback_is_shown(text: str, wanted: bool) -> None:
    assert show_traceback({"GPDATA_TRACEBACK": text}) is settings({"GPDATA_TRACEBACK": text}).traceback is wanted
