"""Clojure's text into values that become JSON as Clojush's recorder writes it.

A reader of our own, because numbers must stay as they were written (``1.0E101``), which no library for EDN leaves
them, and because Clojush prints what is no EDN (``#object[...]``, ``NaN``).
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context
from functools import lru_cache
from typing import Any

from msgspec import Raw

_TOKEN = re.compile(
    r"""
    (?:[\s,]|;[^\n]*)*                            # space and comments
    (?:(?P<atom>[^\s,;"\\\#()\[\]{}][^\s,;"()\[\]{}\\]*)
      |(?P<open>\#?\{|\[|\()
      |(?P<close>[\])}])
      |(?P<string>\#?"(?:[^"\\]|\\.)*")
      |(?P<symbolic>\#\#-?[A-Za-z]+)
      |(?P<discard>\#_)
      |(?P<tag>\#[A-Za-z][^\s,;"()\[\]{}\\]*)
      |(?P<char>\\(?:newline|return|space|tab|formfeed|backspace|u[0-9a-fA-F]{4}|o[0-7]{1,3}|.))
      |(?P<end>\Z)
      |(?P<bad>.))
    """,
    re.VERBOSE | re.DOTALL,
)
_INTEGER = re.compile(r"([+-]?)(0|[1-9]\d*)N?")
_DECIMAL = re.compile(r"([+-]?)(\d+)(\.\d*)?([eE][+-]?\d+)?M?")
_RATIO = re.compile(r"([+-]?\d+)/(\d+)")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|o[0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_CHARACTERS = {"newline": "\n", "return": "\r", "space": " ", "tab": "\t", "formfeed": "\f", "backspace": "\b"}
_CONSTANTS: dict[str, Any] = {
    "nil": None,
    "true": True,
    "false": False,
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "##NaN": "NaN",
    "##Inf": "Infinity",
    "##-Inf": "-Infinity",
}
_DECIMAL64 = Context(prec=16, rounding=ROUND_HALF_EVEN)
_CLOSES = {"[": "]", "(": ")", "{": "}", "#{": "}"}
_SHOWN = 40


class EdnError(ValueError):
    """A text that cannot be read, and where."""


class _Open:
    """A collection that has not ended."""

    __slots__ = ("bracket", "items", "start", "tags")

    def __init__(self, bracket: str, start: int) -> None:
        self.bracket = bracket
        self.start = start
        self.items: list[Any] = []
        self.tags: list[str] = []


def read(text: str) -> Any:
    """Return the only value of a text, as what JSON has.

    Symbols, keywords, characters and uuids become strings, lists, vectors and sets lists, ratios doubles, and numbers
    stay as they were written (`msgspec.Raw`). A key of a map that is no name becomes its own text.

    Parameters
    ----------
    text : str
        One value as Clojure prints it.

    Raises
    ------
    EdnError
        It is not exactly one value.

    Examples
    --------
    >>> read('{:a [x "y" nil], [:b :c] #uuid "70453eda-f74e-4e0f-b7ab-e9fbd7dd398a"}')
    {'a': ['x', 'y', None], '[:b :c]': '70453eda-f74e-4e0f-b7ab-e9fbd7dd398a'}
    >>> bytes(read("1.0E101")), bytes(read("1/2"))
    (b'1.0E101', b'0.5')
    """
    found = _values(text)
    if len(found) != 1:
        raise EdnError(f"{len(found)} values stand in {_shown(text)}; valid is one")
    return found[0]


def _values(text: str) -> list[Any]:
    """Return all values of a text."""
    top = _Open("", 0)
    stack: list[_Open] = []
    frame = top
    match = _TOKEN.scanner(text).match  # type: ignore[attr-defined]
    while (token := match()) is not None:
        kind = token.lastgroup
        value: Any
        if kind == "atom":
            word = token["atom"]
            value, start = atom(word), token.start("atom")
        elif kind == "open":
            stack.append(frame)
            frame = _Open(token["open"], token.start("open"))
            continue
        elif kind == "close":
            if not stack or _CLOSES[frame.bracket] != token["close"] or frame.tags:
                raise EdnError(f"{token['close']} stands at character {token.start('close')} and closes nothing")
            value, start = _whole(frame, text), frame.start
            frame = stack.pop()
        elif kind == "string":
            value, start = _string(token["string"].removeprefix("#")), token.start("string")
        elif kind in ("tag", "discard"):
            frame.tags.append(token[kind])
            continue
        elif kind == "char":
            value, start = _character(token["char"][1:]), token.start("char")
        elif kind == "symbolic":
            value, start = _CONSTANTS.get(token["symbolic"], token["symbolic"]), token.start("symbolic")
        elif kind == "end":
            break
        else:
            at = token.start("bad")
            what = "a text that does not end" if token["bad"] == '"' else repr(token["bad"])
            raise EdnError(f"{what} stands at character {at}: {_shown(text[at:])}")
        if frame.tags:
            if "#_" in frame.tags:
                frame.tags.remove("#_")
                continue
            if "#object" in frame.tags and type(value) is list and len(value) == 3:
                value = value[2]
            frame.tags.clear()
        if frame.bracket == "{" and len(frame.items) % 2 == 0 and type(value) is not str:
            value = text[start : token.end()]
        frame.items.append(value)
    if stack or top.tags:
        raise EdnError(f"the text ends inside a value: ...{text[-_SHOWN:]!r}")
    return top.items


def _whole(frame: _Open, text: str) -> Any:
    if frame.bracket != "{":
        return frame.items
    if len(frame.items) % 2:
        raise EdnError(f"a key has no value in {_shown(text[frame.start :])}")
    found = dict(zip(frame.items[::2], frame.items[1::2], strict=True))
    if 2 * len(found) != len(frame.items):
        raise EdnError(f"a key stands twice in {_shown(text[frame.start :])}")
    return found


@lru_cache(maxsize=1 << 14)
def atom(word: str) -> Any:
    """Return what a word without brackets and quotes says: a number, a constant or a name."""
    first = word[0]
    if first.isdecimal() or (first in "+-" and len(word) > 1 and word[1].isdecimal()):
        return _number(word)
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    return word[1:] if first == ":" else word


def _number(word: str) -> Any:
    if (match := _INTEGER.fullmatch(word)) is not None:
        return Raw(f"{'-' if match[1] == '-' else ''}{match[2]}".encode())
    if (match := _RATIO.fullmatch(word)) is not None and int(match[2]):
        return Raw(repr(ratio(int(match[1]), int(match[2]))).encode())
    if (match := _DECIMAL.fullmatch(word)) is not None:
        sign, whole, fraction, exponent = match.groups(default="")
        fraction = "" if fraction == "." else fraction
        return Raw(f"{'-' if sign == '-' else ''}{whole.lstrip('0') or '0'}{fraction}{exponent}".encode())
    return word


def ratio(numerator: int, denominator: int) -> float:
    """Return a ratio as Clojure makes a double of it: of 16 digits, which is not always the nearest.

    Examples
    --------
    >>> ratio(4, 17), 4 / 17
    (0.2352941176470588, 0.23529411764705882)
    """
    return float(_DECIMAL64.divide(numerator, denominator))


def _string(token: str) -> str:
    inside = token[1:-1]
    return _ESCAPE.sub(_escaped, inside) if "\\" in inside else inside


def _escaped(match: re.Match[str]) -> str:
    name = match[1]
    if len(name) > 1:
        return chr(int(name[1:], 16 if name[0] == "u" else 8))
    return _ESCAPES.get(name, name)


def _character(name: str) -> str:
    if len(name) > 1 and name not in _CHARACTERS:
        return chr(int(name[1:], 16 if name[0] == "u" else 8))
    return _CHARACTERS.get(name, name)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
