"""Tokens kept in a directory, one small file each: accounts for who has no hub.

A token is ``gpdata_ID_SECRET``: an id, and 256 random bits of which only the SHA-256 is kept. Who can read the
directory can upload as nobody; who can write it lets in whom they like. So it is its owner's alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from gpdata.errors import InvalidInput, near
from gpdata.ingest.accounts import READ, WRITE, Denied, Identity
from gpdata.spool import Disk

SCOPES: Final = (WRITE, READ)
"""All that a token can be good for."""

_TOKEN = re.compile(r"gpdata_([0-9a-f]{12})_([0-9a-f]{64})", re.ASCII)
_ID = re.compile(r"[0-9a-f]{12}", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9._@-]{1,64}", re.ASCII)
_NO_SECRET = "0" * 64
"""What an unknown token's secret is compared with; no secret is known that has this hash."""
_FRESH = 0.5  # seconds for which a token's file is not looked at again
_KNOWN = 4_096  # tokens that are held in memory; all are let go when there are more
_MINUTE = 60.0
_MOST_DAYS = 36_500
_SLACK = 300.0  # seconds that a clock may be set back without a word
_LATEST = "latest-time"
_TIME = re.compile(rb"[0-9]{1,11}\s*")

_log = logging.getLogger(__name__)


class Token(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a token, without what would let somebody in.

    Examples
    --------
    >>> Token("0123456789ab", "ada", ("write",), datetime(2026, 1, 2, tzinfo=UTC)).expires_at is None
    True
    """

    id: str
    user: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    """None: good until it is revoked."""
    revoked_at: datetime | None = None
    note: str | None = None


class _Kept(msgspec.Struct, frozen=True):
    token: Token
    sha256: str
    """Of the secret's hexadecimal text."""


class _Seen(NamedTuple):
    kept: _Kept | None
    stamp: tuple[int, int, int] | None
    at: float


class Tokens:
    """The tokens of a directory; implements `gpdata.ingest.accounts.Accounts`.

    Parameters
    ----------
    directory : Path
        Made by the first `create`, for its owner alone.
    disk : Disk, optional
        The file system; the real one by default.
    clock : callable, optional
        Seconds since the epoch.

    Examples
    --------
    >>> import asyncio, tempfile
    >>> tokens = Tokens(Path(tempfile.mkdtemp()))
    >>> token, secret = tokens.create("ada")
    >>> asyncio.run(tokens.identify(secret)).name
    'ada'
    """

    def __init__(self, directory: Path, *, disk: Disk | None = None, clock: Callable[[], float] = time.time) -> None:
        self.directory = Path(directory)
        self._disk, self._clock = disk or Disk(), clock
        self._seen: dict[str, _Seen] = {}
        self._latest: float | None = None
        self._latest_kept = 0.0
        self._keeping = False

    def create(
        self, user: str, scopes: Iterable[str] = SCOPES, days: int | None = None, note: str | None = None
    ) -> tuple[Token, str]:
        """Make a token; it is good at once, on a running service too.

        Parameters
        ----------
        user : str
            1 to 64 of letters, digits and ``._@-``.
        scopes : iterable of str, optional
            "write", "read", or both.
        days : int, optional
            For how long; without end by default.
        note : str, optional
            What it is for, at most 200 characters.

        Returns
        -------
        tuple of (Token, str)
            What is kept, and the token itself, which is not.

        Raises
        ------
        InvalidInput
            A value is not valid, or the clock was set back and no end can be told.
        """
        wanted = dict.fromkeys(scopes)
        if not _USER.fullmatch(user):
            raise InvalidInput(
                f"the user {user[:80]!r} cannot have a token; valid are 1 to 64 letters (a to z), digits, and ._@-"
            )
        if not wanted or set(wanted) - set(SCOPES):
            raise InvalidInput(f"the scopes are {', '.join(map(repr, wanted)) or 'none'}; valid are {SCOPES}")
        if days is not None and not 1 <= days <= _MOST_DAYS:
            raise InvalidInput(f"days={days}; valid is 1 to {_MOST_DAYS}, or leave it out for a token without end")
        if note is not None and not (len(note) <= 200 and note.isprintable()):
            raise InvalidInput("the note is too long or holds control characters; valid are 200 printable characters")
        now = datetime.fromtimestamp(self._clock(), UTC)
        if days is not None and self._set_back():
            raise InvalidInput(f"no end can be told for a token: {self._advice()}; or leave the days out")
        id_, secret = secrets.token_hex(6), secrets.token_hex(32)
        ends = None if days is None else now + timedelta(days=days)
        token = Token(id_, user, tuple(s for s in SCOPES if s in wanted), now, ends, note=note)
        self._write(_Kept(token, _hash(secret)))
        return token, f"gpdata_{id_}_{secret}"

    def list(self) -> list[Token]:
        """Return every token, the oldest first; the revoked and the expired ones too."""
        ids = [path.stem for path in self.directory.glob("*.json") if _ID.fullmatch(path.stem)]
        found = [kept.token for kept in map(self._read, ids) if kept is not None]
        return sorted(found, key=lambda token: (token.created_at, token.id))

    def state(self, token: Token) -> str:
        """Say whether a token is "good", "revoked" or "expired".

        Parameters
        ----------
        token : Token
            As `list` gives it.
        """
        if token.revoked_at is not None:
            return "revoked"
        return "expired" if token.expires_at is not None and token.expires_at.timestamp() <= self._now() else "good"

    def revoke(self, id_: str) -> Token:
        """End a token for good, durably; a running service refuses it within a second.

        Parameters
        ----------
        id_ : str
            Its id; the whole token will do, too.

        Returns
        -------
        Token
            As it is now.

        Raises
        ------
        InvalidInput
            There is no such token.
        """
        whole = _TOKEN.fullmatch(id_)
        id_ = whole[1] if whole else id_
        if not _ID.fullmatch(id_):  # what else was given may hold a secret: it is not repeated
            raise InvalidInput("that is no id of a token; valid are 12 digits and letters, see 'gpdata token list'")
        kept = self._read(id_)
        if kept is None:
            known = near(id_, (token.id for token in self.list()))
            raise InvalidInput(f"no token has the id {id_!r}; {known} (see 'gpdata token list')")
        if kept.token.revoked_at is None:
            now = datetime.fromtimestamp(self._clock(), UTC)
            kept = _Kept(msgspec.structs.replace(kept.token, revoked_at=now), kept.sha256)
            self._write(kept)
            self._seen.pop(id_, None)
        return kept.token

    async def identify(self, token: str | None) -> Identity:
        """Return whose token this is; see `gpdata.ingest.accounts.Accounts`."""
        await self._keep_time()
        if not token:
            raise Denied("no_token", "no token was sent; send the header 'Authorization: Bearer TOKEN'")
        parts = _TOKEN.fullmatch(token)
        kept = self._look(parts[1]) if parts else None
        # The same work whether there is such an id or not.
        same = hmac.compare_digest(_hash(parts[2] if parts else ""), kept.sha256 if kept else _NO_SECRET)
        if kept is None or not same:
            raise Denied("bad_token", "this token is not known here; check it, or ask who runs the service for one")
        found = kept.token
        match self.state(found):
            case "revoked":
                raise Denied("revoked", f"the token {found.id} was revoked; ask who runs the service for a new one")
            case "expired" if self._set_back():
                _log.error("the token %s counts as expired: %s", found.id, self._advice())
                raise Denied("expired", f"the token {found.id} counts as expired, because the clock of the service "
                             "was set back; tell who runs it: the service's log says what to do")  # fmt: skip
            case "expired":
                ended = f"{found.expires_at:%Y-%m-%d %H:%M} UTC"
                raise Denied("expired", f"the token {found.id} expired at {ended}; ask who runs the service for a new "
                             f"one: gpdata token create {found.user}")  # fmt: skip
        return Identity(found.user, frozenset(found.scopes), found.id)

    async def still_valid(self, identity: Identity) -> bool:
        """Say whether an identity's token is good now; see `gpdata.ingest.accounts.Accounts`."""
        kept = self._look(identity.token_id) if _ID.fullmatch(identity.token_id) else None
        return kept is not None and self.state(kept.token) == "good"

    def _look(self, id_: str) -> _Kept | None:
        """Return a token, from memory where its file did not change.

        Done where it is called: asking for the state of one small file is quicker than another thread.
        """
        seen, now = self._seen.get(id_), time.monotonic()
        if seen is not None and now - seen.at < _FRESH:
            return seen.kept
        try:
            status = self._path(id_).stat()
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                _log.error("the tokens in %s cannot be read: %s", self.directory, error)
            self._seen.pop(id_, None)
            return None
        stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        kept = seen.kept if seen is not None and seen.stamp == stamp else self._read(id_)
        if len(self._seen) >= _KNOWN:
            self._seen.clear()
        self._seen[id_] = _Seen(kept, stamp, now)
        return kept

    def _read(self, id_: str) -> _Kept | None:
        path = self._path(id_)
        try:
            return msgspec.json.decode(path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            _log.error("%s cannot be read (%s); create and revoke tokens as the user who runs the service, "
                       "and put another in the place of a damaged one", path, error)  # fmt: skip
            return None

    def _write(self, kept: _Kept) -> None:
        self._make_directory()
        path = self._path(kept.token.id)
        self._disk.write(path, msgspec.json.encode(kept), self.directory)
        path.chmod(0o600)

    def _make_directory(self) -> None:
        if not self.directory.exists():
            self._disk.make_directory(self.directory)
            self.directory.chmod(0o700)
        elif self.directory.stat().st_mode & 0o002:
            raise InvalidInput(
                f"everybody may write to {self.directory}, and so let in whom they like; "
                f"valid is a directory of its own: chmod 700 {self.directory}, or name one that does not exist yet"
            )
        else:
            # Who made it may have been killed, or told of an error, before its name was durable.
            self._disk.sync_directory(self.directory.parent)

    def _path(self, id_: str) -> Path:
        return self.directory / f"{id_}.json"

    def _now(self) -> float:
        """Return the later of the clock and the latest time that was ever seen: setting it back helps nobody."""
        if self._latest is None:
            self._latest = self._latest_kept = self._kept_time()
        self._latest = max(self._latest, self._clock())
        return self._latest

    def _set_back(self) -> bool:
        return self._now() - self._clock() > _SLACK

    def _advice(self) -> str:
        shown, seen = (f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC" for at in (self._clock(), self._now()))
        return (
            f"the clock says {shown}, but {seen} was seen before; set the clock, or where that later time was wrong, "
            f"remove {self.directory / _LATEST} and restart the service"
        )

    def _kept_time(self) -> float:
        path = self.directory / _LATEST
        try:
            text = path.read_bytes()
            # A damaged one was written at some time, at least.
            return float(text) if _TIME.fullmatch(text) else path.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    async def _keep_time(self) -> None:
        """Keep the latest time durably, once a minute at most."""
        now = self._now()
        if self._keeping or now - self._latest_kept < _MINUTE or not self.directory.is_dir():
            return
        self._keeping, self._latest_kept = True, now
        try:
            await asyncio.to_thread(self._disk.write, self.directory / _LATEST, b"%d\n" % now, self.directory)
        except OSError as error:
            _log.error("the time cannot be kept in %s (%s); tokens are judged by it after the clock is set back",
                       self.directory, error)  # fmt: skip
        finally:
            self._keeping = False


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
