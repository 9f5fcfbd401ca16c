"""Accounts are written at once, with their rules, and no file of them is readable by others."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from jupyterhub import orm

from gpdata.errors import InvalidInput
from hub.add_user import add_user, count_accounts, main, open_accounts

GOOD = "correct horse battery"


def test_an_account_can_sign_in_and_only_an_admin_is_one(state):
    assert count_accounts() == 0
    add_user("ada", GOOD, admin=True)
    add_user("bob", GOOD)
    assert count_accounts() == 2
    authenticator, session = open_accounts()
    with session:
        row = authenticator.get_user("ada")
        assert row.is_authorized
        assert row.is_valid_password(GOOD)
        assert GOOD.encode() not in (state / "jupyterhub.sqlite").read_bytes()
        found = {user.name: {role.name for role in user.roles} for user in session.query(orm.User)}
    assert found == {"ada": {"admin", "user"}, "bob": {"user"}}
    assert (state / "jupyterhub.sqlite").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["", "Ada", "../etc", "two words", "a" * 32])
def test_a_bad_name_is_refused(state, name):
    with pytest.raises(InvalidInput, match="cannot be a user's name; valid are"):
        add_user(name, GOOD)
    assert count_accounts() == 0


@pytest.mark.parametrize(
    ("password", "says"),
    [("short", "5 characters"), ("x" * 73, "73 bytes"), ("1qaz2wsx3edc", "tries first"), ("twelve\0chars!", "NUL")],
)
def test_a_bad_password_is_refused(state, password, says):
    with pytest.raises(InvalidInput, match=says):
        add_user("ada", password)
    assert count_accounts() == 0


def test_a_second_account_of_a_name_is_refused_and_a_reset_keeps_the_rest(state):
    with pytest.raises(InvalidInput, match="has no account"):
        add_user("ada", GOOD, reset=True)
    add_user("ada", GOOD, admin=True)
    with pytest.raises(InvalidInput, match="--reset-password"):
        add_user("ada", GOOD)
    add_user("ada", "another good password", reset=True)
    authenticator, session = open_accounts()
    with session:
        assert authenticator.get_user("ada").is_valid_password("another good password")
        assert orm.User.find(session, "ada").admin


def test_a_user_cannot_be_an_account_of_the_system(state, monkeypatch):
    monkeypatch.setattr("hub.settings.os.geteuid", lambda: 0)
    monkeypatch.setattr("hub.add_user.private_directory", lambda path: path.mkdir(exist_ok=True))
    monkeypatch.setattr("hub.settings.private_directory", lambda path: path)
    monkeypatch.setenv("HUB_USERS", "system")
    with pytest.raises(InvalidInput, match="'daemon' is an account of the system"):
        add_user("daemon", GOOD)


def test_the_command_reads_the_password_from_standard_input(state):
    result = CliRunner().invoke(main, ["ada", "--admin"], input=GOOD + "\n")
    assert result.exit_code == 0, result.output
    assert "ada can sign in at http://127.0.0.1:8000/ and is an administrator." in result.output
    refused = CliRunner().invoke(main, ["bob"], input="\n")
    assert refused.exit_code == 1
    assert "0 characters" in refused.output
