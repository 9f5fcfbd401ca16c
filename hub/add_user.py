"""Give somebody an account on the hub of this machine, also while it runs: hub/add_user.py NAME [--admin]."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bcrypt
import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jupyterhub import orm, roles
from nativeauthenticator.orm import UserInfo
from sqlalchemy.orm import Session
from traitlets.config.loader import PyFileConfigLoader

from gpdata.errors import InvalidInput
from hub.authenticator import LabAuthenticator
from hub.settings import ROOT, SYSTEM, private_directory, settings
from hub.system_users import check_account


def open_accounts() -> tuple[LabAuthenticator, Session]:
    """Open the hub's accounts with the rules of its configuration.

    Returns
    -------
    tuple of LabAuthenticator and Session
        The authenticator, and the session of the database that it works on.
    """
    here = settings()
    private_directory(here.state)
    before = os.umask(0o077)
    try:
        session = orm.new_session_factory(here.db_url)()
        config = PyFileConfigLoader(str(ROOT / "hub" / "jupyterhub_config.py")).load_config()
        authenticator = LabAuthenticator(config=config, _deprecated_db_session=session)
    finally:
        os.umask(before)
    for role in roles.get_default_roles():
        if orm.Role.find(session, role["name"]) is None:  # before the first start; later ones are the hub's own
            roles.create_role(session, role)
    return authenticator, session


def count_accounts() -> int:
    """Count who can sign in."""
    _, session = open_accounts()
    with session:
        return int(session.query(UserInfo).count())


def add_user(name: str, password: str, *, admin: bool = False, reset: bool = False) -> None:
    """Write an account that may sign in at once.

    Parameters
    ----------
    name : str
        The user's name.
    password : str
        The password that the user signs in with.
    admin : bool
        Whether the user may add users and reach the servers of all.
    reset : bool
        Set a new password for an account that is there, instead of making one.

    Raises
    ------
    InvalidInput
        The name or the password breaks a rule, the account is there (or, for a reset, is not).
    """
    authenticator, session = open_accounts()
    with session:
        if not authenticator.validate_username(name):
            raise InvalidInput(
                f"{name!r} cannot be a user's name; valid are 1 to 31 characters of a-z, 0-9, _ and -, the first of "
                "them a letter. It becomes the name of an account and of a folder."
            )
        if settings().users == SYSTEM:
            check_account(name)
        faults = authenticator.password_faults(password)
        if faults:
            raise InvalidInput(f"this password is not accepted: {'; '.join(faults)}. Choose another one.")
        row = authenticator.get_user(name)
        if row is not None and not reset:
            raise InvalidInput(f"{name!r} has an account already; --reset-password sets a new password for it.")
        if row is None and reset:
            raise InvalidInput(f"{name!r} has no account; leave out --reset-password to make one.")
        hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt())
        if row is None:
            session.add(UserInfo(username=name, password=hashed, is_authorized=True))
        else:
            row.password = hashed
        user = orm.User.find(session, name)
        if user is None:
            user = orm.User(name=name)
            session.add(user)
        user.admin = user.admin or admin
        roles.assign_default_roles(session, user)
        session.commit()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name")
@click.option("--admin", is_flag=True, help="May add users and reach the servers of all.")
@click.option("--reset-password", "reset", is_flag=True, help="Set a new password for an account that is there.")
def main(name: str, admin: bool, reset: bool) -> None:
    """Make an account for NAME; asks for the password, or reads it from standard input where that is no terminal."""
    try:
        add_user(name, ask_password(name), admin=admin, reset=reset)
    except InvalidInput as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name} can sign in at {settings().url}" + (" and is an administrator." if admin else "."))


def ask_password(name: str) -> str:
    """Ask twice for a password on a terminal, else read the first line of standard input."""
    if sys.stdin.isatty():
        return str(click.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\n")


if __name__ == "__main__":
    main()
