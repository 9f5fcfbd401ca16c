"""Links from a page to files of the repository that are no pages.

On GitHub they open the file. On the site they lead to the page that shows it, where there is one, else to a copy of
the file; a folder is shown by its name. A link to something that is not there is a warning, hence an error.
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = {
    "CONTRIBUTING": "contributing",
    "CHANGELOG": "changelog",
    "README": "index",
    "example-notebooks": "notebooks/index",
    "example-notebooks/README": "notebooks/index",
    "docs/decisions": "decisions/README",
}
"""The pages of what lies elsewhere than the page does, without suffix."""


def home(docname: str) -> str:
    """Return the folder of the repository where the links of a page begin."""
    if docname in ("contributing", "changelog"):
        return ""
    if docname.startswith("notebooks/"):
        return "example-notebooks"
    return posixpath.dirname(f"docs/{docname}")


def page_of(path: str) -> str | None:
    """Return the page that shows a file or folder of the repository; None where there is none."""
    stem = path.removesuffix(".md").removesuffix(".ipynb")
    if stem in PAGES:
        return PAGES[stem]
    if stem.startswith("example-notebooks/"):
        return stem.replace("example-notebooks/", "notebooks/")
    return stem.removeprefix("docs/") if path.startswith("docs/") and path.endswith(".md") else None


class RepositoryLinks(SphinxTransform):
    """Turn links to files elsewhere into links to pages or copies, and those to folders into their names."""

    default_priority = 5

    def apply(self, **_: object) -> None:
        """Do so on this page."""
        for kind in (addnodes.download_reference, addnodes.pending_xref):
            for link in list(self.document.findall(kind)):
                self._turn(link)

    def _turn(self, link: Any) -> None:
        file, _, anchor = link.get("reftarget", "").partition("#")
        if not file or "://" in file or file in self.env.found_docs or link.get("refdomain") not in (None, "", "doc"):
            return
        start = home(self.env.docname)
        path = posixpath.normpath(posixpath.join(ROOT, start, file)).removeprefix(f"{ROOT}/")
        moved = not path.startswith("docs/") or start != posixpath.dirname(f"docs/{self.env.docname}")
        page = page_of(path) if moved or (ROOT / path).is_dir() else None
        if page is not None:
            options = {"refdomain": "doc", "reftype": "myst", "refexplicit": True, "refdoc": self.env.docname}
            turned = addnodes.pending_xref("", *link.children, reftarget=page, reftargetid=anchor or None, **options)
            link.replace_self(turned)
        elif start == "" and (ROOT / path).is_file():
            link.replace_self(addnodes.download_reference("", *link.children, reftarget=f"../{path}", refdoc="index"))
        elif (ROOT / path).is_dir():
            link.replace_self(nodes.literal("", path.rstrip("/") + "/"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the transform."""
    app.add_transform(RepositoryLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
