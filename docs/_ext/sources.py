"""A directive that says where a definition comes from: the citation in the docstring of the function."""

from __future__ import annotations

import inspect
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import gpdata


def citation(function: object) -> str:
    """Return what a docstring names as sources; empty where it names none."""
    doc = inspect.getdoc(function) or ""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}$", doc, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    if "References" in sections:
        return " ".join(sections["References"].split())
    found = re.search(r"(?:Source|The interval): (.*?)(?:\n\n|\Z)", sections.get("Notes", ""), re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def function_of(name: str) -> Any:
    """Return a function of gpdata, or of gpdata.stats, by its name."""
    found = getattr(gpdata, name, None) if name in gpdata.__all__ else getattr(gpdata.stats, name, None)
    if found is None:
        raise LookupError(f"neither gpdata nor gpdata.stats has {name!r}")
    return found


class Source(SphinxDirective):
    """``{source} name``: a link to the function, and its sources."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make a line of it."""
        name = self.arguments[0]
        cited = citation(function_of(name))
        if not cited:
            raise self.error(f"the docstring of {name} names no source")
        line = f"{{py:obj}}`{name}() <{self._home(name)}>`. {cited}"
        box = nodes.container(classes=["source"])
        box += self.parse_text_to_nodes(line)
        return [box]

    @staticmethod
    def _home(name: str) -> str:
        return f"gpdata.stats.{name}" if name in gpdata.stats.__all__ else f"gpdata.{name}"


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("source", Source)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
