"""The explorer in a real kernel: what a notebook gets, what the browser's messages do, and that nothing is left."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient

from tests.widgets.conftest import run_line, run_uuid, write_lake

PATIENCE = 120
VIEW = "application/vnd.jupyter.widget-view+json"


class Kernel:
    """A kernel with what a browser says to it."""

    def __init__(self, folder: Path) -> None:
        self.manager, self.client = start_new_kernel(kernel_name="python3", cwd=str(folder))

    def run(self, code: str) -> str:
        """Run code and return what it printed."""
        said: list[str] = []

        def hear(message):
            content = message["content"]
            assert message["msg_type"] != "error", "\n".join(content.get("traceback", []))
            if message["msg_type"] == "stream":
                said.append(content["text"])

        reply = self.client.execute_interactive(code, output_hook=hear, timeout=PATIENCE)
        assert reply["content"]["status"] == "ok", reply
        return "".join(said)

    def send(self, comm: str, data: dict) -> None:
        """Send what the browser sends over the widget's comm."""
        message = self.client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        self.client.shell_channel.send(message)

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(tmp_path):
    kernel = Kernel(tmp_path)
    yield kernel
    kernel.stop()


def test_the_browsers_messages_drive_it_and_nothing_is_left(kernel, tmp_path):
    lake = write_lake(tmp_path / "lake", [run_line(number, 0) for number in range(3)])
    kernel.run(f"""
import threading, gpdata as gp
explorer = gp.explore({str(lake)!r})
before = {{thread.name for thread in threading.enumerate()}}
""")
    comm = kernel.run("print(explorer.comm.comm_id)").strip()
    state = {"view": "ancestry", "run": run_uuid(1), "where": {"label": ["pilot"]}}
    kernel.send(comm, {"method": "update", "state": {"state": state}, "buffer_paths": []})
    said = kernel.run("print(explorer.person['winner'], explorer.table['total'])")
    assert said.split() == ["True", "3"]

    write_lake(lake, [run_line(3, 0)])
    kernel.send(comm, {"method": "custom", "content": {"kind": "look"}})
    assert kernel.run("print(explorer.table['total'], explorer.status['looks'])").split() == ["4", "1"]
    kernel.send(comm, {"method": "custom", "content": {"kind": "something else"}})
    kernel.send(comm, {"method": "custom", "content": {"kind": "look"}})
    assert kernel.run("print(explorer.status['looks'])").strip() == "2"

    assert kernel.run("print({t.name for t in threading.enumerate()} - before or 'none')").strip() == "none"
    kernel.run("explorer.close()")
    kernel.send(comm, {"method": "custom", "content": {"kind": "look"}})  # a page that does not know yet
    assert kernel.run("print(explorer.status['looks'])").strip() == "2"


def test_the_page_that_voila_shows_runs_as_a_notebook(small_lake, monkeypatch, tmp_path):
    monkeypatch.setenv("GPDATA_LAKE", str(small_lake))
    page = nbformat.read(files("gpdata.widgets").joinpath("page.ipynb"), as_version=4)
    nbformat.validate(page)
    client = NotebookClient(page, timeout=PATIENCE, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    (output,) = page.cells[0].outputs
    model = output["data"][VIEW]["model_id"]
    state = client.widget_state[model]
    assert state["table"]["total"] == 12
    assert "export default" in state["_esm"]
    assert state["working"] is False
