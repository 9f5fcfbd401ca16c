"""The calls of a store, against a real server: conditions hold, and what is wrong is named."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from gpdata.errors import InvalidInput, NotALake, StorageRefused, StorageUnreachable
from gpdata.lab import open as open_lab
from gpdata.lake import Lake
from gpdata.storage import ObjectPath
from tests import s3
from tests.support import free_port

pytestmark = pytest.mark.xdist_group("s3")


def _race(runners: list[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=run) for run in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_of_many_who_put_one_name_one_succeeds(place: ObjectPath) -> None:
    for number in range(8):
        won: list[int] = []

        def put(who: int, number: int = number, won: list[int] = won) -> None:
            try:
                place.client.put_new(f"{place.key}/{number}", b"from %d" % who)
                won.append(who)
            except FileExistsError:
                return

        _race([lambda who=who: put(who) for who in range(6)])  # type: ignore[misc]
        assert len(won) == 1
        assert (place / str(number)).read_bytes() == b"from %d" % won[0]


def test_a_put_whose_answer_was_lost_is_no_conflict(place: ObjectPath) -> None:
    place.client.put_new(place.key, b"mine")
    place.client.put_new(place.key, b"mine")
    with pytest.raises(FileExistsError):
        place.client.put_new(place.key, b"another's")


def test_of_many_who_replace_one_version_one_succeeds(place: ObjectPath) -> None:
    place.client.put(place.key, b"0")
    tag = place.client.get(place.key).tag
    found: list[str | None] = []
    _race([lambda n=n: found.append(place.client.put_if(place.key, b"new %d" % n, tag)) for n in range(6)])  # type: ignore[misc]
    assert sum(tag is not None for tag in found) == 1


def test_a_place_is_read_as_a_directory_is(place: ObjectPath) -> None:
    content = {"a.json": b"{}", "b.json": b"[]", "deep/c.json": b"3", "large": bytes(range(256)) * 8192}
    for name, data in content.items():
        place.client.put((place / name).key, data)
    assert [path.name for path in place.iterdir()] == ["a.json", "b.json", "deep", "large"]
    assert [path.name for path in place.glob("*.json")] == ["a.json", "b.json"]
    assert [str(path.relative_to(place)) for path in place.glob("*/*.json")] == ["deep/c.json"]
    assert (place / "deep").is_dir()
    assert not (place / "deep").is_file()
    assert not (place / "nothing").exists()
    assert (place / "a.json").stat().st_size == 2
    with (place / "large").open("rb") as file:
        file.seek(-300, 2)
        assert file.read(44) == content["large"][-300:-256]
        file.seek(5)
        assert file.read() == content["large"][5:]
    with pytest.raises(FileNotFoundError):
        (place / "nothing").read_bytes()


def test_wrong_credentials_are_named_and_not_shown(place: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    with pytest.raises(StorageRefused, match="AWS_SECRET_ACCESS_KEY") as error:
        open_lab(str(place))
    assert "not-the-secret" not in str(error.value)


def test_another_bucket_is_refused(place: ObjectPath) -> None:
    with pytest.raises((StorageRefused, NotALake)):
        open_lab("s3://somebody-elses/lake")


def test_a_bucket_that_is_not_there_is_told(place: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.ADMIN[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.ADMIN[1])
    with pytest.raises(InvalidInput, match=r"no bucket 'nowhere'"):
        Lake.create("s3://nowhere/lake")


def test_a_store_that_is_not_there_is_told_within_seconds(place: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    began = time.monotonic()
    with pytest.raises(StorageUnreachable, match="AWS_ENDPOINT_URL"):
        open_lab(str(place))
    assert time.monotonic() - began < 30  # not the minute for which later calls wait for a restart


def test_no_lake_at_an_address_is_told(place: ObjectPath) -> None:
    with pytest.raises(NotALake, match=r"nothing lies below"):
        open_lab(str(place))
    place.client.put((place / "other").key, b"something")
    with pytest.raises(NotALake, match=r"gpdata\.json"):
        open_lab(str(place))
