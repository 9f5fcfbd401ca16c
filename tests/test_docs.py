"""Pages that state facts of the code state all of them."""

from __future__ import annotations

import re

from gpdata.lake.batch import REFUSALS
from gpdata.wire import REJECTIONS
from tests.conftest import ROOT


def test_every_quarantine_code_is_explained() -> None:
    page = (ROOT / "docs" / "quarantine.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert explained == {*REJECTIONS, *REFUSALS, "source_damaged"}
