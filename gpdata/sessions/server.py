"""What a user's server of the hub adds: Spark's page behind the sign-in, the explorer, and knowing what still runs.

A Jupyter server extension. A server in which a kernel computes or a Spark job runs tells the hub that it is active, so
that the idle culler leaves it alone, whether or not anything is printed and a page is open.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_runtime_dir
from jupyter_server_proxy.config import ServerProcess  # type: ignore[import-untyped]
from jupyter_server_proxy.handlers import NamedLocalProxyHandler  # type: ignore[import-untyped]
from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.ioloop import PeriodicCallback
from tornado.simple_httpclient import HTTPTimeoutError

from gpdata.sessions.ui import Page, find

LOOK_SECONDS, ANSWER_SECONDS = 5, 10
EXPLORER = Path("example-notebooks", "explorer.ipynb")
NO_SESSION = (
    "No Spark session runs in your notebooks. Start one, for example with gpdata.spark(), then load this page again."
)


def runtime() -> Path:
    """Return Jupyter's runtime directory, which server and kernels share."""
    return Path(jupyter_runtime_dir())


class SparkPageHandler(NamedLocalProxyHandler):  # type: ignore[misc]
    """Show the page of the newest kernel with a Spark session, signed with its key."""

    page: Page

    async def proxy(self, port: int, path: str) -> None:
        """Find the page, then pass the request on."""
        pages = find(runtime())
        if not pages:
            self.set_status(404)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(NO_SESSION)
            return
        self.page = pages[0]
        await super().proxy(self.page.port, path)

    async def open(self, path: str) -> None:
        """Refuse a websocket: Spark's page has none."""
        self.close(1008, "Spark's page has no websockets")

    def proxy_request_headers(self) -> Any:
        """Add the signature; what signs the user in at the hub stays here."""
        headers = super().proxy_request_headers()
        headers.pop("Cookie", None)
        headers["Authorization"] = self.page.authorization
        return headers


def relative_location(response: Any) -> None:
    """Turn a redirection to Spark's own address into one that the proxy brings below the user's.

    Parameters
    ----------
    response : RewritableResponse
        What Spark answered.
    """
    location = response.headers.get("Location", "")
    if "://" in location:
        response.headers["Location"] = "/" + location.split("://", 1)[1].partition("/")[2]


class SparkPage(ServerProcess):  # type: ignore[misc]
    """The launcher's entry and the address of Spark's page."""

    def get_proxy_base_class(self) -> tuple[type, dict[str, Any]]:
        """Return the handler that finds the port when it is asked."""
        return SparkPageHandler, {}

    def get_proxy_attributes(self) -> dict[str, Any]:
        """Return what is the same for all requests."""
        fixed: dict[str, Any] = super().get_proxy_attributes()
        return {name: value for name, value in fixed.items() if name not in ("port", "unix_socket")}


class LauncherOnly(ServerProcess):  # type: ignore[misc]
    """The launcher's entry of a page that the server has anyway."""

    def get_proxy_base_class(self) -> tuple[None, dict[str, Any]]:
        """Return no handler."""
        return None, {}


def proxied(home: Path | None = None) -> dict[str, ServerProcess]:
    """Return the pages in the launcher, for the setting ServerProxy.servers.

    Parameters
    ----------
    home : Path, optional
        The folder that JupyterLab shows; the user's home where it is left out.

    Returns
    -------
    dict of str to ServerProcess
        Spark's page, and the explorer where its notebook was delivered.

    Examples
    --------
    >>> sorted(proxied(Path("/nowhere")))
    ['spark-ui']
    """
    spark = SparkPage(
        name="spark-ui",
        launcher_entry={"title": "Spark UI", "category": "Other"},
        rewrite_response=relative_location,
    )
    found = {"spark-ui": spark}
    if ((home or Path.home()) / EXPLORER).is_file():
        path = f"voila/render/{EXPLORER.as_posix()}"
        entry = {"title": "Explore runs", "category": "Notebook", "path_info": path}
        found["explorer"] = LauncherOnly(name="explorer", launcher_entry=entry)
    return found


async def has_jobs(page: Page) -> bool:
    """Ask a Spark session whether it runs a job.

    Parameters
    ----------
    page : Page
        The session's page.

    Returns
    -------
    bool
        False also where the session ended meanwhile; True where it is too busy to answer.
    """
    base = f"http://127.0.0.1:{page.port}/api/v1/applications"
    try:
        for application in await _ask(base, page):
            if await _ask(f"{base}/{application['id']}/jobs?status=running", page):
                return True
    except HTTPTimeoutError:
        return True
    except (OSError, HTTPClientError):  # refused, cut off, or no such application any more
        return False
    return False


async def _ask(url: str, page: Page) -> list[dict[str, Any]]:
    headers = {"Authorization": page.authorization}
    response = await AsyncHTTPClient().fetch(url, headers=headers, request_timeout=ANSWER_SECONDS)
    return list(json.loads(response.body))


async def note_work(settings: dict[str, Any]) -> bool:
    """Tell the server that it is active where a kernel computes or a Spark job runs.

    Parameters
    ----------
    settings : dict
        The settings of the server's web application, with its kernel manager and its times of activity.

    Returns
    -------
    bool
        Whether something runs.
    """
    works = any(kernel["execution_state"] == "busy" for kernel in settings["kernel_manager"].list_kernels())
    if not works:
        works = any([await has_jobs(page) for page in find(runtime())])
    if works:
        settings["last_activity_times"]["gpdata"] = datetime.now(UTC)
    return works


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "gpdata.sessions.server"}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Look at what runs, from now on and as long as the server lives."""

    async def look() -> None:
        await note_work(server.web_app.settings)

    PeriodicCallback(look, LOOK_SECONDS * 1000).start()
