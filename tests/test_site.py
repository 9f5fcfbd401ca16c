"""The site: it builds without a warning, shows every public name, and what its pages tell people to type works."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import gpdata
from tests import pages
from tests.conftest import ROOT, made_once
from tests.test_package import public

DOCS = ROOT / "docs"
RUN = [
    DOCS / "index.md",
    DOCS / "tutorial.md",
    *sorted((DOCS / "how-to").glob("*.md")),
    *sorted((DOCS / "coming-from").glob("*.md")),
]
RUN = [page for page in RUN if any(block.runs for block in pages.blocks(page))]
APART = {"spark.md", "slow-jobs.md", "ingest-on-spark.md"}
"""A page that starts a Java machine runs in a process of its own, which ends it; `make test-spark` runs it."""
CITES = re.compile(r"^References\n-{3,}|^Source: ", re.MULTILINE)
OF_PICTURES = {"write_dot"}
"""What cites how something is drawn, not what is computed."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the site, built as `make site` does."""

    def make(path: Path) -> None:
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", "--keep-going", "-j", "2"]
        done = subprocess.run(
            [*command, "-d", f"{path}.doctrees", DOCS, path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "site", make)


class Page(HTMLParser):
    """What a page of the site links to and can be linked to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            if name in ("href", "src") and value:
                self.links.add(value)


@pytest.mark.xdist_group("site")
def test_each_link_and_anchor_of_the_site_leads_somewhere(site: Path) -> None:
    found = {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    assert len(found) > 60
    broken = []
    for path, page in found.items():
        for link in page.links:
            to = urlsplit(link)
            if to.scheme or to.netloc:
                continue
            target = (path.parent / unquote(to.path)).resolve() if to.path else path
            if not target.exists() or (
                to.fragment and target in found and unquote(to.fragment) not in found[target].anchors
            ):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert not broken


@pytest.mark.xdist_group("site")
def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    loaded = re.compile(r'<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)="((?:https?:)?//[^"]+)"')
    assert {url for path in site.rglob("*.html") for url in loaded.findall(Page(path).text)} == set()


@pytest.mark.xdist_group("site")
def test_every_public_name_is_on_a_page_of_the_api(site: Path) -> None:
    there = {anchor for path in (site / "api").glob("*.html") for anchor in Page(path).anchors}
    twice = {"gpdata.compare_success"}  # gpdata.stats has it
    errors = [value for value in vars(gpdata.errors).values() if inspect.isclass(value)]
    errors = [value for value in errors if issubclass(value, gpdata.errors.GpdataError)]
    names = {name for name, _ in public()} | {f"gpdata.errors.{error.__name__}" for error in errors}
    assert names - there - twice == set()
    members = {"lab.Lab.sql", "lab.Lab.run", "lab.Lab.files", "run.Run.genes", "Recorder.generation"}
    assert {f"gpdata.{member}" for member in members} <= there


@pytest.mark.xdist_group("site")
def test_every_command_is_on_the_page_of_the_command_line(site: Path) -> None:
    from gpdata.cli import COMMANDS

    text = Page(site / "commands.html").text
    assert [name for name in COMMANDS if f"gpdata {name}" not in text] == []


@pytest.mark.xdist_group("site")
def test_every_notebook_is_shown_with_its_pictures(site: Path) -> None:
    for notebook in (ROOT / "example-notebooks").glob("*.ipynb"):
        shown = Page(site / "notebooks" / f"{notebook.stem}.html").text
        assert shown.count("cell_input") >= 3, notebook.name
        pictures = notebook.read_text(encoding="utf-8").count('"image/png"')
        assert len(re.findall(r"<img [^>]*_images/", shown)) >= pictures, notebook.name


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.faults] if page.name in APART else []) for page in RUN],
    ids=lambda page: str(page.relative_to(DOCS)),
)
def test_what_a_page_tells_to_type_works(
    page: Path, example_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if page.stem != "tutorial" and "my-lake" in page.read_text(encoding="utf-8"):
        shutil.copytree(example_lake, tmp_path / "my-lake")
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("GPDATA_")]:
        monkeypatch.delenv(name)
    if page.name in APART:
        code = "import sys, pathlib; from tests import pages; pages.run(pathlib.Path(sys.argv[1]), pathlib.Path())"
        done = subprocess.run(
            [sys.executable, "-c", code, page],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    else:
        pages.run(page, tmp_path)


def test_a_page_has_code_that_runs_for_each_task_of_coming_from() -> None:
    for name in ("grep", "mlflow", "wandb", "deap", "neo4j"):
        page = DOCS / "coming-from" / f"{name}.md"
        ours = [block for block in pages.blocks(page) if block.first == "# gpdata"]
        assert len(ours) == 5, name


def test_every_source_that_a_docstring_names_is_on_the_page_of_formulas() -> None:
    page = (DOCS / "formulas.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^```\{source\} (\w+)$", page, re.MULTILINE))
    cited = {name.rpartition(".")[2] for name, value in public() if CITES.search(inspect.getdoc(value) or "")}
    assert cited - told - OF_PICTURES == set()


def test_links_between_markdown_files_lead_somewhere_on_github() -> None:
    files = [*ROOT.glob("*.md"), *(path for path in DOCS.rglob("*.md") if not is_made(path))]
    files += (ROOT / "example-notebooks").glob("*.md")
    broken = []
    for file in files:
        text = re.sub(r"^```.*?^```$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            to = urlsplit(link)
            if to.scheme:
                continue
            target = file.parent / unquote(to.path) if to.path else file
            made = is_made(target)
            if not made and (not target.exists() or (to.fragment and to.fragment not in slugs(target))):
                broken.append(f"{file.relative_to(ROOT)}: {link}")
    assert not broken


def is_made(path: Path) -> bool:
    """Say whether a page is made when the site is built."""
    return path.resolve().is_relative_to(DOCS / "notebooks") or path.resolve() == DOCS / "commands.md"


def slugs(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
