"""`gpdata transform`: what waits in a spool becomes rows, once or for as long as this runs."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

import click
import msgspec

from gpdata.cli.options import QUARANTINED, Bytes, chosen_lake, lake_option
from gpdata.config import settings
from gpdata.errors import InvalidInput, LakeDamaged
from gpdata.lake import Account, Lake, Transformer
from gpdata.lake.child import MEMORY, limit_memory, when_parent_ends
from gpdata.lake.follow import DEADLINE, EVERY, Follower
from gpdata.lake.maintain import Maintenance
from gpdata.spool import Spool
from gpdata.spool.room import KEEP_FREE, Room

_PATIENCE = 30.0
"""Seconds for which Spark's cores wait for another process that writes the lake."""


@click.command()
@lake_option
@click.option("--spool", type=click.Path(path_type=Path), metavar="DIR", help="The spool.  [default: LAKE/spool]")
@click.option("--follow", is_flag=True, help="Go on with what comes, until it is ended (SIGTERM, Ctrl-C).")
@click.option("--every", type=click.FloatRange(min=0.01), default=EVERY, show_default=True, metavar="SECONDS",
              help="How often to look for more.")  # fmt: skip
@click.option("--grace", type=click.FloatRange(min=0), default=0.0, show_default=True, metavar="SECONDS",
              help="Keep spool files so long after they are in the lake.")  # fmt: skip
@click.option("--memory", type=Bytes(), default=str(MEMORY), show_default="3GiB", help="What it may take.")
@click.option("--keep-free", type=Bytes(), default=str(KEEP_FREE), show_default="1GiB",
              help="Make no ballast, to fall back on when the disk is full, below this.")  # fmt: skip
@click.option("--compact/--no-compact", default=True, show_default=True,
              help="With --follow: compact the lake now and then.")  # fmt: skip
@click.option("--engine", type=click.Choice(["embedded", "spark"]), default="embedded", show_default=True,
              help="Who reads the lines: this process, or the executors of Spark.")  # fmt: skip
@click.option("--preset", default="local", show_default=True, metavar="NAME", help="With spark: as in gpdata.spark().")
@click.option("--checkpoint", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="With spark: its checkpoint.  [default: below LAKE/scratch]")  # fmt: skip
@click.option("--with-parent", is_flag=True, hidden=True, help="End when standard input does.")
@click.pass_context
def transform(
    ctx: click.Context,
    lake: str,
    spool: Path | None,
    follow: bool,
    every: float,
    grace: float,
    memory: int,
    keep_free: int,
    compact: bool,
    engine: str,
    preset: str,
    checkpoint: Path | None,
    with_parent: bool,
) -> None:
    """Turn what waits in a spool into a lake's tables.

    Once, or with --follow for as long as it runs: gpdata ingest does that by itself. What it was doing when it
    was ended, however it was ended, is finished by the next one. A line that cannot be read within the memory
    goes to the quarantine, whole; the exit status is 3 where lines went there.
    """
    target = Lake.create(chosen_lake(lake))
    source = Spool(spool, disk=target.disk) if spool else target.spool()
    with suppress(LakeDamaged):  # what a crash left in a log is mended below
        for table in target.tables.values():
            table.committed_batch()  # starts threads of delta-rs, which hang where they have no memory to start with
    if engine == "spark":
        transformer = _on_spark(target, source, preset, checkpoint, grace=grace, memory=memory)
    elif checkpoint is not None:
        raise InvalidInput("--checkpoint was given without --engine spark, which alone has one; leave it out")
    else:
        limit_memory(memory)
        transformer = Transformer(target, source, batch_bytes=settings().batch_bytes, grace=grace, memory=memory)
    if not follow:
        on_spark = engine == "spark"
        account = transformer.run(wait=_PATIENCE if on_spark else None, progress=_Show() if on_spark else None)
        click.echo(_summary(account, target))
        if account.quarantined:
            ctx.exit(QUARANTINED)
        return
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s transform: %(message)s")
    command = [sys.executable, "-c", "from gpdata.cli import main; main()", "compact", "--auto", "--with-parent"]
    maintenance = Maintenance(target, [*command, "--lake", str(target.path)]) if compact else None
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if with_parent:
        when_parent_ends(stop.set)
    room = Room(target.room, keep_free, disk=target.disk)
    Follower(transformer, room, maintenance, every=every, stop=stop, deadline=DEADLINE).run()


def _on_spark(
    lake: Lake, spool: Spool, preset: str, checkpoint: Path | None, *, grace: float, memory: int
) -> Transformer:
    """Return a transformer on a Spark session of this process; executors have the memory that Spark gives them."""
    from gpdata.sessions import spark
    from gpdata.sessions.stream import StreamTransformer

    # What goes wrong is said once, by this command, and not again by the bridge between Python and Java.
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    size = settings().batch_bytes
    session = spark(preset)
    return StreamTransformer(lake, session, spool, batch_bytes=size, grace=grace, memory=memory, checkpoint=checkpoint)


class _Show:
    """A line on standard error for each batch, with what is done so far."""

    def __init__(self) -> None:
        self._total = Account()

    def __call__(self, account: Account) -> None:
        self._total.add(account)
        click.echo(f"transform: {self._total.lines} lines, {self._total.accepted} stored", err=True)


def _summary(account: Account, lake: Lake) -> str:
    counts = msgspec.structs.asdict(account)
    text = "{lines} lines: {accepted} stored, {duplicates} stored before, {quarantined} in quarantine".format(**counts)
    if account.quarantined:
        text += f"\nwhy lines are in quarantine: gpdata quarantine list --lake {lake.path}"
    return text
