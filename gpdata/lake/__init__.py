"""The lake: durable batches of rows, snapshots of them, and their upkeep.

What writes is imported when it is first used: who only asks does not wait for the decoder of lines.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from gpdata.lake.lake import Lake
from gpdata.lake.snapshot import Snapshot, take_snapshot

if TYPE_CHECKING:
    from gpdata.lake.batch import Account
    from gpdata.lake.transform import Transformer

__all__ = ["Account", "Lake", "Snapshot", "Transformer", "take_snapshot"]

_WRITING = {"Account": "gpdata.lake.batch", "Transformer": "gpdata.lake.transform"}


def __getattr__(name: str) -> object:
    if name in _WRITING:
        return getattr(import_module(_WRITING[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=__name__)
