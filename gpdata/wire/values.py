"""Single values: what of a JSON value a column can hold, and whether that is all of it."""

from __future__ import annotations

import math
import re

from gpdata.schema.json_schema import NON_FINITE
from gpdata.wire.lexical import Node, Verbatim

LARGEST_EXACT = 2.0**53
"""Up to here every integer is a double."""

_MOST_DIGITS = 310
_FIRST_SECOND = -62_135_596_800
_LAST_SECOND = 253_402_300_800
_SURROGATE = re.compile("[\ud800-\udfff]")


def utf8(text: str) -> tuple[str, bool]:
    """Return the text with U+FFFD for each lone surrogate, which UTF-8 cannot hold, and whether there was none."""
    if text.isascii():
        return text, True
    clean = _SURROGATE.sub("�", text)
    return clean, clean == text


def number(node: Node) -> tuple[float | None, bool]:
    """Return the nearest double of a JSON number or of "NaN", "Infinity", "-Infinity", and whether it says all.

    Decimal fractions count as said by their nearest double, integers only where they are equal to it.
    """
    if type(node) is str and node in NON_FINITE:
        return float(node), True
    if type(node) is not Verbatim:
        return None, node is None
    value = float(node)
    if not math.isfinite(value):
        return None, False
    if is_int(node):
        return value + 0.0, abs(value) < LARGEST_EXACT or (len(node) < _MOST_DIGITS and int(value) == int(node))
    return value, True


def timestamp(node: Node) -> tuple[int | None, bool]:
    """Return microseconds of a time in unix seconds, between the years 1 and 9999, and whether it is one."""
    seconds, fits = number(node)
    if seconds is not None and fits and _FIRST_SECOND <= seconds < _LAST_SECOND:
        return round(seconds * 1e6), True
    return None, node is None


def is_int(digits: Verbatim) -> bool:
    """Whether a number was written without fraction and exponent."""
    return not any(mark in digits for mark in ".eE")
