"""Back the hub of this machine up while it runs: who has an account, every token, and the lake. See docs/hub.md.

``hub/backup.py BACKUPS``. The users' homes are not in it: they are directories like all others of the machine.
"""

from __future__ import annotations

import json
import os
import pwd
import sqlite3
import stat
import sys
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jupyterhub import orm

from gpdata.cli.options import FOUND_PROBLEMS, human_bytes
from gpdata.errors import GpdataError, InvalidInput
from gpdata.lake import Lake
from gpdata.lake.backup import back_up
from hub.settings import SYSTEM, Settings, settings

HUB = "hub"
ACCOUNTS = "hub.json"
NOT_KEPT = {"hub.lock", "proxy.pid", "homes", "shared"}
"""What is of this moment only, and what is the users' own."""
_NOT_KEPT_ENDS = ("-wal", "-shm", "-journal")
_SQLITE = b"SQLite format 3\0"


def back_up_state(state: Path, target: Path) -> None:
    """Copy the hub's state: each database as it is at one moment, every other file.

    Parameters
    ----------
    state : Path
        The hub's state directory.
    target : Path
        Where to; for its owner alone.

    Raises
    ------
    InvalidInput
        There is no hub's state.
    """
    if not (state / "jupyterhub.sqlite").is_file():
        raise InvalidInput(f"there is no hub in {state}; name its state directory in HUB_STATE")
    target.mkdir(mode=0o700, exist_ok=True)
    for old in target.iterdir():
        old.unlink()
    for path in sorted(state.iterdir()):
        if path.name in NOT_KEPT or path.name.endswith(_NOT_KEPT_ENDS) or not stat.S_ISREG(path.lstat().st_mode):
            continue
        copy = target / path.name
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        if _is_database(path):
            copy_database(path, copy)
        else:
            copy.write_bytes(path.read_bytes())
        with copy.open("rb") as file:
            os.fsync(file.fileno())


def copy_database(path: Path, target: Path) -> None:
    """Copy a database that is in use, and check the copy.

    Raises
    ------
    InvalidInput
        SQLite finds the copy damaged.
    """
    with closing(sqlite3.connect(path, timeout=60)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        (found,) = copy.execute("PRAGMA integrity_check").fetchone()
    if found != "ok":
        raise InvalidInput(f"the database {path} is damaged: {found}. Restore it from an earlier backup.")


def describe(here: Settings, target: Path) -> dict[str, Any]:
    """Say what a person needs who restores the backup: versions, settings, and the numbers of the users' accounts."""
    session = orm.new_session_factory(f"sqlite:///{target / 'jupyterhub.sqlite'}")()
    with session:
        names = [user.name for user in session.query(orm.User)]
    session.get_bind().dispose()
    accounts = {}
    for name in names if here.users == SYSTEM else ():
        try:
            accounts[name] = pwd.getpwnam(name).pw_uid
        except KeyError:  # has never started a server
            continue
    return {
        "jupyterhub": version("jupyterhub"),
        "python": sys.version.split()[0],
        "users": here.users,
        "url": here.url,
        "lake": str(here.lake),
        "shared": str(here.shared),
        "accounts": accounts,
    }


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("backups", type=click.Path(path_type=Path))
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="Remove the oldest backups beyond N.")
@click.option("--check/--no-check", default=True, show_default=True, help="Read the copy of the lake whole.")
def main(backups: Path, keep: int | None, check: bool) -> None:
    """Copy the hub's state and its lake into a new directory in BACKUPS, while both are in use.

    Give it the hub's own HUB_STATE and GPDATA_LAKE. Passwords (hashed) and keys are in BACKUPS: it is for its owner
    alone, mode 0700. Copy it to another place, encrypted: rsync -aH, or restic, borg and the like.
    """
    os.umask(0o077)
    here = settings()

    def also(folder: Path) -> None:
        # After the lake: who has a run in it is known to the hub's copy.
        back_up_state(here.state, folder / HUB)
        about = json.dumps(describe(here, folder / HUB), indent=1, sort_keys=True)
        (folder / ACCOUNTS).write_text(about + "\n")

    try:
        path, note = back_up(Lake.open(here.lake), backups, keep=keep, check=check, also=also)
    except GpdataError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{path}: the hub, and {note.files:,} files of the lake, {human_bytes(note.size)}, "
               f"{human_bytes(note.copied)} of it new")  # fmt: skip
    for fault in note.faults or ():
        click.echo(f"error: {fault}")
    if note.faults:
        sys.exit(FOUND_PROBLEMS)


if __name__ == "__main__":
    main()
