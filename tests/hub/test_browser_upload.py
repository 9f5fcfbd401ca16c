"""The real hub: one person uploads with an own token and sees the run arrive; another sees it and can touch nothing."""

from __future__ import annotations

import os
import pwd
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import gpdata
from hub.settings import FOLDERS, ROOT, SYSTEM
from tests.hub.browser import CHROMIUM_OPTIONS, GOOD, PATIENCE, answers, picture, playwright, running_hub, wait_until
from tests.hub.live import Person
from tests.support import free_port, run_lines

PATHS = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
RUN = "seen-by-all"

TRESPASS = """
import os, pathlib
lake, other = pathlib.Path({lake!r}), pathlib.Path({other!r})
def tried(what, act):
    try:
        print(what, "DONE", act())
    except OSError as error:
        print(what, "refused:", error.strerror)
def secrets():
    found = 0
    for environment in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            held = environment.read_bytes()
        except OSError:
            continue
        found += {token!r}.encode() in held or b"JUPYTERHUB_USER={name}" in held
    if not found:
        raise OSError(1, "no process shows it")
    return found
some = next(lake.glob("individuals/*.parquet"))
tried("append", lambda: some.open("ab").write(b"x"))
tried("remove", lambda: some.unlink())
tried("commit", lambda: (lake / "runs" / "_delta_log" / "00000000000000009999.json").write_text("{{}}"))
tried("spool", lambda: (lake / "spool" / "new" / "mine").write_text("x"))
tried("home", lambda: sorted(os.listdir(other)))
tried("token", secrets)
"""


def ask_for_token(page, url) -> str:
    """Make a token on the hub's page, as a user does."""
    page.goto(f"{url}hub/token")
    page.fill("#token-note", "the forwarder of my machine")
    page.click("#request-token-form button[type=submit]")
    result = page.locator("#token-result")
    playwright.expect(result).not_to_be_empty()
    return result.inner_text()


def signed_in(browser, url, name):
    page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    page.set_default_timeout(PATIENCE * 1000)
    page.goto(url)
    page.fill("#username_input", name)
    page.fill("#password_input", GOOD.format(name))
    page.click("input[type=submit]")
    page.wait_for_url(f"**/user/{name}/lab**")
    return page


@contextmanager
def forwarder(service, token, folder):
    """Run `gpdata forward` as a producer's machine does; give the port where it listens."""
    folder.mkdir()
    (folder / "token").write_text(token)
    port = free_port()
    arguments = ["--to", service, "--token-file", folder / "token", "--outbox", folder / "outbox"]
    command = [sys.executable, "-c", "from gpdata.cli import main; main()", "forward", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": PATHS}
    with subprocess.Popen([*command, "--listen", f"127.0.0.1:{port}"], env=environment) as forward:
        try:
            yield port
        finally:
            forward.terminate()


def sent(port, lines) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"".join(each + b"\n" for each in lines))
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.faults
def test_a_run_is_uploaded_with_an_own_token_seen_by_all_and_changed_by_nobody(
    people, chromium, installed_proxy, material, tmp_path
):
    users, (first, second) = people
    state, log, port, lake = tmp_path / "state", tmp_path / "hub.log", free_port(), material / "lake"
    url = f"http://127.0.0.1:{port}/"
    service = f"{url}services/gpdata"
    environment = {
        **os.environ,
        "HUB_STATE": str(state),
        "HUB_PORT": str(port),
        "HUB_USERS": users,
        "HUB_SHARED": str(material / "shared"),
        "HUB_INGEST_PORT": str(free_port()),
        "GPDATA_LAKE": str(lake),
        "PYTHONPATH": PATHS,
    }
    for name in (first, second):
        command = [sys.executable, ROOT / "hub" / "add_user.py", name]
        subprocess.run(command, env=environment, input=GOOD.format(name), text=True, check=True, capture_output=True)
    with running_hub(environment, log) as hub, playwright.sync_playwright() as driver:
        wait_until(lambda: hub.poll() is None and answers(f"{service}/readyz"), "the hub", log)
        browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_OPTIONS)
        explorer = "voila/render/example-notebooks/explorer.ipynb"
        pages = {name: signed_in(browser, url, name) for name in (first, second)}
        tokens = {name: ask_for_token(page, url) for name, page in pages.items()}
        picture(pages[first], "upload-1-token")
        for name, page in pages.items():
            page.goto(f"{url}user/{name}/{explorer}")
            playwright.expect(page.locator(".gpx-said")).to_have_text("All 18 runs")
        with forwarder(service, tokens[first], tmp_path / "forward") as listening:
            lines = run_lines(RUN, generations=3)
            wait_until(lambda: sent(listening, lines), "the forwarder", log)
            began = time.monotonic()
            playwright.expect(pages[first].locator(".gpx-said")).to_have_text("All 19 runs")
            print(f"\nseen {time.monotonic() - began:.1f} s after it was sent")
            picture(pages[first], "upload-2-seen-by-the-owner")
        for page in pages.values():
            playwright.expect(page.locator(".gpx-said")).to_have_text("All 19 runs")
            playwright.expect(page.get_by_role("button", name=f"Ancestry of run {RUN}")).to_be_visible()
            page.locator("summary", has_text="owner").click()
            page.get_by_role("checkbox", name=re.compile(first)).check()
            playwright.expect(page.locator(".gpx-said")).to_contain_text("of 19 runs chosen")
        picture(pages[second], "upload-3-seen-by-the-other")

        other = Person(second, url, httpx.Client(), tokens[second])
        bearer = {"Authorization": f"Bearer {tokens[second]}"}
        adding = httpx.post(
            f"{service}/v1/generations", content=run_lines(RUN, generations=4)[-1] + b"\n", headers=bearer
        )
        assert adding.status_code == 403
        for path in ("v1/runs", f"v1/runs/{RUN}", "v1/generations"):
            assert httpx.delete(f"{service}/{path}", headers=bearer).status_code in (404, 405)
        assert other.call("GET", f"users/{first}/tokens").status_code in (403, 404)
        assert other.call("POST", f"users/{first}/tokens").status_code in (403, 404)

        files = {file: file.stat().st_mtime_ns for file in lake.glob("*/*.parquet")}
        home = state / "homes" / first if users == FOLDERS else Path(pwd.getpwnam(first).pw_dir)
        code = TRESPASS.format(lake=str(lake), other=str(home), token=tokens[first], name=first)
        with ThreadPoolExecutor(1) as beside:  # this thread is the browser's
            printed = beside.submit(lambda: other.run(other.kernel(), code)).result()
        said = dict(line.split(" ", 1) for line in printed.splitlines())
        assert said.keys() == {"append", "remove", "commit", "spool", "home", "token"}
        if users == SYSTEM:  # one account for all, as with folders, keeps nobody out of anything: the hub warns of it
            assert [what for what, came in said.items() if not came.startswith("refused")] == [], said
            assert {file: file.stat().st_mtime_ns for file in files} == files
            owners = gpdata.open(lake).sql(f"SELECT owner FROM runs WHERE run_uuid = '{RUN}'")
            assert owners.fetchall() == [(first,)]
