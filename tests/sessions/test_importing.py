"""`gpdata import` on Spark: what executors read is in the lake as if one process had read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpdata.errors import InvalidInput
from gpdata.importers import import_archives
from gpdata.lake import Lake
from gpdata.sessions.importing import SparkLoader
from tests.importers import logs
from tests.importers.test_archives import LOGS, tree, zipped
from tests.support import contents

pytestmark = pytest.mark.faults


@pytest.mark.xdist_group("spark")
@pytest.mark.parametrize("name", ["spark", "connect"])
def test_executors_read_as_one_process_does(sessions: Callable[[str], Any], tmp_path: Path, name: str) -> None:
    files = LOGS | {"more.zip": zipped({"x.csv": logs.csv_log(8)}), "cut.json": logs.json_log(9)[:-9]}
    folder = tree(tmp_path / "logs", files)
    alone = import_archives([folder], Lake.create(tmp_path / "alone"))
    lake = Lake.create(tmp_path / "lake")
    done = import_archives([folder], lake, loader=SparkLoader(sessions(name), tasks=3))
    assert (done.account, done.formats) == (alone.account, alone.formats)
    assert [aside.line for aside in done.set_aside] == [aside.line for aside in alone.set_aside] == [3]
    assert contents(tmp_path / "lake") == contents(tmp_path / "alone")
    again = import_archives([folder], lake, loader=SparkLoader(sessions(name)))
    assert (again.account.accepted, again.account.duplicates) == (0, alone.account.accepted)


def test_standard_input_has_no_executor(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="name a file"):
        import_archives(["-"], Lake.create(tmp_path / "lake"), loader=SparkLoader(None))  # type: ignore[arg-type]
