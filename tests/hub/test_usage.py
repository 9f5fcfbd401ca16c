"""Who uses how much: what is recorded and measured, and the page that only administrators open."""

from __future__ import annotations

import csv
import doctest
import io
import os
import re
import subprocess
import sys
from datetime import UTC, datetime

import httpx
import pytest

from gpdata.lake import Lake, Transformer
from gpdata.lake.compaction import compact
from gpdata.spool import Meta
from hub import usage, usage_measures, usage_records
from hub.settings import FOLDERS, ROOT
from hub.usage_records import EXECUTOR, SERVER, Records
from tests.support import run_lines, until

pytestmark = pytest.mark.xdist_group("hub-usage")


def time_of(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("module", [usage, usage_records, usage_measures], ids=lambda module: module.__name__)
def test_examples(module):
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_hours_are_those_between_the_start_and_the_last_look_in_each_month(tmp_path):
    records = Records(tmp_path / "usage.sqlite")
    began = time_of(2026, 10, 31, 22)
    for hours in (0, 1, 4, 3):  # looks may come late, and a collector may have been away
        records.seen(SERVER, [("ada", "", began)], began + hours * 3600)
    records.seen(SERVER, [("ada", "", began + 6 * 3600)], began + 7 * 3600)
    records.seen(EXECUTOR, [("ada", "app-1/1", began), ("ada", "app-1/2", began)], began + 1800)
    records.seen(SERVER, [("bob", "", began - 60)], began - 3600)  # a clock that was set back takes no hours
    found = {month: {row.user: row for row in records.month(month)} for month in records.months()}
    assert (found["2026-10"]["ada"].server_hours, found["2026-11"]["ada"].server_hours) == (2, 3)
    assert (found["2026-10"]["ada"].executor_hours, found["2026-11"]["ada"].executor_hours) == (1, 0)
    assert found["2026-10"].get("bob", usage_records.Usage("bob")).server_hours == 0
    assert (tmp_path / "usage.sqlite").stat().st_mode & 0o777 == 0o600


def test_each_owner_has_the_bytes_runs_and_generations_that_are_theirs(tmp_path):
    lake = Lake.create(tmp_path / "lake")
    received = datetime(2026, 10, 31, 23, 59, tzinfo=UTC)
    for run, owner, count in (("a", "ada", 8), ("b", "bob", 2), ("n", None, 1)):
        lake.spool().write(run_lines(run, count), Meta("test", owner=owner, received_at=received))
    Transformer(lake).run()
    first = usage_measures.lake_shares(lake, {})
    sizes = usage_measures.total(first)
    on_disk = sum(file.size for table in lake.tables.values() for file in table.files())
    assert abs(sum(sizes.values()) - on_disk) < 10
    assert sizes["ada"] > 2 * sizes["bob"] > sizes[""] > 0
    assert usage_measures.arrivals(lake) == [("", "2026-10", 1, 1), ("ada", "2026-10", 1, 8), ("bob", "2026-10", 1, 2)]
    # What is known is not read again, and what is no more in the lake is forgotten.
    invented = {name: {"ada": 1} for name in first}
    assert usage_measures.lake_shares(lake, invented) == invented
    lake.spool().write(run_lines("file", 3), Meta("import"))  # began in November 2023
    Transformer(lake).run()
    assert usage_measures.arrivals(lake)[0] == ("", "2023-11", 1, 3)
    compact(lake)
    assert not usage_measures.lake_shares(lake, invented).keys() & invented.keys()


def test_a_home_is_measured_without_following_links(tmp_path):
    home = tmp_path / "homes" / "ada"
    home.mkdir(parents=True)
    (tmp_path / "large").write_bytes(os.urandom(1 << 20))
    (home / "link").symlink_to(tmp_path / "large")
    (home / "folder").symlink_to(tmp_path)
    (home / "own").write_bytes(os.urandom(100_000))
    assert usage_measures.home_of("ada", FOLDERS, tmp_path) == home
    assert usage_measures.home_of("bob", FOLDERS, tmp_path) is None
    assert 100_000 <= usage_measures.bytes_below(home) < 300_000
    assert usage_measures.bytes_below(tmp_path / "gone") is None


def test_a_measurement_replaces_that_of_the_same_month_only(tmp_path):
    records = Records(tmp_path / "usage.sqlite")
    records.measured("2026-10", "home", {"ada": 1, "bob": 2})
    records.measured("2026-10", "lake", {"ada": 3})
    records.measured("2026-11", "home", {"ada": 4})
    records.measured("2026-11", "home", {"ada": 5})
    assert [(row.user, row.home_bytes, row.lake_bytes) for row in records.month("2026-10")] == [
        ("ada", 1, 3),
        ("bob", 2, None),
    ]
    assert [(row.user, row.home_bytes) for row in records.month("2026-11")] == [("ada", 5)]
    assert [row.user for row in usage.ordered(records.month("2026-10"), "-lake_bytes")] == ["ada", "bob"]


def test_csv_starts_no_formula_in_a_spreadsheet():
    text = usage.as_csv([usage_records.Usage("=cmd|x"), usage_records.Usage('a,"b')])
    assert [row[0] for row in csv.reader(io.StringIO(text))][1:] == ["'=cmd|x", 'a,"b']


@pytest.fixture(scope="module")
def live(installed_proxy, tmp_path_factory):
    """Return a hub that looks often, its administrator and Ada, who has a run and a server."""
    from tests.hub.live import live_hub

    folder = tmp_path_factory.mktemp("usage")
    lake = Lake.create(folder / "lake")
    lake.spool().write(run_lines("a"), Meta("test", owner="ada", received_at=datetime.now(UTC)))
    Transformer(lake).run()
    with live_hub(folder / "state", folder / "lake", HUB_IDLE="4m") as hub:
        hub.add("carol", "--admin")
        hub.add("ada")
        yield hub, hub.sign_in("carol"), hub.sign_in("ada")


def rows(answer: httpx.Response) -> dict[str, dict[str, str]]:
    assert answer.status_code == 200, answer.text[-2000:]
    return {row["user"]: row for row in csv.DictReader(io.StringIO(answer.text))}


@pytest.mark.faults  # it waits until hours have been counted; `make test-hub`
def test_administrators_see_what_everybody_uses(live):
    hub, carol, ada = live

    def table() -> dict[str, dict[str, str]]:
        return rows(carol.client.get("services/usage/", params={"format": "csv"}))

    until(lambda: carol.client.get("services/usage/").status_code == 200, 60, "the service")
    ada.start()
    until(lambda: float(table().get("ada", {}).get("server_hours", 0)) > 0, 180, "the server's hours")
    found = table()["ada"]
    assert (found["runs"], found["generations"], found["executor_hours"]) == ("1", "5", "0.000")
    assert int(found["home_bytes"] or 0) >= 0
    assert int(found["lake_bytes"]) > 1000
    page = carol.client.get("services/usage/", params={"sort": "-generations"})
    assert page.url.path == "/services/usage/"
    assert re.search(r'<th [^>]*aria-sort="descending">\s*<a href="\?month=[\d-]+&amp;sort=generations">', page.text)
    assert "<td>ada</td>" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for address in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
        assert carol.client.get(address).status_code == 200, address
    assert 'href="/services/usage/"' in carol.client.get("hub/home").text
    for question, status in (({"month": "1999-01"}, 404), ({"sort": "password"}, 400)):
        assert carol.client.get("services/usage/", params=question).status_code == status
    printed = subprocess.run(
        [sys.executable, ROOT / "hub" / "usage.py", "--csv"], env=hub.environment, capture_output=True, text=True
    )
    assert printed.stdout.startswith("user,home_bytes,lake_bytes,")
    assert "\nada," in printed.stdout


def test_nobody_else_does(live):
    hub, carol, ada = live
    until(lambda: carol.client.get("services/usage/").status_code == 200, 60, "the service")
    assert ada.client.get("services/usage/").status_code == 403
    assert "services/usage/" not in ada.client.get("hub/home").text
    for token, status in ((ada.token, 403), ("f" * 32, 403)):
        headers = {"Authorization": f"token {token}"}
        answer = httpx.get(f"{hub.url}services/usage/", headers=headers, follow_redirects=False, timeout=60)
        assert answer.status_code in (status, 302), answer.text
        assert "server_hours" not in answer.text
    answer = httpx.get(f"{hub.url}services/usage/", follow_redirects=True, timeout=60)
    assert answer.url.path == "/hub/login"
