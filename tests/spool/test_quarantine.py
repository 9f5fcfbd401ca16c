from __future__ import annotations

from pathlib import Path

import pytest

from gpdata.errors import InvalidInput
from gpdata.spool import Quarantine


def test_bytes_come_back_as_they_came_in(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "q")
    raw = b'{"torn": "\xff\x00'
    entry = quarantine.add(raw, code="torn", detail="ends early", origin="a.jsonl", line=3)
    assert quarantine.raw(entry) == raw
    assert list(quarantine.entries()) == [entry]
    assert quarantine.check(entry) is None


def test_the_same_bytes_and_code_are_kept_once_in_pieces_or_whole(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    first = quarantine.add(b"abc", code="torn", detail="d", origin="one")
    assert quarantine.add(iter([b"a", b"bc"]), code="torn", detail="d", origin="two") == first
    other = quarantine.add(b"abc", code="conflict", detail="d")
    assert other.id != first.id
    assert len(list(quarantine.entries())) == 2


def test_an_entry_is_found_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    entry = quarantine.add(b"abc", code="torn", detail="d")
    assert quarantine.entry(entry.id[:5]) == entry
    with pytest.raises(InvalidInput, match="quarantine list"):
        quarantine.entry("zzz")
    quarantine.drop(entry)
    assert list(quarantine.entries()) == []
    assert list(tmp_path.iterdir()) == []


def test_damage_is_told(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    entry = quarantine.add(b"abc", code="torn", detail="d")
    (tmp_path / f"{entry.id}.raw.zst").write_bytes(b"garbage")
    assert "cannot be read" in (quarantine.check(entry) or "")
