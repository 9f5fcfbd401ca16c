"""Every error that gpdata raises on purpose: one base class, each also a builtin.

A message has three parts, in this order: what was given, what is valid, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GpdataError(Exception):
    """Base class of gpdata's own errors; the command line prints its message and no traceback."""


class InvalidInput(GpdataError, ValueError):
    """A value that gpdata was given cannot be used."""


class NotALake(GpdataError, FileNotFoundError):
    """The path is not a gpdata lake."""


class LakeTooNew(GpdataError, RuntimeError):
    """The lake was written by a newer gpdata, with a schema that this one does not know."""


class LakeDamaged(GpdataError, RuntimeError):
    """A file of the lake is missing or unreadable, or an invariant does not hold."""


class LakeBusy(GpdataError, TimeoutError):
    """Another process holds the lake's lock."""


class StorageUnreachable(GpdataError, ConnectionError):
    """The store of objects that holds a lake or a spool does not answer, or fails."""


class StorageRefused(GpdataError, PermissionError):
    """The store of objects knows the caller not, or does not allow this."""


class UnknownRun(GpdataError, LookupError):
    """No such run in this lake."""


class UnknownVersion(GpdataError, LookupError):
    """No such version of this lake."""


class UnknownColumn(GpdataError, LookupError):
    """A column or config key that the frame does not have."""


def near(given: str, valid: Iterable[str], *, most: int = 5) -> str:
    """Say which valid names are near the given one, or list some when none is.

    Examples
    --------
    >>> near("problm", ["problem", "label"])
    "did you mean 'problem'?"
    >>> near("x", ["problem", "label"])
    "valid are 'label', 'problem'"
    """
    names = sorted(set(valid))
    close = difflib.get_close_matches(given, names, n=most, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    if not names:
        return "there are none"
    shown = ", ".join(map(repr, names[: most * 4]))
    return f"valid are {shown}" + (f" and {len(names) - most * 4} more" if len(names) > most * 4 else "")
