"""What a lab, a run and a provenance show of themselves, in a notebook and in a terminal.

Whoever is shown makes a `Card`; how it looks stands here. Colours are those of the page or terminal around it, and
nothing that was recorded is taken for markup or for a command to the terminal.
"""

from __future__ import annotations

import html
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

_BLOCKS = "▁▂▃▄▅▆▇█"
_LINE = "1px solid rgba(128, 128, 128, 0.35)"
_QUIET = "opacity: 0.65"
_WIDTH, _HEIGHT = 200, 36
"""Of the curve, in pixels."""
_CHARACTERS = 40
"""Of the curve in a terminal."""


@dataclass(frozen=True)
class Code:
    """Text that is shown as it is, in letters of one width."""

    text: str


@dataclass(frozen=True)
class Curve:
    """Values over generations, None where there is none, and what they are in words."""

    values: Sequence[float | None]
    said: str


@dataclass(frozen=True)
class Grid:
    """A small table: texts, and numbers to the right."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = field(default_factory=frozenset)
    """The columns that hold numbers."""
    more: str = ""
    """What is not in the table."""


@dataclass(frozen=True)
class Card:
    """A title, facts, and small tables."""

    title: str
    facts: Mapping[str, str | Code | Curve]
    grids: Sequence[Grid] = ()

    def html(self) -> str:
        """Return it as HTML that inherits the colours of the page.

        Examples
        --------
        >>> "&lt;script&gt;" in Card("Run", {"label": "<script>"}).html()
        True
        """
        facts = "".join(
            f'<div style="{_QUIET}">{escaped(name)}</div><div style="overflow-wrap: anywhere">{_fact(fact)}</div>'
            for name, fact in self.facts.items()
        )
        columns = "display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.1em 1.2em"
        return (
            '<div class="gpdata" style="color: inherit; line-height: 1.45; max-width: 62em">'
            f'<div style="font-weight: 600; border-bottom: {_LINE}; margin-bottom: 0.4em">{escaped(self.title)}</div>'
            f'<div style="{columns}">{facts}</div>{"".join(map(_grid, self.grids))}</div>'
        )

    def rich(self) -> RenderableType:
        """Return it as rich prints it."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        facts = Table.grid(padding=(0, 2))
        for name, fact in self.facts.items():
            facts.add_row(Text(printable(name), style="dim"), Text(_plain(fact)))
        parts: list[RenderableType] = [Text(printable(self.title), style="bold"), facts]
        for grid in self.grids:
            table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
            for index, name in enumerate(grid.header):
                table.add_column(Text(printable(name)), justify="right" if index in grid.numbers else "left")
            for row in grid.rows:
                table.add_row(*(Text(printable(value)) for value in row))
            parts += [Text(""), Text(printable(grid.title), style="bold"), table]
            if grid.more:
                parts.append(Text(printable(grid.more), style="dim"))
        return Group(*parts)

    def text(self, width: int = 110) -> str:
        """Return it as plain text, in lines of that many characters at most.

        Examples
        --------
        >>> print(Card("Run", {"problem": "odd"}).text())
        Run
        problem  odd
        """
        from rich.console import Console

        file = io.StringIO()
        Console(file=file, width=width, color_system=None, legacy_windows=False, force_jupyter=False).print(self.rich())
        return "\n".join(line.rstrip() for line in file.getvalue().rstrip().splitlines())


def escaped(text: str) -> str:
    """Return text for HTML."""
    return html.escape(printable(text))


def printable(text: str) -> str:
    r"""Return text without what a terminal would obey; line breaks and tabs stay.

    Examples
    --------
    >>> printable("red\x1b[31m")
    'red�[31m'
    """
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "�" for letter in text)


def shortened(text: str, most: int, *, counted: bool = False) -> str:
    """Cut a text that is longer than so many characters, and where asked say how long it was.

    Examples
    --------
    >>> shortened("abcdef", 3), shortened("abcdef", 3, counted=True)
    ('ab…', 'ab… (6 characters)')
    """
    if len(text) <= most:
        return text
    return f"{text[: most - 1]}…" + (f" ({len(text):,} characters)" if counted else "")


def _fact(fact: str | Code | Curve) -> str:
    if isinstance(fact, Code):
        style = "margin: 0; white-space: pre-wrap; background: transparent; color: inherit"
        return f'<pre style="{style}">{escaped(fact.text)}</pre>'
    if isinstance(fact, Curve):
        return f'{_drawing(fact)} <span style="{_QUIET}">{escaped(fact.said)}</span>'
    return escaped(fact)


def _plain(fact: str | Code | Curve) -> str:
    if isinstance(fact, Curve):
        return f"{_blocks(fact.values)}  {fact.said}".strip()
    return printable(fact.text if isinstance(fact, Code) else fact)


def _grid(grid: Grid) -> str:
    def cells(tag: str, row: Sequence[str], style: str) -> str:
        return "".join(
            f'<{tag} style="padding: 0.1em 1.2em 0.1em 0; white-space: nowrap; background: transparent; {style}; '
            f'text-align: {"right" if index in grid.numbers else "left"}">{escaped(value)}</{tag}>'
            for index, value in enumerate(row)
        )

    plain = "background: transparent; border: none"
    header = f'<tr style="{plain}">{cells("th", grid.header, f"{_QUIET}; font-weight: normal")}</tr>'
    body = "".join(f'<tr style="{plain}">{cells("td", row, "color: inherit")}</tr>' for row in grid.rows)
    more = f'<div style="{_QUIET}">{escaped(grid.more)}</div>' if grid.more else ""
    return (
        f'<div style="font-weight: 600; margin-top: 0.6em">{escaped(grid.title)}</div><div style="overflow-x: auto">'
        f'<table style="border-collapse: collapse; margin: 0; color: inherit; border: none">'
        f"<thead>{header}</thead><tbody>{body}</tbody></table></div>{more}"
    )


def _drawing(curve: Curve) -> str:
    """Draw a curve as SVG; it breaks where there is no value."""
    heights = _heights(curve.values)
    step = (_WIDTH - 6) / max(len(heights) - 1, 1)
    parts, last = [], None
    for index, height in enumerate(heights):
        if height is None:
            last = None
            continue
        parts.append(f"{'M' if last is None else 'L'}{3 + index * step:.1f},{3 + (1 - height) * (_HEIGHT - 6):.1f}h0")
        last = height
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'style="vertical-align: middle"><title>{escaped(curve.said)}</title><path d="{"".join(parts)}" fill="none" '
        'stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round"/></svg>'
    )


def _blocks(values: Sequence[float | None]) -> str:
    """Draw a curve in characters: of many values, the last of each piece."""
    heights = _heights(values)
    pieces = min(len(heights), _CHARACTERS)
    chosen = [heights[(index + 1) * len(heights) // pieces - 1] for index in range(pieces)]
    return "".join(" " if height is None else _BLOCKS[round(height * (len(_BLOCKS) - 1))] for height in chosen)


def _heights(values: Sequence[float | None]) -> list[float | None]:
    """Scale values to 0 .. 1: by their logarithm, linear next to zero, where they span two magnitudes."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    positive = min((value for value in known if value > 0), default=math.inf)
    wide = bool(known) and min(known) >= 0 and max(known) >= 100 * positive

    def scaled(value: float) -> float:
        return math.asinh(value / positive) if wide else value

    low, high = (scaled(choose(known)) if known else 0.0 for choose in (min, max))
    return [
        None
        if value is None or not math.isfinite(value)
        else (scaled(value) - low) / (high - low)
        if high > low
        else 0.5
        for value in values
    ]
