"""What docs/clojush.md tells people to type does what it says."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from gpdata.schema import GENERATIONS, INDIVIDUALS
from tests import pages
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "clojush.md"


@pytest.mark.skipif(not shutil.which("curl"), reason="the page uses curl")
def test_the_page_works_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("GPDATA_")]:
        monkeypatch.delenv(name)
    assert pages.run(PAGE, tmp_path) == 6
    assert (tmp_path / "curves.pdf").stat().st_size > 1000
    shipped = ROOT / "gpdata" / "upload" / "clojure" / "gpdata" / "recorder.clj"
    assert (tmp_path / "src" / "gpdata" / "recorder.clj").read_bytes() == shipped.read_bytes()


def test_the_columns_that_it_names_are_there() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("| recorded | needs |")[2].partition("\n\n")[0]
    first = [row.split("|")[1] for row in table.strip().splitlines()[1:]]
    named = {name for cell in first for name in re.findall(r"`([a-z]+_[a-z_]+)`", cell)}
    assert {"gene_uuid", "meta_errors", "test_errors"} <= named
    assert {name for name in named if f"best_{name}" not in GENERATIONS.names} - set(INDIVIDUALS.names) == set()
