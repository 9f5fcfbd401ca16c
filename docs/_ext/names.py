"""What a docstring says in single backticks becomes a link where it is a public name, and code in any case.

Docstrings are read in a terminal first, so they say `success_table` and not ``:func:`gpdata.success_table```; and
they set formulas off by indenting them, which reStructuredText takes for a quotation.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

import gpdata


def homes() -> dict[str, str]:
    """Return the full name under which the API pages have each name that docstrings use."""
    found = {"Lab": "gpdata.lab.Lab", "Run": "gpdata.run.Run", "Provenance": "gpdata.origin.Provenance"}
    found["Recorder.generation"] = "gpdata.Recorder.generation"
    elsewhere = {"compare_success": "gpdata.stats.compare_success"}  # public twice, and described once
    for name in gpdata.__all__:
        value = getattr(gpdata, name)
        inner = getattr(value, "__all__", []) if inspect.ismodule(value) else []
        found |= {f"{name}.{word}": f"gpdata.{name}.{word}" for word in inner}
        if not inspect.ismodule(value):
            found[name] = elsewhere.get(name, f"gpdata.{name}")
    found |= {f"{prefix}.{name}": full for name, full in list(found.items()) for prefix in ("gpdata", "gp")}
    return found


HOMES = homes()


def role(name: str, rawtext: str, text: str, lineno: int, inliner: Any, *_: object) -> tuple[list[Any], list[Any]]:
    """Make code of the text, and a link where it is a name or a call of one."""
    code = nodes.literal(rawtext, text, classes=["py"])
    called = text.partition("(")[0]
    module = str(inliner.document.settings.env.ref_context.get("py:module", "")).removeprefix("gpdata.")
    full = HOMES.get(called) or HOMES.get(f"{module}.{called}")
    if full is None:
        return [code], []
    link = addnodes.pending_xref(
        rawtext, code, refdomain="py", reftype="obj", reftarget=full, refexplicit=True, refwarn=True
    )
    link["refdoc"] = inliner.document.settings.env.docname
    return [link], []


def take_notes(_app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]) -> None:
    """Let an indented block of Notes be taken as it stands, and |x| be an absolute value."""
    heading = ""
    for i, line in enumerate(lines):
        if re.fullmatch(r"-{3,}", line.strip()):
            heading = lines[i - 1].strip()
        after = lines[i + 1 : i + 3]
        if heading != "Notes" or line.startswith("    ") or not line.strip():
            continue
        if len(after) == 2 and not after[0].strip() and after[1].startswith("    "):
            lines[i] = line = line.rstrip().removesuffix(":") + "::"
        lines[i] = line.replace("|", r"\|")


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the role, and read docstrings before napoleon does."""
    app.add_role("gpdata", role)
    app.connect("autodoc-process-docstring", take_notes, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
