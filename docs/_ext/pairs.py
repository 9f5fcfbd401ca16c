"""On the pages "coming from", two blocks of code that follow each other stand side by side where there is room."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform


class Pairs(SphinxTransform):
    """Put each two neighbouring blocks of code into a box."""

    default_priority = 400

    def apply(self, **_: object) -> None:
        """Do so on this page."""
        if not self.env.docname.startswith("coming-from/"):
            return
        for block in list(self.document.findall(nodes.literal_block)):
            parent = block.parent
            if parent is None or "pair" in parent.get("classes", []):
                continue
            following = block.next_node(descend=False, siblings=True)
            if isinstance(following, nodes.literal_block):
                box = nodes.container(classes=["pair"])
                block.replace_self(box)
                parent.remove(following)
                box += [block, following]


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the transform."""
    app.add_transform(Pairs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
