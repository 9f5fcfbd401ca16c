"""Calls of an S3-compatible store, each retried while the store is away, with errors that say what to do.

A conditional call whose answer was lost is told from one that lost a race by reading the object back: what is
written under a condition is unlike anything that another process writes.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeVar

from gpdata.errors import InvalidInput, StorageRefused, StorageUnreachable
from gpdata.storage.environment import StoreEnvironment, store_environment

PATIENCE = 60.0
"""Seconds for which a call is tried again while the store does not answer: a restart of it goes unnoticed."""
HURRY = 3.0
"""As long for the first call, so that a wrong address is told at once, and for a renewal, which has a deadline."""
_REQUEST = timedelta(minutes=5)
_CONNECT = timedelta(seconds=5)
_FIRST, _LONGEST = 0.1, 3.0

_NEVER = re.compile(r"status code: (?!408|429)4\d\d")
"""Answers that trying again does not change."""

_T = TypeVar("_T")


class Stat(NamedTuple):
    """What a store says of an object, under the names that `os.stat_result` has."""

    st_size: int
    st_mtime: float

    @property
    def st_mtime_ns(self) -> int:
        """The time of the last change in nanoseconds; stores tell seconds or milliseconds."""
        return round(self.st_mtime * 1e9)


class Content(NamedTuple):
    """An object's bytes, and the tag that a condition names."""

    data: bytes
    tag: str


class Client:
    """One bucket.

    Parameters
    ----------
    bucket : str
        Its name.
    environment : StoreEnvironment
        Where the store is, and who asks.
    """

    def __init__(self, bucket: str, environment: StoreEnvironment) -> None:
        store = _obstore().store.S3Store
        self.bucket = bucket
        self.endpoint = environment.endpoint or f"AWS S3, region {environment.region}"
        given = {
            "endpoint": environment.endpoint,
            "access_key_id": environment.access_key_id,
            "secret_access_key": environment.secret_access_key,
            "session_token": environment.session_token,
            "region": environment.region,
        }
        self._store = store(
            bucket,
            virtual_hosted_style_request=False,
            client_options={
                "allow_http": environment.plain_http,
                "timeout": _REQUEST,
                "connect_timeout": _CONNECT,
            },
            # Tried again here, where it is known which calls may be.
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=HURRY)},
            **{name: value for name, value in given.items() if value is not None},
        )

    def get(self, key: str, *, patience: float = PATIENCE) -> Content:
        """Return an object; raises FileNotFoundError where there is none."""

        def read() -> Content:
            found = _obstore().get(self._store, key)
            return Content(bytes(found.bytes()), found.meta["e_tag"] or "")

        return self._call(key, read, patience)

    def stat(self, key: str) -> Stat:
        """Return size and time of an object; raises FileNotFoundError where there is none."""
        return self._call(key, lambda: _stat(_obstore().head(self._store, key)), PATIENCE)

    def opened(self, key: str) -> Any:
        """Return a file of an object that reads the ranges that are asked for."""
        return self._call(key, lambda: _obstore().open_reader(self._store, key), PATIENCE)

    def folder(self, prefix: str) -> tuple[list[tuple[str, Stat]], list[str]]:
        """Return the objects directly below a prefix, with their keys, and the prefixes below it."""

        def read() -> tuple[list[tuple[str, Stat]], list[str]]:
            found = _obstore().list_with_delimiter(self._store, prefix or None)
            return [(entry["path"], _stat(entry)) for entry in found["objects"]], list(found["common_prefixes"])

        return self._call(prefix, read, PATIENCE)

    def any(self, prefix: str) -> bool:
        """Whether there is an object below a prefix."""

        def read() -> bool:
            stream: Iterator[Any] = iter(_obstore().list(self._store, prefix or None, chunk_size=1))
            return bool(next(stream, ()))

        return self._call(prefix, read, PATIENCE)

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write an object, over one that is there."""
        self._call(key, lambda: self._put(key, data, "overwrite"), PATIENCE)

    def put_new(self, key: str, data: bytes | memoryview) -> None:
        """Write an object whose key is free: the barrier of everything that must be there once.

        On return the store has acknowledged it. Raises FileExistsError where the key has other bytes.
        """

        def write() -> None:
            try:
                self._put(key, data, "create")
            except _obstore().exceptions.AlreadyExistsError:
                # Of an earlier try, perhaps, whose answer was lost.
                if self.get(key).data != bytes(data):
                    raise FileExistsError(f"s3://{self.bucket}/{key} is there already") from None

        self._call(key, write, PATIENCE)

    def put_if(self, key: str, data: bytes | memoryview, tag: str, *, patience: float = PATIENCE) -> str | None:
        """Write over the version of an object that has a tag; return the new tag, None where another was quicker."""

        def write() -> str | None:
            try:
                return self._put(key, data, {"e_tag": tag})
            except (_obstore().exceptions.PreconditionError, FileNotFoundError):
                try:
                    found = self.get(key, patience=patience)
                except FileNotFoundError:
                    return None
                return found.tag if found.data == bytes(data) else None

        return self._call(key, write, patience)

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the bucket, over one that is there."""
        self._call(source, lambda: _obstore().copy(self._store, source, target), PATIENCE)

    def remove(self, key: str) -> None:
        """Remove an object; one that is gone already is fine."""

        def delete() -> None:
            try:
                _obstore().delete(self._store, key)
            except FileNotFoundError:
                return

        self._call(key, delete, PATIENCE)

    def _put(self, key: str, data: bytes | memoryview, mode: Literal["create", "overwrite"] | dict[str, str]) -> str:
        try:
            found = _obstore().put(self._store, key, data, mode=mode, use_multipart=False)
        except (_obstore().exceptions.NotFoundError, FileNotFoundError):
            if isinstance(mode, dict):
                raise  # there is no version that could be replaced
            raise self._no_bucket() from None
        return found["e_tag"] or ""

    def _no_bucket(self) -> InvalidInput:
        return InvalidInput(
            f"the store at {self.endpoint} has no bucket {self.bucket!r}; make it there first, or name another: "
            "s3://BUCKET/PREFIX"
        )

    def _call(self, key: str, call: Callable[[], _T], patience: float) -> _T:
        """Make a call until it is answered; who waits longest waits at random, so that no crowd comes back at once."""
        where = f"s3://{self.bucket}/{key}"
        errors = _obstore().exceptions
        deadline, pause = time.monotonic() + patience, _FIRST
        while True:
            try:
                return call()
            except (errors.NotFoundError, FileNotFoundError):
                raise FileNotFoundError(f"there is no {where}") from None
            except (errors.PermissionDeniedError, errors.UnauthenticatedError) as error:
                raise StorageRefused(
                    f"the store at {self.endpoint} refuses {where} ({_brief(error)}); set AWS_ACCESS_KEY_ID and "
                    "AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN) of somebody who may use this bucket"
                ) from None
            except (errors.GenericError, errors.JoinError) as error:
                if _brief(error) == "NoSuchBucket":
                    raise self._no_bucket() from None
                if _NEVER.search(str(error)):
                    raise StorageRefused(
                        f"the store at {self.endpoint} refuses what was asked of {where} ({_brief(error)}); see "
                        "docs/how-to/s3.md for what a store must be able to do"
                    ) from None
                if time.monotonic() >= deadline:
                    raise StorageUnreachable(
                        f"the store at {self.endpoint} did not do what was asked of {where} in {patience:.0f} s "
                        f"({_brief(error)}); check AWS_ENDPOINT_URL, that the store runs and that the bucket exists, "
                        "then try again"
                    ) from None
            time.sleep(min(pause * random.uniform(0.5, 1.0), max(0.0, deadline - time.monotonic())))
            pause = min(2 * pause, _LONGEST)


def client(bucket: str) -> Client:
    """Return the client of a bucket, made from the environment; one a process for each."""
    return _client(bucket, store_environment())


@lru_cache(maxsize=16)
def _client(bucket: str, environment: StoreEnvironment) -> Client:
    return Client(bucket, environment)


@lru_cache(maxsize=1)
def _obstore() -> Any:
    try:
        import obstore
        import obstore.exceptions
        import obstore.store
    except ImportError:
        raise InvalidInput(
            "an s3:// address was given, and the package obstore, which speaks to such stores, is not installed; "
            "install it with pip install 'gpdata[s3]'"
        ) from None
    return obstore


def _stat(meta: Any) -> Stat:
    return Stat(meta["size"], meta["last_modified"].timestamp())


def _brief(error: Exception) -> str:
    """Return what an error of the store says in one line."""
    text = str(error).split("\n\nDebug source:")[0]
    if "<Code>" in text:
        return text.partition("<Code>")[2].partition("</Code>")[0]
    return " ".join(text.split())[-200:]
