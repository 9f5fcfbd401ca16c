"""The journal of an import that was broken off."""

from __future__ import annotations

from pathlib import Path

from gpdata.importers.journal import Done, Journal
from gpdata.importers.work import Order
from gpdata.lake import Lake, Transformer
from gpdata.spool import Meta
from tests.support import run_lines


def _journal(lake: Lake) -> Journal:
    return Journal(lake, Order(str(lake.path), None, 1 << 30, 1 << 20), ["somewhere"])


def _with_a_batch(path: Path) -> Lake:
    lake = Lake.create(path)
    lake.spool().write(run_lines(), Meta("recorder"))
    Transformer(lake).run()
    return lake


def test_it_is_read_by_the_same_import(tmp_path: Path) -> None:
    journal = _journal(lake := _with_a_batch(tmp_path / "lake"))
    journal.units = {"unit": Done(done=3)}
    journal.write()
    assert _journal(lake).units == {"unit": Done(done=3)}
    assert _journal(lake).begun


def test_of_a_lake_that_was_put_back(tmp_path: Path) -> None:
    journal = _journal(lake := _with_a_batch(tmp_path / "lake"))
    journal.units = {"unit": Done(done=3)}
    journal.write()
    [page] = (lake.path / "receipts").glob("import-*.json")
    older = Lake.create(tmp_path / "older")
    (older.path / "receipts" / page.name).write_bytes(page.read_bytes())
    (found := _journal(older))._path = older.path / "receipts" / page.name
    assert found._read() == {}, "what it says is done is not in this lake"


def test_what_is_no_journal_is_left_out(tmp_path: Path) -> None:
    journal = _journal(lake := _with_a_batch(tmp_path / "lake"))
    journal.write()
    [page] = (lake.path / "receipts").glob("import-*.json")
    page.write_bytes(page.read_bytes()[:-5])
    assert _journal(lake).units == {}
