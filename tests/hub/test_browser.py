"""The real hub with its proxy: two people sign in with a browser and run the first notebook."""

from __future__ import annotations

import fcntl
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import psutil

from hub.limits import CGROUPS, way
from hub.settings import FOLDERS, ROOT, SYSTEM
from tests.hub.browser import (
    CHROMIUM_OPTIONS,
    EXAMPLES,
    GOOD,
    PATIENCE,
    answers,
    picture,
    playwright,
    running_hub,
    sign_in,
    wait_until,
)
from tests.support import free_port


def run_first_notebook(page, url, name, home, log) -> None:
    """Run all cells of the first notebook by the menu; every one has run, and none failed."""
    first = sorted(EXAMPLES.glob("01-*.ipynb"))[0].name
    page.goto(f"{url}user/{name}/lab/tree/example-notebooks/{first}")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    picture(page, f"{name}-2-notebook")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    file = home / "example-notebooks" / first

    def saved_with_outputs():
        page.keyboard.press("Control+s")
        page.wait_for_timeout(700)
        try:
            notebook = nbformat.read(file, as_version=4)
        except nbformat.reader.NotJSONError:  # in the middle of being saved
            return False
        cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source]
        outputs = [output for cell in cells for output in cell.outputs]
        errors = [output for output in outputs if output.output_type == "error"]
        assert not errors, f"{errors[0].ename}: {errors[0].evalue}"
        return all(cell.execution_count for cell in cells) and any("image/png" in o.get("data", {}) for o in outputs)

    wait_until(saved_with_outputs, f"the outputs of {first}", log)
    figure = page.locator(".jp-OutputArea-output img").first
    figure.scroll_into_view_if_needed()
    playwright.expect(figure).to_be_visible()
    picture(page, f"{name}-3-outputs")


SPARK = """
import gpdata as gp
spark = gp.spark("local")
print("counted", spark.range(1000).repartition(4).count())
"""


def show_spark(page, url, name, home, log) -> None:
    """Start Spark in a notebook, see the progress under its cell, then Spark's own pages through the hub."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SPARK)], metadata=kernel)
    file = home / "spark.ipynb"
    nbformat.write(notebook, file)
    if home.stat().st_uid:
        os.chown(file, home.stat().st_uid, home.stat().st_gid)
    page.goto(f"{url}user/{name}/lab/tree/spark.ipynb?reset")  # without the notebook before, which is idle sooner
    playwright.expect(page.get_by_text("gp.spark")).to_be_visible()
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    playwright.expect(page.get_by_text("counted 1000")).to_be_visible()
    playwright.expect(page.locator(".sparkMonitorCellRoot").first).to_be_visible()
    picture(page, f"{name}-4-spark-progress")
    spark = page.context.new_page()
    spark.set_default_timeout(PATIENCE * 1000)
    spark.goto(f"{url}user/{name}/spark-ui/")
    playwright.expect(spark.get_by_role("heading", name="Spark Jobs")).to_be_visible()
    assert spark.url == f"{url}user/{name}/spark-ui/jobs/"
    spark.get_by_role("link", name="Executors").click()
    playwright.expect(spark.get_by_role("cell", name="driver").first).to_be_visible()  # scripts of the page fill it
    picture(spark, f"{name}-5-spark-executors")
    spark.close()


def command_line(process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # it has ended; what started it has not looked yet
        return ""


def test_two_people_sign_in_and_run_the_first_notebook(people, chromium, installed_proxy, material, tmp_path):
    users, (first, second) = people
    state, log, port = tmp_path / "state", tmp_path / "hub.log", free_port()
    url = f"http://127.0.0.1:{port}/"
    environment = {
        **os.environ,
        "HUB_STATE": str(state),
        "HUB_PORT": str(port),
        "HUB_USERS": users,
        "HUB_NOTEBOOKS": str(material / "notebooks"),
        "HUB_SHARED": str(material / "shared"),
        "HUB_INGEST_PORT": str(free_port()),
        "GPDATA_LAKE": str(material / "lake"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }

    def add(name, *options):
        command = [sys.executable, ROOT / "hub" / "add_user.py", name, *options]
        subprocess.run(command, env=environment, input=GOOD.format(name), text=True, check=True, capture_output=True)

    def home(name):
        return state / "homes" / name if users == FOLDERS else Path(pwd.getpwnam(name).pw_dir)

    add(first)
    if users == FOLDERS:
        home(first).mkdir(parents=True)
        (home(first) / "random.py").write_text("raise SystemExit('a file of the user, not the module')")
    with running_hub(environment, log) as hub, playwright.sync_playwright() as driver:
        wait_until(lambda: hub.poll() is None and answers(f"{url}hub/login"), "the hub", log)
        add(second)  # while it runs
        browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_OPTIONS)
        for name in (first, second):
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.set_default_timeout(PATIENCE * 1000)
            assert page.goto(f"{url}hub/signup").status == 404
            sign_in(page, url, name, log)
            run_first_notebook(page, url, name, home(name), log)
            if name == first:
                show_spark(page, url, name, home(name), log)
        for path in (
            "lab",
            "api/contents",
            "files/example-notebooks/.delivered.json",
            "spark-ui/",
            "files/spark.ipynb",
        ):
            assert page.context.request.get(f"{url}user/{first}/{path}").status in (403, 404)
        assert page.context.request.get(f"{url}user/{second}/api/contents").status == 200
        assert page.goto(f"{url}user/{first}/lab").status in (403, 404)
        picture(page, f"{second}-6-not-mine")
        page.goto(f"{url}hub/home")
        page.get_by_role("button", name="Logout").click()
        page.wait_for_url("**/hub/login**")
        page.goto(f"{url}user/{second}/lab")
        playwright.expect(page.locator("#username_input")).to_be_visible()

        family = psutil.Process(hub.pid).children(recursive=True)
        lines = {process.pid: command_line(process) for process in family}
        kernels = [process for process in family if "ipykernel" in lines[process.pid]]
        assert len(kernels) >= 2, lines
        if users == SYSTEM:
            assert {process.uids().real for process in kernels} == {pwd.getpwnam(n).pw_uid for n in (first, second)}
            assert {home(n).stat().st_mode & 0o777 for n in (first, second)} == {0o700}
            if way(root=True) == CGROUPS:  # every kernel is held to its user's limits
                held = " ".join(Path(f"/proc/{process.pid}/cgroup").read_text() for process in kernels)
                assert all(f"/gpdata-hub/{port}-{name}\n" in held for name in (first, second))
        else:
            assert "WARNING: HUB_USERS=folders" in log.read_text()
        assert "without encryption" not in log.read_text()  # other users could listen to a kernel's port
        hub.send_signal(signal.SIGINT)
        hub.wait(PATIENCE)
        _, alive = psutil.wait_procs(family, timeout=10)
        assert not alive, [lines[process.pid] for process in alive]
        assert not (state / "proxy.pid").exists()
        assert not list(Path("/sys/fs/cgroup").glob(f"**/gpdata-hub/{port}-*"))


def test_a_second_hub_of_the_same_state_is_refused(installed_proxy, tmp_path):
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    environment = {**os.environ, "HUB_STATE": str(state), "HUB_USERS": FOLDERS, "HUB_PORT": str(free_port())}
    with (state / "hub.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        command = [sys.executable, ROOT / "hub" / "run.py"]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert result.returncode == 1
    assert "a hub runs already with the state in" in result.stderr
    assert "Traceback" not in result.stderr
