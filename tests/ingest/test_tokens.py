"""Tokens: who is let in, who is not, and that nobody learns a secret."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpdata.errors import GpdataError, InvalidInput
from gpdata.ingest.accounts import READ, WRITE, Accounts, Denied, Identity
from gpdata.ingest.tokens import Token, Tokens
from gpdata.spool import Disk

DAY = 86_400.0
START = datetime(2026, 3, 1, tzinfo=UTC).timestamp()


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(tmp_path: Path, clock: Clock) -> Tokens:
    return Tokens(tmp_path / "tokens", clock=clock)


def who(tokens: Accounts, token: str | None) -> Identity:
    return asyncio.run(tokens.identify(token))


def refusal(tokens: Accounts, token: str | None) -> str:
    with pytest.raises(Denied) as caught:
        who(tokens, token)
    secret = (token or "").rpartition("_")[2]
    assert len(secret) < 10 or secret not in caught.value.detail
    assert str(caught.value) == caught.value.detail
    return caught.value.code


def valid(tokens: Accounts, identity: Identity) -> bool:
    return asyncio.run(tokens.still_valid(identity))


async def until_invalid(accounts: Accounts, identity: Identity) -> None:
    async with asyncio.timeout(20):
        while await accounts.still_valid(identity):
            await asyncio.sleep(0.01)


def test_a_token_says_whose_it_is_and_what_it_is_good_for(tokens: Tokens) -> None:
    made, text = tokens.create("ada")
    assert who(tokens, text) == Identity("ada", frozenset({READ, WRITE}), made.id)
    _, writes = tokens.create("bob@lab.org", [WRITE, WRITE], note="the cluster")
    assert who(tokens, writes).scopes == {WRITE}
    assert valid(tokens, who(tokens, writes))


def test_tokens_have_the_documented_form_and_are_never_equal(tokens: Tokens) -> None:
    texts = [tokens.create("ada")[1] for _ in range(20)]
    assert len(set(texts)) == 20
    assert all(re.fullmatch(r"gpdata_[0-9a-f]{12}_[0-9a-f]{64}", text) for text in texts)


def test_nobody_without_a_good_token_is_let_in(tokens: Tokens) -> None:
    made, text = tokens.create("ada")
    _, other = tokens.create("bob")
    assert refusal(tokens, None) == refusal(tokens, "") == "no_token"
    wrong = [
        text[:-1],
        text + "0",
        text[:-1] + ("0" if text[-1] != "0" else "1"),
        text.upper(),
        f" {text}",
        f"{text}\n",
        text.replace(made.id, "0" * 12),
        text[:20] + other[20:],
        f"gpdata_../../{made.id}_{text[-64:]}",
        f"gpdata_{made.id}_{'0' * 64}",
        f"gpdata_{made.id}_",
        text.replace("0", "０"),
        "x" * 1_000_000,
        "\ud800",
    ]
    assert {refusal(tokens, each) for each in wrong if each != text} == {"bad_token"}


@given(st.text(max_size=100) | st.from_regex(r"gpdata_[0-9a-f]{12}_[0-9a-f]{64}", fullmatch=True))
def test_no_other_text_is_a_token(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    tokens = Tokens(tmp_path_factory.getbasetemp() / "other-texts")
    if not tokens.list():
        tokens.create("ada")
    assert refusal(tokens, text) == ("bad_token" if text else "no_token")


def test_a_hundred_thousand_wrong_tokens_open_nothing_and_are_not_remembered(tokens: Tokens) -> None:
    made, text = tokens.create("ada")

    async def guess() -> int:
        accepted = 0
        for number in range(100_000):
            id_ = made.id if number % 2 else f"{number:012x}"
            try:
                await tokens.identify(f"gpdata_{id_}_{number:064x}")
                accepted += 1
            except Denied:
                pass
        return accepted

    assert asyncio.run(guess()) == 0
    assert who(tokens, text).name == "ada"
    assert len(tokens._seen) == 1


def test_a_revoked_token_is_refused_at_once_and_stays_listed(tokens: Tokens) -> None:
    made, text = tokens.create("ada")
    identity = who(tokens, text)
    ended = tokens.revoke(made.id)
    assert refusal(tokens, text) == "revoked"
    assert not valid(tokens, identity)
    assert tokens.revoke(made.id) == ended
    assert tokens.list() == [ended]
    assert tokens.state(ended) == "revoked"
    assert refusal(Tokens(tokens.directory), text) == "revoked"


def test_a_running_service_learns_of_tokens_and_revocations_while_it_runs(tokens: Tokens) -> None:
    service = Tokens(tokens.directory, clock=tokens._clock)
    assert refusal(service, f"gpdata_{'0' * 12}_{'0' * 64}") == "bad_token"
    made, text = tokens.create("ada")

    async def serve() -> None:
        identity = await service.identify(text)
        assert await service.still_valid(identity)
        tokens.revoke(text)  # a whole token that was found somewhere will do
        await until_invalid(service, identity)
        with pytest.raises(Denied, match=made.id):
            await service.identify(text)

    asyncio.run(serve())


def test_a_token_whose_file_is_gone_or_damaged_is_refused(tokens: Tokens, caplog: pytest.LogCaptureFixture) -> None:
    (gone, gone_text), (damaged, damaged_text), (good, good_text) = (tokens.create(name) for name in "abc")
    (tokens.directory / f"{gone.id}.json").unlink()
    (tokens.directory / f"{damaged.id}.json").write_bytes(b'{"token":')
    assert refusal(tokens, gone_text) == refusal(tokens, damaged_text) == "bad_token"
    assert who(tokens, good_text).name == "c"
    assert tokens.list() == [good]
    assert damaged.id in caplog.text


def test_a_token_ends_when_its_days_are_over(tokens: Tokens, clock: Clock) -> None:
    made, text = tokens.create("ada", days=7)
    _, endless = tokens.create("bob")
    identity = who(tokens, text)
    clock.now += 7 * DAY - 1
    assert valid(tokens, identity)
    clock.now += 1
    assert refusal(tokens, text) == "expired"
    assert not valid(tokens, identity)
    assert tokens.state(made) == "expired"
    assert who(tokens, endless).name == "bob"


@pytest.mark.parametrize("restarted", [False, True])
def test_setting_the_clock_back_brings_no_token_back(
    tokens: Tokens, clock: Clock, restarted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    _, text = tokens.create("ada", days=7)
    assert who(tokens, text).name == "ada"
    clock.now += 8 * DAY
    assert refusal(tokens, text) == "expired"
    clock.now = START - 3_650 * DAY
    later = Tokens(tokens.directory, clock=clock) if restarted else tokens
    assert refusal(later, text) == "expired"
    assert "set the clock" in caplog.text
    assert str(tokens.directory / "latest-time") in caplog.text
    with pytest.raises(InvalidInput, match=r"set the clock, or .* remove .*latest-time"):
        later.create("ada", days=7)
    assert who(later, later.create("bob")[1]).name == "bob"
    # The other way out, where the later time was the wrong one.
    (tokens.directory / "latest-time").unlink()
    assert who(Tokens(tokens.directory, clock=clock), text).name == "ada"


def test_a_damaged_latest_time_is_judged_by_when_it_was_written(tokens: Tokens, clock: Clock) -> None:
    _, text = tokens.create("ada", days=7)
    for damage in (b"", b"nan", b"9" * 400, b"\0"):
        (tokens.directory / "latest-time").write_bytes(damage)
        os.utime(tokens.directory / "latest-time", (START, START + 8 * DAY))
        assert refusal(Tokens(tokens.directory, clock=clock), text) == "expired"


class Counting(Disk):
    def __init__(self) -> None:
        self.written: list[str] = []
        self.full = False

    def write(self, path: Path, data: bytes, scratch: Path) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.written.append(path.name)
        super().write(path, data, scratch)


def test_the_time_is_kept_once_a_minute_at_most(tmp_path: Path, clock: Clock) -> None:
    disk = Counting()
    tokens = Tokens(tmp_path / "tokens", disk=disk, clock=clock)
    _, text = tokens.create("ada")
    for _ in range(50):
        who(tokens, text)
        clock.now += 10
    assert 5 <= disk.written.count("latest-time") <= 10


def test_a_full_disk_lets_good_tokens_in_and_revokes_nothing_in_silence(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Counting()
    tokens = Tokens(tmp_path / "tokens", disk=disk, clock=clock)
    made, text = tokens.create("ada")
    disk.full = True
    clock.now += DAY
    assert who(tokens, text).name == "ada"
    assert "cannot be kept" in caplog.text
    with pytest.raises(OSError, match="No space"):
        tokens.revoke(made.id)
    assert who(tokens, text).name == "ada"


def test_files_are_their_owners_alone_and_hold_no_secret(tokens: Tokens, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made, text = tokens.create("ada", note="n")
    who(tokens, text)
    tokens.revoke(made.id)
    refusal(tokens, text)
    assert tokens.directory.stat().st_mode & 0o777 == 0o700
    secret = text.rpartition("_")[2]
    files = list(tokens.directory.glob("*.json"))
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600]
    everything = [file.read_text() for file in tokens.directory.iterdir()]
    everything += [caplog.text, repr(made), repr(tokens), repr(tokens.list()), repr(vars(tokens))]
    assert not [shown for shown in everything if secret in shown]
    assert "sha256" not in repr(tokens.list())


def test_a_directory_that_everybody_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(InvalidInput, match="chmod 700"):
        Tokens(tmp_path).create("ada")


@pytest.mark.parametrize("user", ["", "a" * 65, "a b", "../x", "ä", "a\n", "a/b", "\0"])
def test_users_that_cannot_be_are_refused(tokens: Tokens, user: str) -> None:
    with pytest.raises(InvalidInput, match="valid are 1 to 64 letters"):
        tokens.create(user)
    assert not tokens.directory.exists()


def test_other_values_that_cannot_be_are_refused(tokens: Tokens) -> None:
    for days in (0, -1, 36_501):
        with pytest.raises(InvalidInput, match="valid is 1 to 36500"):
            tokens.create("ada", days=days)
    for scopes in ([], ["admin"], ["write", "admin"]):
        with pytest.raises(InvalidInput, match="valid are"):
            tokens.create("ada", scopes)
    for note in ("x" * 201, "a\nb", "\x1b[0m"):
        with pytest.raises(InvalidInput, match="200 printable"):
            tokens.create("ada", note=note)


def test_what_cannot_be_revoked_is_told_without_repeating_a_secret(tokens: Tokens) -> None:
    made, text = tokens.create("ada")
    with pytest.raises(InvalidInput, match=f"no token has the id '{'0' * 12}'.*{made.id}"):
        tokens.revoke("0" * 12)
    for given_id in (text[:-1], "", "../tokens", made.id[:-1]):
        with pytest.raises(InvalidInput, match="no id of a token") as caught:
            tokens.revoke(given_id)
        assert text[-20:-1] not in str(caught.value)


def test_names_that_are_not_ours_are_left_alone(tokens: Tokens) -> None:
    made, _ = tokens.create("ada")
    (tokens.directory / "README.json").write_text("{}")
    (tokens.directory / ".nfs0001").write_text("")
    assert [token.id for token in tokens.list()] == [made.id]
    assert Tokens(tokens.directory / "none").list() == []


def test_tokens_are_accounts_and_a_denial_is_a_message(tokens: Tokens) -> None:
    accounts: Accounts = tokens
    assert refusal(accounts, None) == "no_token"
    assert issubclass(Denied, GpdataError)
    assert not valid(accounts, Identity("ada", frozenset({WRITE}), "../../etc"))
    assert isinstance(tokens.create("ada")[0], Token)
