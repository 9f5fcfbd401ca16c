"""`gpdata backup` and `gpdata restore`: copies of a lake that is in use, and their return."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from gpdata.cli.options import FOUND_PROBLEMS, human_bytes
from gpdata.errors import InvalidInput
from gpdata.lake import Lake
from gpdata.lake.backup import back_up, backups, check_copy
from gpdata.lake.backup import restore as restore_lake
from gpdata.spool import Spool


@click.command()
@click.argument("lake")
@click.argument("backups", type=click.Path(path_type=Path))
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="Remove the oldest backups beyond N.")
@click.option("--check/--no-check", default=True, show_default=True, help="Read the copy whole, and check it.")
@click.option("--spool", type=click.Path(path_type=Path, exists=True), metavar="DIR",
              help="The service's spool, where it has another one than LAKE/spool.")  # fmt: skip
@click.option("--wait", type=click.FloatRange(min=0), metavar="SECONDS",
              help="For a compaction or batch under way.  [default: for ever]")  # fmt: skip
@click.pass_context
def backup(
    ctx: click.Context,
    lake: str,
    backups: Path,
    keep: int | None,
    check: bool,
    spool: Path | None,
    wait: float | None,
) -> None:
    """Copy LAKE into a new directory in BACKUPS, while it is in use.

    Whatever was acknowledged before is in the copy. Files that the backup before has are not copied again. Give
    each lake a BACKUPS of its own, on another disk, and copy that to another place: rsync -aH keeps it small.
    """
    source = Lake.open(lake)
    with Console(stderr=True).status("backup") as status:
        path, note = back_up(
            source,
            backups,
            spool=Spool(spool, disk=source.disk) if spool else None,
            keep=keep,
            check=check,
            wait=wait,
            progress=status.update,
        )
    click.echo(f"{path}: {note.files:,} files, {human_bytes(note.size)}, {human_bytes(note.copied)} of it new")
    for fault in note.faults or ():
        click.echo(f"error: {fault}")
    if note.faults:
        click.echo(f"{path} is what {lake} is now, and that has {len(note.faults)} faults; no older backup was removed")
        ctx.exit(FOUND_PROBLEMS)


@click.command()
@click.argument("backup", type=click.Path(path_type=Path))
@click.argument("lake", type=click.Path(path_type=Path))
@click.option("--check/--no-check", default=True, show_default=True, help="Read what was restored whole.")
@click.pass_context
def restore(ctx: click.Context, backup: Path, lake: Path, check: bool) -> None:
    """Bring a BACKUP back as LAKE, a directory that does not exist yet.

    BACKUP is one of the directories that 'gpdata backup' made, or the one that holds them: then the newest.
    """
    chosen = newest(backup)
    with Console(stderr=True).status("restoring") as status:
        restored = restore_lake(chosen, lake, progress=lambda name: status.update(f"restoring {name}"))
        faults = list(check_copy(restored)) if check else []
    for fault in faults:
        click.echo(f"error: {fault}")
    click.echo(f"{lake} is the lake of {chosen}; {len(restored.spool().pending())} files wait in its spool")
    if faults:
        ctx.exit(FOUND_PROBLEMS)


def newest(path: Path) -> Path:
    """Return the newest backup of a directory of backups, or the backup itself."""
    found = backups(path)
    if found:
        return found[-1][0]
    if not path.is_dir():
        raise InvalidInput(f"there is no directory {path}; name the one that 'gpdata backup' wrote to")
    return path
