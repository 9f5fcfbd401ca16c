"""The lake: durable batches of rows, snapshots of them, and their upkeep."""

from gpdata.lake.batch import Account
from gpdata.lake.lake import Lake
from gpdata.lake.snapshot import Snapshot, take_snapshot
from gpdata.lake.transform import Transformer

__all__ = ["Account", "Lake", "Snapshot", "Transformer", "take_snapshot"]
