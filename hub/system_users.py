"""Accounts of this machine for the hub's users, made when their server first starts."""

from __future__ import annotations

import pwd
import subprocess
from pathlib import Path

from gpdata.errors import InvalidInput

FIRST_PERSON = 1000
NOBODY = 65534
"""Below 1000, and 65534, are the accounts of the system itself, by the convention of Debian and Red Hat."""


def check_account(name: str) -> pwd.struct_passwd | None:
    """Find the account of this machine that the hub's user of that name is.

    Parameters
    ----------
    name : str
        The user's name.

    Returns
    -------
    pwd.struct_passwd or None
        The account; None: there is none yet.

    Raises
    ------
    InvalidInput
        The name is that of a system account, such as root or www-data, which no person may become.

    Examples
    --------
    >>> check_account("root")
    Traceback (most recent call last):
    gpdata.errors.InvalidInput: 'root' is an account of the system (uid 0)...
    """
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        return None
    if account.pw_uid < FIRST_PERSON or account.pw_uid == NOBODY:
        raise InvalidInput(
            f"{name!r} is an account of the system (uid {account.pw_uid}); the hub starts servers for people only "
            f"(uid {FIRST_PERSON} and up). Choose another name."
        )
    return account


def ensure_account(name: str) -> pwd.struct_passwd:
    """Return the account of that name; make it, without a password and with a home of mode 0700, if there is none.

    Parameters
    ----------
    name : str
        The user's name.

    Returns
    -------
    pwd.struct_passwd
        The account. One that was there before is left as it is.

    Raises
    ------
    InvalidInput
        The name is that of a system account, or its home is there and belongs to somebody else.
    CalledProcessError
        ``useradd`` refused; its own message is in the log.
    """
    account = check_account(name)
    if account is None:
        subprocess.run(
            ["useradd", "--create-home", "--user-group", "--shell", "/bin/bash", "--key", "UMASK=077", name], check=True
        )
        account = pwd.getpwnam(name)
    home = Path(account.pw_dir)
    owner = home.stat().st_uid
    if owner != account.pw_uid:
        raise InvalidInput(
            f"the home {home} of {name!r} belongs to uid {owner}, not to {account.pw_uid}; it was somebody else's "
            f"before. Move it away, or give it to the user: chown -R {name}: {home}"
        )
    return account
