"""Who uses how much: a page for administrators at /services/usage/, and the collector of what it shows.

The hub runs this as its service `usage`. ``hub/usage.py --csv`` prints the same on the command line.
"""

from __future__ import annotations

import asyncio
import csv
import io
import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import httpx
from jinja2 import Environment, FileSystemLoader
from jupyterhub.services.auth import HubOAuth, HubOAuthCallbackHandler, HubOAuthenticated
from tornado.httpserver import HTTPServer
from tornado.web import Application, HTTPError, RequestHandler, authenticated

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gpdata.cli.options import human_bytes
from gpdata.errors import GpdataError
from gpdata.lake import Lake
from hub import usage_measures
from hub.settings import ROOT, Settings, settings
from hub.usage_records import SERVER, Records, Usage, month_of

_log = logging.getLogger("usage")

LOOK = 60
"""The most seconds between two looks at which servers run: one that ran for less may be missed."""
MEASURE = 900.0
HOMES = 6 * 3600.0
COLUMNS = (
    ("user", "User", "The name on the hub; (nobody): runs that came without a token."),
    ("home_bytes", "Home", "The disk space of the user's home, when it was last measured in that month."),
    ("lake_bytes", "Lake", "The share of the lake's files that the user's own runs take, measured likewise."),
    ("runs", "Runs", "Runs of which the first generation arrived in that month."),
    ("generations", "Generations", "Generations that arrived in that month."),
    ("server_hours", "Server hours", "For how long the user's notebook server ran in that month, to the minute."),
    ("executor_hours", "Executor hours", "Hours of Spark executors beside the server; none on a single machine."),
)
CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; font-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def records(here: Settings) -> Records:
    """Open what is kept of the users of a hub."""
    return Records(here.state / "usage.sqlite")


def ordered(rows: Sequence[Usage], sort: str) -> list[Usage]:
    """Order rows by a column; with a minus before its name, the greatest first. What is not known comes last.

    Examples
    --------
    >>> [row.user for row in ordered([Usage("a", runs=1), Usage("b", runs=2)], "-runs")]
    ['b', 'a']
    """
    column, reverse = sort.removeprefix("-"), sort.startswith("-")
    known = [row for row in rows if getattr(row, column) is not None]
    return [
        *sorted(known, key=lambda row: getattr(row, column), reverse=reverse),
        *(row for row in rows if getattr(row, column) is None),
    ]


def as_csv(rows: Sequence[Usage]) -> str:
    """Write rows as CSV: bytes as numbers, hours with three digits.

    Examples
    --------
    >>> print(as_csv([Usage("ada", home_bytes=10, runs=1)]), end="")
    user,home_bytes,lake_bytes,runs,generations,server_hours,executor_hours
    ada,10,,1,0,0.000,0.000
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(field.name for field in fields(Usage))
    for row in rows:
        # A spreadsheet takes a text that begins like this for a formula.
        user = f"'{row.user}" if row.user[:1] in tuple("=+-@") else row.user
        cells: Sequence[Any] = ("" if cell is None else cell for cell in astuple(row)[1:])
        writer.writerow([user, *(f"{cell:.3f}" if isinstance(cell, float) else cell for cell in cells)])
    return out.getvalue()


def shown(row: Usage) -> list[str]:
    """Write a row for people."""
    sizes = ["" if size is None else human_bytes(size) for size in (row.home_bytes, row.lake_bytes)]
    hours = [f"{hours:.1f}" for hours in (row.server_hours, row.executor_hours)]
    return [row.user or "(nobody)", *sizes, f"{row.runs:,}", f"{row.generations:,}", *hours]


class Page(HubOAuthenticated, RequestHandler):  # type: ignore[misc]
    """The table of a month, as a page or as CSV; for who may reach this service, which administrators do."""

    def initialize(self, kept: Records, hub: str) -> None:
        """Take what all requests share."""
        self.kept, self.hub = kept, hub

    def set_default_headers(self) -> None:
        """Let no other page frame this one, and no script run in it but the hub's."""
        self.set_header("Content-Security-Policy", CSP)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    @authenticated
    def get(self) -> None:
        """Answer with the table."""
        months = self.kept.months()
        month = self.get_query_argument("month", months[0])
        sort = self.get_query_argument("sort", "user")
        if month not in months:
            raise HTTPError(404, f"nothing is known of the month {month!r}; known are {', '.join(months)}")
        if sort.removeprefix("-") not in [name for name, _, _ in COLUMNS]:
            raise HTTPError(400, f"there is no column {sort!r}")
        rows = ordered(self.kept.month(month), sort)
        if self.get_query_argument("format", "") == "csv":
            self.set_header("Content-Type", "text/csv; charset=utf-8")
            self.set_header("Content-Disposition", f'attachment; filename="usage-{month}.csv"')
            self.finish(as_csv(rows))
            return
        templates = Environment(loader=FileSystemLoader(ROOT / "hub" / "templates"), autoescape=True)
        sums = Usage("", *(sum(getattr(row, name) or 0 for row in rows) for name, _, _ in COLUMNS[1:]))
        page = templates.get_template("usage.html").render(
            hub=self.hub,
            static=f"{self.hub}static/",
            admin=self.current_user["name"],
            month=month,
            months=months,
            sort=sort,
            columns=COLUMNS,
            rows=[shown(row) for row in rows],
            sums=["All", *shown(sums)[1:]],
            measured=f"Disk space was last measured at {self.kept.fact('measured') or '(not yet)'}.",
        )
        self.finish(page)


class Collector:
    """Looks which servers run, and now and then at the disk.

    Parameters
    ----------
    here : Settings
        The hub's settings.
    kept : Records
        Where what is seen is kept.
    api, token : str
        The hub's API, and this service's own token.
    """

    def __init__(self, here: Settings, kept: Records, api: str, token: str) -> None:
        self._here, self._kept, self._api, self._token = here, kept, api, token
        self._looked = self._walked = float("-inf")
        self._version = -1

    def run(self, every: float, parent: int) -> None:
        """Look for as long as the hub lives that started this; a hub that was killed starts another one of these."""
        try:
            while os.getppid() == parent:
                self.step()
                time.sleep(every)
        except Exception:
            _log.exception("the collector failed; the hub starts the service anew")
        os._exit(1)

    def step(self) -> None:
        """Look once; a hub that is away for a moment, or a lake that cannot be read, is told in the log."""
        try:
            people = usage_measures.users(self._api, self._token)
        except httpx.HTTPError as error:
            _log.warning("the hub does not say who is there: %s", error)
            return
        self._kept.seen(SERVER, usage_measures.running(people), time.time())
        if time.monotonic() - self._looked >= MEASURE:
            self._looked = time.monotonic()
            try:
                self.measure_lake()
            except (GpdataError, OSError) as error:
                _log.warning("the lake %s cannot be measured: %s", self._here.lake, error)
            if self._looked - self._walked >= HOMES:
                self._walked = self._looked
                self.measure_homes([person["name"] for person in people])
            self._kept.keep_fact("measured", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))

    def measure_lake(self) -> None:
        """Measure whose runs take how much of the lake."""
        lake = Lake.open(self._here.lake)
        shares = usage_measures.lake_shares(lake, self._kept.files())
        self._kept.keep_files(shares)
        self._kept.arrived(usage_measures.arrivals(lake))
        self._kept.measured(month_of(time.time()), "lake", usage_measures.total(shares))

    def measure_homes(self, names: Sequence[str]) -> None:
        """Measure the users' homes."""
        sizes = {}
        for name in names:
            home = usage_measures.home_of(name, self._here.users, self._here.state)
            size = usage_measures.bytes_below(home) if home is not None else None
            if size is not None:
                sizes[name] = size
        self._kept.measured(month_of(time.time()), "home", sizes)


async def serve() -> None:
    """Be the hub's service, for as long as the hub lives."""
    here = settings()
    os.nice(10)
    kept = records(here)
    prefix = os.environ["JUPYTERHUB_SERVICE_PREFIX"]
    auth = HubOAuth.instance(base_url=prefix, oauth_redirect_uri=f"{prefix}oauth_callback", cache_max_age=10)
    application = Application(
        [
            (prefix, Page, {"kept": kept, "hub": auth.hub_prefix}),
            (f"{prefix}oauth_callback", HubOAuthCallbackHandler),
        ],
        cookie_secret=os.urandom(32),
    )
    address = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    HTTPServer(application, xheaders=True).listen(address.port, address.hostname)
    collector = Collector(here, kept, os.environ["JUPYTERHUB_API_URL"], os.environ["JUPYTERHUB_API_TOKEN"])
    # Nobody waits for a look that is under way when the service is to end.
    threading.Thread(target=collector.run, args=(min(LOOK, here.look), os.getppid()), daemon=True).start()
    await asyncio.Event().wait()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--csv", "print_csv", is_flag=True, help="Print the table as CSV and end.")
@click.option("--month", help="Such as 2026-11; the newest by default.")
@click.option("--serve", "be_service", is_flag=True, hidden=True, help="Be the hub's service.")
def main(print_csv: bool, month: str | None, be_service: bool) -> None:
    """Say who used how much of this hub in a month."""
    logging.basicConfig(format="usage: %(message)s")
    if be_service:
        with suppress(KeyboardInterrupt):  # so the hub ends its services
            asyncio.run(serve())
        return
    here = settings()
    if not (here.state / "usage.sqlite").exists():
        raise click.ClickException(f"nothing was recorded in {here.state}; name the HUB_STATE of a hub that ran")
    kept = records(here)
    months = kept.months()
    if month is not None and month not in months:
        raise click.BadParameter(f"nothing is known of {month!r}; known are {', '.join(months)}")
    rows = kept.month(month or months[0])
    if print_csv:
        click.echo(as_csv(rows), nl=False)
        return
    for cells in ([title for _, title, _ in COLUMNS], *map(shown, rows)):
        click.echo("".join(f"{cell:<20}" if not place else f"{cell:>16}" for place, cell in enumerate(cells)))


if __name__ == "__main__":
    main()
