"""Durable intake: what was acknowledged is here until the lake's copy is on the disk."""

from gpdata.spool.disk import Disk
from gpdata.spool.frames import Damage
from gpdata.spool.incoming import Anything, Incoming, Ledger, Outcome
from gpdata.spool.meta import Key, Meta
from gpdata.spool.quarantine import Entry, Quarantine
from gpdata.spool.spool import Spool, SpoolFile, SpoolWriter

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
