"""Pages that are made when the site is built: the example notebooks, and the help of every command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from sphinx.application import Sphinx
from sphinx.config import Config

from gpdata.cli import main

DOCS = Path(__file__).resolve().parent.parent
NOTEBOOKS = DOCS.parent / "example-notebooks"
WIDTH = 88


def write(path: Path, data: bytes) -> None:
    """Write a file that is not so already, so that it is not read again."""
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_bytes() != data:
        path.write_bytes(data)


def notebooks() -> None:
    """Copy the notebooks, with a page that lists them."""
    copies = DOCS / "notebooks"
    names = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
    for name in names:
        write(copies / name, (NOTEBOOKS / name).read_bytes())
    for stale in {path.name for path in copies.glob("*.ipynb")} - set(names):
        (copies / stale).unlink()
    readme = NOTEBOOKS / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else "# Example notebooks\n"
    listed = "\n".join(name.removesuffix(".ipynb") for name in names)
    write(copies / "index.md", f"{text}\n```{{toctree}}\n:maxdepth: 1\n:hidden:\n\n{listed}\n```\n".encode())


def commands(command: click.Command, context: click.Context, level: int = 2) -> Iterator[str]:
    """Yield a section for each command below a group: its name, and what --help says."""
    if not isinstance(command, click.Group):
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        if child is None or child.hidden:
            continue
        inner = click.Context(child, info_name=name, parent=context, terminal_width=WIDTH, max_content_width=WIDTH)
        yield f"{'#' * level} {inner.command_path}\n\n```text\n{child.get_help(inner)}\n```\n"
        yield from commands(child, inner, level + 1)


def command_line() -> None:
    """Write the page of the command line."""
    settings = {"terminal_width": WIDTH, "max_content_width": WIDTH, **main.context_settings}
    context = click.Context(main, info_name="gpdata", **settings)
    parts = [
        "# The command line\n\nWhat `--help` says of each command, for reading at leisure.\n",
        f"```text\n{main.get_help(context)}\n```\n",
        *commands(main, context),
    ]
    write(DOCS / "commands.md", "\n".join(parts).encode())


def make(_app: Sphinx, _config: Config) -> None:
    """Make all of them."""
    notebooks()
    command_line()


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the pages before Sphinx looks for pages."""
    app.connect("config-inited", make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
