"""Formulas as MathML, which browsers draw by themselves: a page needs no script from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

LOG = logging.getLogger(__name__)


def formula(node: nodes.Element, *, as_block: bool) -> str:
    """Return a formula as MathML; what docutils cannot read is a warning, and shown as it stands."""
    try:
        found: str = latex2mathml.tex2mathml(node.astext(), as_block=as_block)
    except MathError as error:
        LOG.warning("formula %r: %s", node.astext(), error, location=node)
        return f"<code>{escape(node.astext())}</code>"
    return found


def inline(writer: Any, node: nodes.Element) -> None:
    """Write a formula of a sentence."""
    writer.body.append(formula(node, as_block=False))
    raise nodes.SkipNode


def block(writer: Any, node: nodes.Element) -> None:
    """Write a formula of its own."""
    writer.body.append(f'<div class="formula">{formula(node, as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Be a renderer of formulas."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
