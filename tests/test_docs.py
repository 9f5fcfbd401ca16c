"""Pages that state facts of the code state all of them."""

from __future__ import annotations

import re

from gpdata.lake.batch import REFUSALS
from gpdata.wire import REJECTIONS
from tests.analyses.page import page
from tests.conftest import ROOT


def test_every_quarantine_code_is_explained() -> None:
    page = (ROOT / "docs" / "quarantine.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert explained == {*REJECTIONS, *REFUSALS, "source_damaged"}


def test_every_guarantee_names_tests_that_are_there() -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8"))
    assert len(named) > 25
    folder = ROOT / "tests" / "faults"
    missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in (folder / file).read_text()]
    assert missing == []


def test_every_analysis_is_on_its_page() -> None:
    made = page()
    written = (ROOT / "docs" / "analyses.md").read_text(encoding="utf-8")
    assert written == made, "make it anew: python -m tests.analyses.page > docs/analyses.md"


def test_the_security_page_names_tests_that_are_there() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`(?:tests/(\w+)/)?(test_\w+\.py)::(test_\w+)`", text.replace("\n", " "))
    assert len(named) > 25
    missing = [
        f"{file}::{name}"
        for folder, file, name in named
        if f"def {name}(" not in (ROOT / "tests" / (folder or "hub") / file).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_links_between_pages_of_the_hub_lead_somewhere() -> None:
    for name_of_page in ("hub.md", "security.md"):
        text = (ROOT / "docs" / name_of_page).read_text(encoding="utf-8")
        for name, anchor in re.findall(r"\]\((\w+\.md)?(#[\w-]+)?\)", text):
            target = (ROOT / "docs" / (name or name_of_page)).read_text(encoding="utf-8")
            headings = re.findall(r"^#+ (.*)$", target, re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
            assert not anchor or anchor[1:] in slugs, f"{name_of_page}: {name}{anchor}"
