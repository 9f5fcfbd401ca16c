"""Durable intake: what was acknowledged is here until the lake's copy is on the disk.

What checks lines on their way in is imported when it is first used: a lake is read without the decoder of lines.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from gpdata.spool.disk import Disk
from gpdata.spool.frames import Damage
from gpdata.spool.meta import Key, Meta
from gpdata.spool.quarantine import Entry, Quarantine
from gpdata.spool.spool import Spool, SpoolFile, SpoolWriter

if TYPE_CHECKING:
    from gpdata.spool.incoming import Anything, Incoming, Ledger, Outcome

__all__ = [
    "Anything",
    "Damage",
    "Disk",
    "Entry",
    "Incoming",
    "Key",
    "Ledger",
    "Meta",
    "Outcome",
    "Quarantine",
    "Spool",
    "SpoolFile",
    "SpoolWriter",
]

_INCOMING = frozenset({"Anything", "Incoming", "Ledger", "Outcome"})


def __getattr__(name: str) -> object:
    if name in _INCOMING:
        return getattr(import_module("gpdata.spool.incoming"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=__name__)
