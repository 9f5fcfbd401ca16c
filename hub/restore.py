"""Bring a backup of the hub back, on this machine or another: hub/restore.py BACKUP, then start the hub."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jupyterhub import orm

from gpdata.cli.backup import newest
from gpdata.errors import GpdataError, InvalidInput
from gpdata.lake.backup import must_be_empty, restore
from gpdata.lake.copying import sync_tree
from hub.backup import ACCOUNTS, HUB
from hub.settings import SYSTEM, Settings, private_directory, settings


def restore_state(source: Path, state: Path) -> None:
    """Bring the hub's state back, without what was of the old machine: which servers ran, and their tokens.

    Parameters
    ----------
    source : Path
        The backup's copy.
    state : Path
        The hub's state directory: missing or empty.

    Raises
    ------
    InvalidInput
        The backup has no hub's state, or one of another JupyterHub, or there is one where it should go.
    """
    if not (source / "jupyterhub.sqlite").is_file():
        raise InvalidInput(f"{source.parent} has no hub's state; name a backup of hub/backup.py")
    must_be_empty(state)
    private_directory(state)
    for path in sorted(source.iterdir()):
        shutil.copyfile(path, state / path.name)
        (state / path.name).chmod(0o600)
    forget_servers(state / "jupyterhub.sqlite")
    sync_tree(state)


def forget_servers(database: Path) -> int:
    """Forget the servers that ran when the backup was made, and return how many there were.

    The hub would look for their processes by number, and end what has that number now.

    Parameters
    ----------
    database : Path
        JupyterHub's.
    """
    try:
        session = orm.new_session_factory(f"sqlite:///{database}")()
    except orm.DatabaseSchemaMismatch as error:
        raise InvalidInput(
            f"the backup is of another JupyterHub than {version('jupyterhub')} ({error}); restore it with the one that "
            f"its {ACCOUNTS} names, and upgrade afterwards"
        ) from None
    with session:
        found = 0
        for spawner in session.query(orm.Spawner):
            token = (spawner.state or {}).get("api_token")
            if token and (known := orm.APIToken.find(session, token)):
                session.delete(known)
            found += spawner.server is not None
            spawner.server, spawner.state = None, {}
        for service in session.query(orm.Service):
            service.server = None
        session.commit()
    session.get_bind().dispose()
    return found


def advice(about: dict[str, object], here: Settings) -> list[str]:
    """Say what is left to be done by hand."""
    said = []
    if here.users == SYSTEM:
        wanted = about.get("accounts")
        for name, uid in sorted(wanted.items()) if isinstance(wanted, dict) else ():
            try:
                now = pwd.getpwnam(name).pw_uid
            except KeyError:
                said.append(f"useradd --uid {uid} --user-group --shell /bin/bash {name}   # before its home comes back")
            else:
                if now != uid:
                    said.append(f"{name} was uid {uid} and is {now} here: chown -R {name}: its home when it is back")
    return said


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("backup", type=click.Path(path_type=Path))
def main(backup: Path) -> None:
    """Bring BACKUP back to HUB_STATE and GPDATA_LAKE, of which neither may be there yet.

    BACKUP is one of the directories that hub/backup.py made, or the one that holds them: then the newest.
    """
    os.umask(0o077)
    here = settings()
    try:
        chosen = newest(backup)
        must_be_empty(here.lake)
        restore_state(chosen / HUB, here.state)
        lake = restore(chosen, here.lake)
        about = json.loads((chosen / ACCOUNTS).read_text())
    except GpdataError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{here.state} and {lake.path} are those of {chosen}, a hub of JupyterHub {about['jupyterhub']}.")
    for line in advice(about, here):
        click.echo(f"  {line}")
    click.echo("Check the lake with gpdata verify, bring the homes back, then start the hub.")


if __name__ == "__main__":
    main()
