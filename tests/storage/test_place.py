"""Addresses: what is one, what is below it, and what is refused before anything is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpdata.errors import InvalidInput
from gpdata.storage import ObjectPath, as_place, fresh, local
from gpdata.storage.environment import store_environment


def test_an_address_is_taken_as_it_is_typed_and_as_pathlib_mangles_it() -> None:
    assert as_place("s3://lab/a/lake/") == ObjectPath("lab", "a/lake") == as_place(Path("s3://lab/a/lake"))
    assert str(as_place("s3://lab")) == "s3://lab"
    assert as_place("s3://lab") / "runs" == as_place("s3://lab/runs")


def test_a_path_of_this_machine_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert as_place("lake") == tmp_path / "lake"
    assert as_place(tmp_path) == tmp_path


@pytest.mark.parametrize(
    ("given", "said"), [("s3://", "names no bucket"), ("gs://lab/lake", "not known here"), ("s3a://b/l", "s3://b/l")]
)
def test_what_is_no_address_is_told_what_would_be(given: str, said: str) -> None:
    with pytest.raises(InvalidInput, match="s3://") as error:
        as_place(given)
    assert said in str(error.value)


def test_places_relate_as_paths_do() -> None:
    lake = ObjectPath("lab", "lake")
    inside = lake / "spool" / "new" / "1.ndjson.zst"
    assert inside.is_relative_to(lake)
    assert not (ObjectPath("lab", "lake2") / "x").is_relative_to(lake)
    assert str(inside.relative_to(lake)) == "spool/new/1.ndjson.zst"
    assert inside.parent.parent.parent == lake
    assert lake / "../other" == ObjectPath("lab", "other")
    assert inside.with_name("a.json").with_suffix(".raw.zst").name == "a.raw.zst"
    with pytest.raises(InvalidInput):
        lake.relative_to(inside)


def test_only_names_in_a_store_are_made_unique(tmp_path: Path) -> None:
    assert fresh(tmp_path / "a.parquet") == tmp_path / "a.parquet"
    first, second = fresh(ObjectPath("lab", "a.parquet")), fresh(ObjectPath("lab", "a.parquet"))
    assert first != second
    assert first.name.startswith("a-")
    assert first.suffix == ".parquet"


def test_what_needs_a_disk_says_so() -> None:
    with pytest.raises(InvalidInput, match=r"a backup needs a directory of this machine, and s3://lab/lake is in"):
        local(ObjectPath("lab", "lake"), "a backup")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AWS_ENDPOINT_URL": "http://10.0.0.1:8333"}, "AWS_ALLOW_HTTP"),
        ({"AWS_ENDPOINT_URL": "localhost:8333"}, "no address"),
        ({"AWS_ENDPOINT_URL": "https://me:secret@s3.example.org"}, "AWS_ACCESS_KEY_ID"),
        ({"AWS_ACCESS_KEY_ID": "me"}, "only one is set"),
    ],
)
def test_an_environment_that_cannot_be_meant_is_refused(variables: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as error:
        store_environment(variables)
    assert "secret" not in str(error.value)


def test_plain_http_beyond_this_machine_is_a_decision() -> None:
    variables = {"AWS_ENDPOINT_URL_S3": "http://10.0.0.1:8333/", "AWS_ALLOW_HTTP": "true", "AWS_ENDPOINT_URL": "x"}
    found = store_environment(variables)
    assert (found.endpoint, found.plain_http) == ("http://10.0.0.1:8333", True)


def test_no_credential_is_shown() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "hidden-1", "AWS_SECRET_ACCESS_KEY": "hidden-2", "AWS_SESSION_TOKEN": "hidden-3"}
    assert "hidden" not in repr(store_environment(keys))
