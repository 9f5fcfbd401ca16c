"""Example notebooks arrive and are updated, and an edited one is never overwritten."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from hub.user_server import RECORD, deliver, link, main


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "data").mkdir(parents=True)
    (folder / "01.ipynb").write_text("one")
    (folder / "02.ipynb").write_text("two")
    (folder / "data" / "03.ipynb").write_text("three")
    (folder / "sanitize.cfg").write_text("not a notebook")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "01.ipynb").write_text("hidden")
    return folder


def files(folder):
    found = (file for file in folder.rglob("*") if file.is_file() and file.name != RECORD)
    return {file.relative_to(folder).as_posix(): file.read_text() for file in found}


def test_all_arrive_the_first_time(source, tmp_path):
    home = tmp_path / "home" / "example-notebooks"
    assert deliver(source, home) == []
    assert files(home) == {"01.ipynb": "one", "02.ipynb": "two", "data/03.ipynb": "three"}


def test_an_update_reaches_what_was_not_edited(source, tmp_path):
    home = tmp_path / "home"
    deliver(source, home)
    (home / "01.ipynb").write_text("one, and my thoughts")
    (home / "mine.ipynb").write_text("mine")
    for name in ("01.ipynb", "02.ipynb"):
        (source / name).write_text(f"{name} of next year")
    assert deliver(source, home) == ["01.ipynb"]
    expected = {"01.ipynb": "one, and my thoughts", "02.ipynb": "02.ipynb of next year", "data/03.ipynb": "three"}
    assert files(home) == expected | {"mine.ipynb": "mine"}


def test_the_explorer_arrives_beside_them_under_the_same_rule(source, tmp_path):
    page, home = tmp_path / "page.ipynb", tmp_path / "home"
    page.write_text("explore")
    deliver(source, home, {"explorer.ipynb": page})
    assert files(home)["explorer.ipynb"] == "explore"
    page.write_text("explore better")
    deliver(source, home, {"explorer.ipynb": page})
    assert files(home)["explorer.ipynb"] == "explore better"
    (home / "explorer.ipynb").write_text("mine")
    page.write_text("explore best")
    assert deliver(source, home, {"explorer.ipynb": page}) == ["explorer.ipynb"]


def test_a_deleted_one_comes_back(source, tmp_path):
    home = tmp_path / "home"
    deliver(source, home)
    (home / "02.ipynb").unlink()
    assert deliver(source, home) == []
    assert files(home)["02.ipynb"] == "two"


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe"])
def test_without_its_record_everything_that_differs_counts_as_edited(source, tmp_path, damage):
    home = tmp_path / "home"
    deliver(source, home)
    (home / RECORD).write_bytes(damage)
    (source / "01.ipynb").write_text("newer")
    assert deliver(source, home) == ["01.ipynb"]
    assert files(home)["01.ipynb"] == "one"


STEP = st.tuples(
    st.sampled_from(["ship", "edit", "delete", "deliver"]),
    st.sampled_from(["a.ipynb", "b.ipynb"]),
    st.sampled_from("xyz"),
)


@given(steps=st.lists(STEP, max_size=12))
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_order_of_events_loses_an_edit(steps, tmp_path_factory):
    """A user's text disappears only by the user's own hand."""
    source, home = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("home")
    edits = {}
    for what, name, text in steps:
        if what == "ship":
            (source / name).write_text(text)
        elif what == "edit":
            (home / name).write_text(f"my {text}")
            edits[name] = f"my {text}"
        elif what == "delete":
            (home / name).unlink(missing_ok=True)
            edits.pop(name, None)
        else:
            deliver(source, home)
            assert all((home / edited).read_text() == content for edited, content in edits.items())
            assert {file.name for file in source.iterdir()} <= {file.name for file in home.iterdir()}


@pytest.mark.parametrize("blocked", [False, True])
def test_the_server_starts_whether_or_not_the_copies_can_be_written(source, tmp_path, monkeypatch, capsys, blocked):
    """A file stands where the folder should be: told on standard error, and the server still starts."""
    started = []
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["user_server.py", f"--notebooks={source}", f"--shared={source}", "--allow-root"])
    monkeypatch.setattr("os.execv", lambda program, arguments: started.append(arguments))
    if blocked:
        (tmp_path / "example-notebooks").write_text("a file of mine")
    main()
    assert started == [[sys.executable, "-P", "-m", "jupyterhub.singleuser", "--allow-root"]]
    assert ("not brought up to date, the server starts without" in capsys.readouterr().err) == blocked
    assert (tmp_path / "example-notebooks").is_file() == blocked
    assert (tmp_path / "shared").resolve() == source
    (tmp_path / "shared").unlink()
    monkeypatch.setattr("sys.argv", ["user_server.py", f"--notebooks={source}"])
    main()  # a cluster may have no folder of all
    assert not (tmp_path / "shared").exists()


def test_the_shared_folder_is_linked_and_nothing_of_the_users_is_replaced(tmp_path):
    shared, name = tmp_path / "srv", tmp_path / "shared"
    shared.mkdir()
    for _ in range(2):
        link(shared, name)
        assert name.resolve() == shared
    moved = tmp_path / "moved"
    shared.rename(moved)
    link(moved, name)
    assert name.resolve() == moved
    name.unlink()
    name.mkdir()
    (name / "mine").touch()
    link(moved, name)
    assert [file.name for file in name.iterdir()] == ["mine"]


def test_a_missing_source_is_an_error_and_not_nothing(tmp_path):
    with pytest.raises(FileNotFoundError):
        deliver(tmp_path / "nowhere", tmp_path / "home")


def test_the_record_holds_digests(source, tmp_path):
    deliver(source, tmp_path / "home")
    record = json.loads((tmp_path / "home" / RECORD).read_text())
    assert set(record) == {"01.ipynb", "02.ipynb", "data/03.ipynb"}
    assert {len(digest) for digest in record.values()} == {64}
