"""Start `gpdata ingest` for the hub: where root runs the hub, as the user whom the lake belongs to.

The hub runs this as its service `gpdata`: hub/ingest_service.py LAKE USERS.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gpdata.errors import InvalidInput
from hub.settings import SYSTEM
from hub.system_users import FIRST_PERSON

ACCOUNT = "gpdata"
"""The account of the machine that has the lake, where root runs the hub; made when it is first needed."""
STOP_SECONDS = 8
"""For uploads under way when the hub stops: it kills a service that takes longer than ten."""


def main() -> None:
    """Prepare the lake, become its owner, then become the service."""
    lake, users = Path(sys.argv[1]), sys.argv[2]
    try:
        if users == SYSTEM:
            become(owner_of(lake))
    except InvalidInput as error:
        raise SystemExit(f"ingest: {error}") from None
    os.umask(0o022)  # users read the lake, and only the service writes
    command = [sys.executable, "-P", "-c", "from gpdata.cli import main; main()", "ingest", "--lake", str(lake)]
    command += ["--accounts", "hub", "--with-parent", "--stop-timeout", str(STOP_SECONDS)]
    os.execv(sys.executable, command)


def owner_of(lake: Path) -> pwd.struct_passwd:
    """Return the account that the lake belongs to; a lake of root's, or none yet, is given to `ACCOUNT`.

    Parameters
    ----------
    lake : Path
        The lake's directory.

    Returns
    -------
    pwd.struct_passwd
        An account of the system, that is no person and not root.

    Raises
    ------
    InvalidInput
        The lake belongs to a person, or the account's name does.
    """
    lake.parent.mkdir(parents=True, exist_ok=True)
    lake.mkdir(mode=0o755, exist_ok=True)
    uid = lake.stat().st_uid
    if uid == 0:
        account = _account()
        give(lake, account)
        return account
    if not _is_service(uid):
        raise InvalidInput(
            f"the lake {lake} belongs to uid {uid}, which is no account of the system: whoever that is could change it "
            f"from a notebook. Give it to root, chown -R root: {lake}; the service then gives it to {ACCOUNT!r}."
        )
    return pwd.getpwuid(uid)


def give(lake: Path, account: pwd.struct_passwd) -> None:
    """Give a whole tree to an account, and let nobody else write in it; links are not followed.

    Parameters
    ----------
    lake : Path
        The tree's top; given last, so that an interrupted giving is done anew.
    account : pwd.struct_passwd
        Whom it is given to.
    """
    for _, folders, files, folder in os.fwalk(lake, topdown=False):
        for name in (*folders, *files):
            os.chown(name, account.pw_uid, account.pw_gid, dir_fd=folder, follow_symlinks=False)
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if not stat.S_ISLNK(mode) and mode & 0o022:
                os.chmod(name, stat.S_IMODE(mode) & ~0o022, dir_fd=folder)
    lake.chmod(stat.S_IMODE(lake.stat().st_mode) & ~0o022)
    os.chown(lake, account.pw_uid, account.pw_gid)


def become(account: pwd.struct_passwd) -> None:
    """Give root's rights up for good."""
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    os.environ["HOME"], os.environ["USER"] = account.pw_dir, account.pw_name


def _account() -> pwd.struct_passwd:
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--home-dir", "/nonexistent", "--no-create-home"]
        subprocess.run([*command, "--shell", "/usr/sbin/nologin", ACCOUNT], check=True)
        account = pwd.getpwnam(ACCOUNT)
    if not _is_service(account.pw_uid):
        raise InvalidInput(
            f"the account {ACCOUNT!r} of this machine is a person's (uid {account.pw_uid}), and the lake would be "
            "theirs; give the lake to an account of the system: chown -R SOMEBODY: THE-LAKE"
        )
    return account


def _is_service(uid: int) -> bool:
    return 0 < uid < FIRST_PERSON


if __name__ == "__main__":
    main()
