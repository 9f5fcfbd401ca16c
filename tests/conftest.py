"""What every test can ask for: the recorder streams, where the folder is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CAPTURES = Path(os.environ.get("GPDATA_CAPTURES", ROOT.parent / "shared" / "captures"))


@pytest.fixture(scope="session")
def captures() -> Path:
    """Return the folder of recorder streams of real Clojush runs, or skip."""
    if not CAPTURES.is_dir():
        pytest.skip(f"no recorder streams at {CAPTURES}; name their folder in GPDATA_CAPTURES to run this test")
    return CAPTURES
