"""Durable intake: what was acknowledged is here until the lake's copy is on the disk."""

from gpdata.spool.disk import Disk
from gpdata.spool.frames import Damage
from gpdata.spool.quarantine import Entry, Quarantine
from gpdata.spool.spool import Meta, Spool, SpoolFile, SpoolWriter

__all__ = ["Damage", "Disk", "Entry", "Meta", "Quarantine", "Spool", "SpoolFile", "SpoolWriter"]
