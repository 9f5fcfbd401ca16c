"""`gpdata token`, as a shell runs it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gpdata.cli import main
from gpdata.ingest.accounts import Denied
from gpdata.ingest.tokens import Tokens
from gpdata.lake import Lake


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["token", *map(str, arguments)])


def who(directory: Path, token: str) -> str:
    return asyncio.run(Tokens(directory).identify(token)).name


def test_create_prints_the_token_alone_on_standard_output(tmp_path: Path) -> None:
    command = [
        Path(sys.executable).parent / "gpdata",
        "token",
        "create",
        "ada",
        "--days",
        "3",
        "--tokens",
        tmp_path / "t",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    token = done.stdout.removesuffix("\n")
    assert who(tmp_path / "t", token) == "ada"
    assert token not in done.stderr
    for told in ("for ada", "until 20", "shown this once", "GPDATA_TOKEN", "Bearer"):
        assert told in done.stderr


def test_the_tokens_of_a_lake_are_in_it(tmp_path: Path) -> None:
    Lake.create(tmp_path / "lake")
    made = run("create", "ada", "--scope", "write", "--lake", tmp_path / "lake")
    assert who(tmp_path / "lake" / "tokens", made.stdout.strip()) == "ada"
    assert "may write with it, until it is revoked" in made.stderr
    assert Lake.create(tmp_path / "lake").path == tmp_path / "lake"


def test_list_shows_what_tokens_are_good_for_and_no_secret(tmp_path: Path) -> None:
    assert "there are no tokens" in run("list", "--tokens", tmp_path).stdout
    first = run("create", "ada", "--tokens", tmp_path, "--note", "[red]x").stdout.strip()
    second = run("create", "bob", "--tokens", tmp_path, "--days", 5).stdout.strip()
    run("revoke", second.split("_")[1], "--tokens", tmp_path)
    shown, as_json = run("list", "--tokens", tmp_path).stdout, run("list", "--json", "--tokens", tmp_path).stdout
    for text in (shown, as_json):
        assert "ada" in text
        assert "[red]x" in text
        assert "revoked" in text
        assert not [token for token in (first, second) if token.rpartition("_")[2] in text]
    rows = [json.loads(row) for row in as_json.splitlines()]
    assert [(row["user"], row["state"]) for row in rows] == [("ada", "good"), ("bob", "revoked")]
    assert all("sha256" not in row for row in rows)


def test_revoke_ends_a_token(tmp_path: Path) -> None:
    token = run("create", "ada", "--tokens", tmp_path).stdout.strip()
    ended = run("revoke", token.split("_")[1], "--tokens", tmp_path)
    assert ended.exit_code == 0
    assert "of ada is revoked since" in ended.stdout
    with pytest.raises(Denied, match="revoked"):
        who(tmp_path, token)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "a b", "--tokens", "{}"], "valid are 1 to 64 letters"),
        (["create", "ada", "--days", "0", "--tokens", "{}"], "valid is 1 to 36500"),
        (["create", "ada", "--scope", "admin", "--tokens", "{}"], "'admin' is not one of 'write', 'read'"),
        (["create", "ada", "--tokens", "{}", "--lake", "x"], "name one"),
        (["create", "ada", "--lake", "{}/none"], "there is no lake at"),
        (["revoke", "000000000000", "--tokens", "{}"], "no token has the id '000000000000'"),
        (["revoke", "nonsense", "--tokens", "{}"], "that is no id of a token"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = run(*(argument.format(tmp_path) for argument in arguments))
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""
