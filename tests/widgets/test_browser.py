"""The explorer in a real browser: in JupyterLab, and as the page that `gpdata explore` serves.

Screenshots go to a temporary folder, whose name is printed, or to the one that GPDATA_SCREENSHOTS names.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat
import psutil
import pytest

from tests.notebooks.store import FOLDER
from tests.notebooks.test_notebooks import texts
from tests.support import free_port, until
from tests.widgets.conftest import GENERATIONS, run_line, run_uuid, write_lake

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: make env")
pytestmark = pytest.mark.xdist_group("explorer-browser")

PATIENCE = 120
"""Seconds to wait for a step before it counts as failed; none is expected to need them."""
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]  # fmt: skip
FIRST = FOLDER / "01-first-look.ipynb"
TOKEN = "only-for-this-test"
LIVE = """
import sys
import gpdata
config = {"parent-selection": "newcomer", "population-size": 2}
with gpdata.Recorder(sys.argv[1], system="live", problem="odd", config=config, transform_every=0) as run:
    run.generation([{"errors": [1, 2]}, {"errors": [0, 3]}])
    print("recorded", flush=True)
    sys.stdin.readline()
    run.generation([{"errors": [0, 0]}, {"errors": [0, 3]}], outcome="success")
"""


@pytest.fixture(scope="module")
def browser():
    named = os.environ.get("GPDATA_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not found:
        pytest.skip("no chromium on the PATH; install one (Debian: apt install chromium) or name it in GPDATA_CHROMIUM")
    with playwright.sync_playwright() as driver:
        playwright.expect.set_options(timeout=PATIENCE * 1000)
        browser = driver.chromium.launch(executable_path=found, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = Path(os.environ.get("GPDATA_SCREENSHOTS") or tmp_path_factory.mktemp("explorer-screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"screenshots: {folder}")
    return folder


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Return a lake of this module's own: runs are recorded into it."""
    lines = [run_line(number, g) for number in range(12) for g in range(GENERATIONS)]
    return write_lake(tmp_path_factory.mktemp("browser") / "lake", lines)


@contextmanager
def serving(command, url, log, environment):
    """Run a server until the end of the block, then interrupt it as Ctrl-C does; give its process."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        until(lambda: process.poll() is not None or answers(url), PATIENCE, f"{url}: {log.read_text()}")
        assert process.poll() is None, log.read_text()
        yield process
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
        _, alive = psutil.wait_procs(family, timeout=20)
        assert not alive, alive
    finally:
        if process.poll() is None:
            family = psutil.Process(process.pid).children(recursive=True)
            for each in [process, *family]:
                each.kill()
            process.wait()


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def home(folder):
    """Return an environment in which no setting of this user is found and none is written."""
    names = ["JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"]
    names += ["JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"]
    own = {name: str(folder / name.lower()) for name in names}
    news = (
        Path(own["JUPYTERLAB_SETTINGS_DIR"]) / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    )
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false"}')  # its question would lie over the page
    return {**os.environ, "HOME": str(folder), **own}


def new_page(browser, width=1600, height=1000):
    page = browser.new_context(viewport={"width": width, "height": height}).new_page()
    page.set_default_timeout(PATIENCE * 1000)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    return page


def ran(page):
    """Run the notebook unless it runs: JupyterLab forgets what is asked before its kernel is connected."""
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()  # empty for cells out of sight
    if "[*]:" in prompts or any(re.fullmatch(r"\[\d+\]:", prompt) for prompt in prompts):
        return True
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_timeout(500)
    return False


def drive(page, pictures, name):
    """Do what a person does: choose runs, look at views, follow a winner's parents."""
    expect = playwright.expect
    expect(page.get_by_text("All 12 runs").or_(page.get_by_text("All 13 runs"))).to_be_visible()
    picture = page.locator(".gpx-picture")
    expect(picture).to_have_attribute("alt", re.compile("^Success of the chosen runs by problem and parent-selection"))
    assert page.evaluate("document.querySelector('.gpx-picture').naturalWidth") > 100

    page.locator("summary", has_text="parent-selection").click()
    page.get_by_role("checkbox", name=re.compile("^lexicase")).check()
    expect(page.locator(".gpx-said")).to_have_text(re.compile("^4 of 1[23] runs chosen$"))
    page.get_by_role("searchbox", name="Search").fill("MIRROR")
    expect(page.locator(".gpx-said")).to_have_text(re.compile("^2 of 1[23] runs chosen$"))
    expect(page.locator(".gpx-views .gpx-code code")).to_contain_text('where={"parent-selection": "lexicase"}')
    page.get_by_role("button", name="Choose all").click()
    expect(page.locator(".gpx-said")).to_have_text(re.compile("^All 1[23] runs$"))

    success = page.get_by_role("tab", name="Success")
    success.focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Error curves")).to_have_attribute("aria-selected", "true")
    expect(picture).to_have_attribute("alt", re.compile("^Error curves of the chosen runs"))
    page.get_by_label("Runs that have ended").select_option("zero")
    expect(page.locator(".gpx-views .gpx-code code")).to_contain_text('stopped="zero"')
    page.get_by_role("button", name="Do not group by problem").click()
    expect(picture).to_have_attribute("alt", re.compile("by parent-selection"))
    page.screenshot(path=pictures / f"{name}-errors.png")

    page.get_by_role("button", name=f"Ancestry of run {run_uuid(4)}").click()
    person = page.locator(".gpx-person")
    expect(person.locator(".gpx-badge")).to_have_text("winner")
    expect(person.locator(".gpx-program")).to_contain_text(f"(in1 exec_if 4 {GENERATIONS - 1} ")
    expect(page.locator(".gpx-mark.gpx-on")).to_have_count(1)
    parent = person.locator(".gpx-relatives").first.get_by_role("button").first
    at = parent.inner_text().split(" ")[0].strip()
    parent.click()
    generation, location = at.split(".")
    expect(person.locator("h3")).to_have_text(f"Generation {generation}, location {location}")
    expect(person.locator(".gpx-program")).to_have_text(f"(in1 exec_if 4 {generation} {location})")
    expect(person).to_contain_text("alternation, uniform-mutation")
    root = page.locator("rect.gpx-mark").first
    root.click()
    expect(person.locator("h3")).to_have_text(re.compile("^Generation 0, "))
    expect(person).to_contain_text("none recorded")
    root.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(person.locator("h3")).to_have_text(re.compile("^Generation 1, "))
    page.screenshot(path=pictures / f"{name}-ancestry.png")
    assert page.faults == []


def watch(page, lake):
    """See a run arrive that another process records."""
    before = int(page.locator(".gpx-said").inner_text().split()[1])
    recorder = subprocess.Popen([sys.executable, "-c", LIVE, str(lake)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    expect = playwright.expect
    try:
        assert recorder.stdout.readline() == b"recorded\n"
        expect(page.locator(".gpx-said")).to_have_text(f"All {before + 1} runs")
        row = page.locator(".gpx-runs tbody tr").first  # the newest run
        expect(row).to_contain_text("newcomer")
        expect(row).to_contain_text("continue")
        expect(page.locator(".gpx-status")).to_contain_text(re.compile(r"newest generation \d+ s ago"))
        recorder.communicate(b"\n", timeout=PATIENCE)
        expect(row).to_contain_text("success")
        assert recorder.returncode == 0
    finally:
        if recorder.poll() is None:
            recorder.kill()
            recorder.wait()


def sizes(page, pictures, name):
    """Take the page at each width; nothing is wider than its window."""
    for width in (1600, 480):
        page.set_viewport_size({"width": width, "height": 2000})
        page.wait_for_function(f"window.innerWidth === {width}")
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")  # laid out
        assert page.evaluate("document.querySelector('.gpx').getBoundingClientRect().right <= window.innerWidth + 1")
        page.locator(".gpx").screenshot(path=pictures / f"{name}-{width}.png")
    page.set_viewport_size({"width": 1600, "height": 1000})


def run_first_notebook(page, url, path, pictures):
    """Run the first example notebook as a person does; every number is the stored one."""

    def code(book):
        return [cell for cell in book.cells if cell.cell_type == "code"]

    def done():
        page.evaluate("jupyterapp.commands.execute('docmanager:save')")
        saved = json.loads(path.read_text() or "null")  # not one that is half written
        return saved and all(cell["execution_count"] for cell in saved["cells"] if cell["cell_type"] == "code")

    stored = nbformat.read(FOLDER / path.name, as_version=4)
    page.goto(f"{url}doc/tree/{path.name}?token={TOKEN}")
    page.get_by_text("| Idle").wait_for()
    page.evaluate("jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    until(lambda: ran(page), PATIENCE, "the run of the first cell")
    until(done, PATIENCE, "the run of the last cell")
    page.screenshot(path=pictures / "first-notebook.png")
    numbers = re.compile(r"\d+\.\d+")
    for old, new in zip(code(stored), code(nbformat.read(path, as_version=4)), strict=True):
        assert [numbers.findall(text) for text in texts(new)] == [numbers.findall(text) for text in texts(old)]
        assert len(new.outputs) == len(old.outputs)


def test_in_jupyterlab(browser, lake, pictures, tmp_path, example_lake, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("GPDATA_LAKE", str(example_lake))
    first = Path(shutil.copy(FIRST, tmp_path / "work"))
    cells = [nbformat.v4.new_code_cell(f"import gpdata as gp\n\ngp.explore({str(lake)!r})")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "work" / "explore.ipynb")
    url = f"http://127.0.0.1:{(port := free_port())}/"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--port-retries=0",
               "--expose-app-in-browser", f"--IdentityProvider.token={TOKEN}",
               f"--ServerApp.root_dir={tmp_path / 'work'}"]  # fmt: skip
    log = tmp_path / "lab.log"
    with serving(command, f"{url}api", log, home(tmp_path)):
        page = new_page(browser)
        run_first_notebook(page, url, first, pictures)
        page.goto(f"{url}doc/tree/explore.ipynb?token={TOKEN}")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        until(lambda: ran(page), PATIENCE, "the run of the first cell")
        page.locator(".gpx").wait_for()
        drive(page, pictures, "lab-light")
        page.get_by_role("tab", name="Success").click()
        playwright.expect(page.locator(".gpx-picture")).to_be_visible()
        sizes(page, pictures, "lab-light")
        page.evaluate("jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
        page.locator("body[data-jp-theme-light=false]").wait_for(state="attached")
        sizes(page, pictures, "lab-dark")
        page.locator(".gpx").scroll_into_view_if_needed()
        watch(page, lake)
        assert page.faults == []
        page.context.close()


@pytest.mark.faults
def test_as_a_page(browser, lake, pictures, tmp_path):
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    command = [Path(sys.executable).parent / "gpdata", "explore", lake, "--no-browser", "--port", str(port)]
    log = tmp_path / "voila.log"
    with serving(command, f"{url}voila/static/voila.js", log, home(tmp_path)) as server:
        until(lambda: str(lake) in log.read_text(), PATIENCE, "the address")
        assert f"http://127.0.0.1:{port}/" in log.read_text()
        page = new_page(browser)
        page.goto(url)
        page.locator(".gpx-picture").wait_for()
        drive(page, pictures, "page-light")
        watch(page, lake)
        sizes(page, pictures, "page-light")
        page.goto(f"{url}?theme=dark")
        page.locator(".gpx-picture").wait_for()
        assert page.evaluate("getComputedStyle(document.querySelector('.gpx-picture')).filter") != "none"
        sizes(page, pictures, "page-dark")
        page.context.close()
    assert server.returncode == 0
    assert "Traceback" not in log.read_text()
