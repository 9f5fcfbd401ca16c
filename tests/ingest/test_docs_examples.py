"""What docs/ingest.md tells people to type does what it says, with no packages but those of the ingest image."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from gpdata.lab import open as open_lab
from gpdata.lake import Lake, Transformer
from tests.conftest import ROOT
from tests.images import guard
from tests.support import free_port

PAGE = (ROOT / "docs" / "ingest.md").read_text(encoding="utf-8")
BLOCKS = [(kind, body) for kind, body in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]
MARK = "\x1e"

needs_programs = pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "curl", "zstd", "openssl"))),
    reason="the examples of docs/ingest.md need bash, curl, zstd and openssl",
)


@needs_programs
def test_the_examples_run_as_they_stand(tmp_path: Path) -> None:
    printed = _run(tmp_path)
    expected = _expected()
    assert len(expected) >= 6
    for number, text in expected.items():
        pattern = ".*?".join(map(re.escape, text.strip().split("...")))
        assert re.fullmatch(pattern, printed[number].strip(), re.DOTALL), (
            f"the page says:\n{text}\nand it is:\n{printed[number]}"
        )
    _look_at_the_lake(tmp_path / "lake")


def _look_at_the_lake(path: Path) -> None:
    Transformer(Lake.open(path)).run()  # what the service had not come to when it was stopped
    lab = open_lab(path)
    rows = lab.sql("SELECT run_uuid, generation FROM generations WHERE run_uuid LIKE '0c9bd8a6-%' ORDER BY ALL")
    by_hand = [("0c9bd8a6-by-clojush", 0), *(("0c9bd8a6-quick-start", index) for index in (0, 1, 4))]
    assert rows.fetchall() == by_hand
    assert lab.sql("SELECT problem FROM runs WHERE system = 'my-gp'").fetchall() == [("guess",)]
    assert lab.sql("SELECT DISTINCT owner FROM runs").fetchall() == [("ada",)]
    assert lab.sql("SELECT count(*) FROM generations").fetchall() == [(6,)]
    assert [entry.code for entry in Lake.open(path).quarantine.entries()] == ["conflict"]


def _expected() -> dict[int, str]:
    """Return what the page says that a block prints, by the block's number among those that run."""
    found, number = {}, -1
    for kind, body in BLOCKS:
        if kind in ("sh", "python"):
            number += 1
        elif kind == "text":
            found[number] = body
    return found


def _run(folder: Path) -> list[str]:
    """Run the page's blocks in one shell, in a folder of their own; return what each printed."""
    script = ["set -eu", "trap 'kill $(jobs -p) 2> /dev/null; wait' EXIT"]
    for kind, body in BLOCKS:
        if kind in ("sh", "python"):
            script += [body if kind == "sh" else f"{sys.executable} - <<'END'\n{body}END", f"printf '\\n{MARK}'"]
    script.append(  # what came by the forwarder reaches the service a moment later
        'for _ in $(seq 200); do curl -sS -H "Authorization: Bearer $TOKEN" $GPDATA_SERVER/v1/runs > runs.json\n'
        "grep -q by-clojush runs.json && break; sleep 0.2; done"
    )
    text = "\n".join(script)
    for port in ("8470", "8471", "9000"):
        text = text.replace(port, str(free_port()))
    (folder / "home").mkdir()
    (folder / "guard").mkdir()
    (folder / "guard" / "sitecustomize.py").write_text(guard("ingest"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GPDATA_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder / "home"),
        "XDG_STATE_HOME": str(folder / "home" / "state"),
        "PYTHONPATH": os.pathsep.join([str(folder / "guard"), str(ROOT)]),
    }
    with (folder / "printed").open("w+") as printed, (folder / "errors.log").open("w") as errors:
        shell = subprocess.Popen(
            ["bash", "-c", text], cwd=folder, env=environment, stdout=printed, stderr=errors, start_new_session=True
        )
        try:
            status = shell.wait(timeout=120)
        finally:
            with suppress(ProcessLookupError):  # what the page started, where the shell did not end it
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
            logs = "".join(f"--- {log.name}\n{log.read_text()}" for log in sorted(folder.glob("*.log")))
    said = (folder / "printed").read_text()
    assert status == 0, f"{said}\n{logs}"
    return said.split(MARK)
