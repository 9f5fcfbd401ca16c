"""Opening, creating and misusing lakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import gpdata
from gpdata.errors import InvalidInput, LakeDamaged, LakeTooNew, NotALake, UnknownRun, UnknownVersion
from gpdata.lake import Lake, Transformer
from gpdata.lake.verify import verify
from gpdata.spool import Meta
from tests.support import RUN, contents, run_lines


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.create(tmp_path / "lake")
    for text in run_lines():
        lake.spool().write([text], Meta("recorder"))
        Transformer(lake).run()
    return lake


def test_a_directory_that_is_no_lake(tmp_path: Path, lake: Lake) -> None:
    with pytest.raises(NotALake, match="does not exist"):
        Lake.open(tmp_path / "nowhere")
    with pytest.raises(NotALake, match="holds the lakes lake: name one"):
        Lake.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotALake):
        Lake.open(tmp_path / "file")
    with pytest.raises(InvalidInput, match="is a file"):
        Lake.create(tmp_path / "file")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("")
    with pytest.raises(InvalidInput, match=r"other files \(cat.jpg"):
        Lake.create(tmp_path / "photos")


def test_a_lake_of_a_newer_schema_is_refused(lake: Lake) -> None:
    marker = lake.path / "gpdata.json"
    marker.write_text(json.dumps(json.loads(marker.read_text()) | {"schema_version": 99}))
    with pytest.raises(LakeTooNew, match="schema version 99"):
        gpdata.open(lake.path)
    marker.write_text("{torn")
    with pytest.raises(LakeDamaged):
        gpdata.open(lake.path)


def test_an_unknown_run_or_version_says_what_there_is(lake: Lake) -> None:
    with pytest.raises(UnknownRun, match=f"did you mean '{RUN}'"):
        gpdata.open(lake.path, runs=RUN[:-1] + "7")
    with pytest.raises(UnknownVersion, match="versions 0 to 5"):
        gpdata.open(lake.path, version=6)


def test_creation_that_was_interrupted_is_finished(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    (lake.path / "gpdata.json").unlink()
    for path in (lake.path / "generations" / "_delta_log").iterdir():
        path.unlink()
    assert contents(Lake.create(lake.path).path)["runs"].num_rows == 0


def test_a_torn_newest_log_entry_is_set_aside_and_the_batch_done_again(lake: Lake) -> None:
    expected = contents(lake.path)
    newest = max((lake.path / "generations" / "_delta_log").glob("0*.json"))
    # As a crash leaves it: the entry is empty and the manifest and the spool file are still there.
    lake.spool().write(run_lines()[-1:], Meta("recorder"))
    (file,) = lake.spool().pending()
    (lake.path / "manifests" / "000000000005.json").write_text(
        json.dumps({"batch": 5, "spool": "spool", "files": [file.id]})
    )
    newest.write_bytes(b"")
    Transformer(lake).run()
    assert contents(lake.path) == expected
    assert list((lake.path / "generations" / "_delta_log").glob("set-aside-*"))
    assert [f for f in verify(lake) if f.kind == "error"] == []


def test_a_torn_checkpoint_is_set_aside(lake: Lake) -> None:
    expected = contents(lake.path)
    table = lake.tables["generations"]
    table.checkpoint()
    (checkpoint,) = table.log.glob("*.checkpoint.parquet")
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    Transformer(lake).run()
    assert contents(lake.path) == expected


def test_verify_finds_what_is_damaged(lake: Lake) -> None:
    assert list(verify(lake)) == []
    path = next((lake.path / "individuals").glob("*.parquet"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert any(f.kind == "error" and path.name in f.where for f in verify(lake))
    path.unlink()
    found = list(verify(lake))
    assert any("cannot be read" in f.what for f in found)
    assert any("of 4 locations" in f.what for f in found)


def test_verify_notes_lost_generations(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    lines = run_lines()
    lake.spool().write([lines[0], lines[3]], Meta("recorder"))
    Transformer(lake).run()
    (finding,) = verify(lake)
    assert (finding.kind, finding.what) == ("note", f"run {RUN} lacks 2 of its generations 0 to 3: 1, 2")


def test_an_empty_lake_has_empty_frames(tmp_path: Path) -> None:
    lab = gpdata.open(Lake.create(tmp_path / "lake").path)
    assert lab.version == 0
    for name in ("runs", "generations", "individuals", "errors", "genes"):
        frame = getattr(lab, name)
        assert frame.fetchall() == []
        assert tuple(frame.columns) == getattr(gpdata.schema, name.upper()).names
