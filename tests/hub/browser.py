"""A browser at a really running hub: sign in, look, keep a picture; and the hub that it looks at.

Screenshots go to the folder that GPDATA_SCREENSHOTS names.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from hub.settings import ROOT

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: make env")

GOOD = "correct horse battery of {}"
EXAMPLES = ROOT / "example-notebooks"
PATIENCE = 150
"""Seconds to wait for a step before it counts as failed; none is expected to need them."""

playwright.expect.set_options(timeout=PATIENCE * 1000)

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@contextmanager
def running_hub(environment, log):
    """Start the hub as `make hub` does; at the end let it stop, or kill all of it if a step failed."""
    with log.open("wb") as output:
        hub = subprocess.Popen(
            [sys.executable, ROOT / "hub" / "run.py"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield hub
    finally:
        if hub.poll() is None:
            family = psutil.Process(hub.pid).children(recursive=True)
            hub.kill()
            for process in family:
                if process.is_running():
                    process.kill()
            hub.wait()


def wait_until(check, what, log):
    """Wait until the check says yes; say what did not come, with the end of the hub's log."""
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, f"{what} did not come within {PATIENCE} s:\n{log.read_text()[-4000:]}"
        time.sleep(0.3)


def answers(url) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def picture(page, name) -> None:
    folder = os.environ.get("GPDATA_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png")


def sign_in(page, url, name, log) -> None:
    """Be refused with a wrong password, then sign in and see JupyterLab."""
    for password in ("a wrong password", GOOD.format(name)):
        page.goto(url)
        page.fill("#username_input", name)
        page.fill("#password_input", password)
        page.click("input[type=submit]")
        if password != GOOD.format(name):
            playwright.expect(page.get_by_text("Invalid username or password")).to_be_visible()
            assert page.context.request.get(f"{url}hub/api/user").status == 403
            picture(page, f"{name}-1-refused")
    page.wait_for_url(f"**/user/{name}/lab**", timeout=PATIENCE * 1000)
