"""Start the hub on this machine, with everything that it needs first: `make hub` runs this."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gpdata.errors import InvalidInput
from hub import proxy
from hub.add_user import add_user, ask_password, count_accounts
from hub.limits import Limits, limits_in_force, way
from hub.settings import FOLDERS, ROOT, SYSTEM, Settings, private_directory, settings
from hub.system_users import NOBODY

SYSTEM_PYTHONS = ("/usr/bin", "/usr/local/bin", "/opt/python/bin")
SHARED_VENV = ".venv-hub"


def main() -> None:
    """Check, prepare, say what to do next, then become JupyterHub."""
    try:
        here = settings()
        if here.users == SYSTEM:
            use_shared_python()
        private_directory(here.state)
        lock(here)
        proxy.install()
        prepare_lake(here)
        prepare_shared(here)
        if not here.notebooks.is_dir():
            raise InvalidInput(f"there is no folder of notebooks at {here.notebooks}; name one in HUB_NOTEBOOKS.")
        if here.users == SYSTEM:
            check_readable(here)
        if here.users == FOLDERS:
            click.secho(
                "hub: WARNING: HUB_USERS=folders. Every server runs as you: each user can read, change and stop the "
                "work of all others, and yours. Fine to try the hub alone; for several people run it as root.",
                fg="red",
                err=True,
            )
        kept_by = way(root=here.users == SYSTEM)
        click.echo(f"hub: {limits_in_force(Limits(here.memory, here.cpus), kept_by)}", err=True)
        first_admin()
    except InvalidInput as error:
        raise SystemExit(f"hub: {error}") from None
    click.echo(f"hub: starting; sign in at {here.url} (Ctrl-C stops the hub and every server)", err=True)
    config = str(ROOT / "hub" / "jupyterhub_config.py")
    os.execv(sys.executable, [sys.executable, "-P", "-m", "jupyterhub", "-f", config])


def lock(here: Settings) -> None:
    """Hold the state directory for as long as this process lives, which JupyterHub then is."""
    handle = os.open(here.state / "hub.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InvalidInput(
            f"a hub runs already with the state in {here.state}. Stop it, or name another HUB_STATE and HUB_PORT."
        ) from None
    os.set_inheritable(handle, True)  # it outlives the exec; the hub's own children do not get it


def use_shared_python() -> None:
    """Go on with a Python that the users may run; where this one is private, make an environment of another.

    Raises
    ------
    InvalidInput
        There is none, or the environment could not be made.
    """
    if users_can_run(sys.executable):
        return
    shared = ROOT / SHARED_VENV / "bin" / "python"
    if Path(sys.executable) == shared:
        raise InvalidInput(
            f"the users' servers cannot run {sys.executable}: other users may not read this checkout, {ROOT}. Move it "
            "to where everybody may read, such as /opt/gpdata."
        )
    private = Path(sys.executable).resolve()
    name = f"python3.{sys.version_info.minor}"
    found = [str(Path(folder) / name) for folder in SYSTEM_PYTHONS if (Path(folder) / name).exists()]
    if not found:
        raise InvalidInput(
            f"the users' servers cannot run {sys.executable}: it is {private}, which other users may not reach, and "
            f"there is no {name} in {', '.join(SYSTEM_PYTHONS)}. Install one for everybody, then "
            f"`make hub VENV={SHARED_VENV} PYTHON=/path/to/python`. To try the hub alone: make hub HUB_USERS={FOLDERS}"
        )
    click.echo(f"hub: other users may not reach {private}; making {SHARED_VENV} with {found[0]}", err=True)
    if subprocess.run(["make", "-C", str(ROOT), "env", f"VENV={SHARED_VENV}", f"PYTHON={found[0]}"]).returncode:
        raise InvalidInput(f"{SHARED_VENV} could not be made, see above.")
    os.execv(shared, [str(shared), *sys.argv])


def users_can_run(python: str) -> bool:
    """Try, as the least of all users, whether this Python starts and finds gpdata and the user's server."""
    code = "import gpdata.schema, importlib.util as u, sys; sys.exit(u.find_spec('jupyterhub.singleuser') is None)"
    return as_nobody([python, "-c", code]) and as_nobody([python, str(ROOT / "hub" / "user_server.py"), "--help"])


def check_readable(here: Settings) -> None:
    """Refuse notebooks that not every user may read; only warn of a lake, which a group may have for itself."""
    if not as_nobody(["ls", str(here.notebooks)]):
        raise InvalidInput(
            f"the users may not read the notebooks in {here.notebooks}. Allow it (chmod -R a+rX, also for the folders "
            "above), or name another folder in HUB_NOTEBOOKS."
        )
    if here.lake.exists() and not as_nobody(["ls", str(here.lake)]):
        click.echo(f"hub: WARNING: not every user may read the lake {here.lake}; chmod -R a+rX allows it.", err=True)


def as_nobody(command: list[str]) -> bool:
    """Say whether the command succeeds as a user who may do nothing special."""
    try:
        done = subprocess.run(command, capture_output=True, cwd="/", user=NOBODY, group=NOBODY, extra_groups=[])
    except PermissionError:
        return False
    return done.returncode == 0


def prepare_lake(here: Settings) -> None:
    """Make the example lake where no other lake was named; say so where the named one is missing."""
    if here.lake.exists():
        return
    if os.environ.get("GPDATA_LAKE"):
        click.echo(f"hub: there is no lake at {here.lake} yet; gpdata import and gpdata demo make one.", err=True)
        return
    click.echo(f"hub: GPDATA_LAKE is not set; making the example lake {here.lake}", err=True)
    gpdata = str(Path(sys.executable).with_name("gpdata"))
    if subprocess.run([gpdata, "example-lake", "--lake", str(here.lake)]).returncode:
        raise InvalidInput("the example lake could not be made, see above; name a lake of yours in GPDATA_LAKE.")


def prepare_shared(here: Settings) -> None:
    """Make the folder of all: everybody may read it and add to it, and nobody may remove what another put there."""
    try:
        here.shared.mkdir(parents=True)
    except FileExistsError:
        if here.shared.is_dir():
            return  # whoever made it said who may write to it
        raise InvalidInput(f"{here.shared} is no folder; name another one for all users in HUB_SHARED.") from None
    except OSError as error:
        raise InvalidInput(
            f"the shared folder {here.shared} cannot be made: {error}. Name another one in HUB_SHARED."
        ) from None
    here.shared.chmod(0o1777)


def first_admin() -> None:
    """Ask for the first administrator where nobody can sign in yet, or say how to make one."""
    if count_accounts():
        return
    if not sys.stdin.isatty():
        click.echo(
            "hub: nobody can sign in yet. Make the first administrator, also while the hub runs:\n"
            f"       HUB_STATE={settings().state} {sys.executable} {ROOT / 'hub' / 'add_user.py'} YOUR-NAME --admin",
            err=True,
        )
        return
    click.echo("hub: nobody can sign in yet. The first administrator:", err=True)
    while True:
        try:
            name = str(click.prompt("Name")).strip()
            add_user(name, ask_password(name), admin=True)
        except InvalidInput as error:
            click.echo(str(error), err=True)
        except click.Abort:
            raise InvalidInput("stopped; nothing was started.") from None
        else:
            return


if __name__ == "__main__":
    main()
