"""Pictures are drawn without a screen, and closed after each test."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import polars as pl
import pytest


@pytest.fixture(autouse=True)
def _no_screen() -> Iterator[None]:
    mpl.use("agg")
    yield
    plt.close("all")


@pytest.fixture
def runs() -> pl.DataFrame:
    """Return the runs of three groups, one of which lacks the config key."""
    return pl.DataFrame(
        {
            "run_uuid": [f"run-{index}" for index in range(8)],
            "problem": ["odd"] * 4 + ["clojush.problems.software.replace_space_with_newline"] * 4,
            "parent-selection": ["lexicase"] * 4 + ["lexicase", "lexicase", None, None],
        }
    )


@pytest.fixture
def generations() -> pl.DataFrame:
    """Return their generations: successes, failures, a killed run and a gap; errors from 0 to 5,000."""
    outcomes = ["success", "failure", "continue", "success", "failure", "success", "failure", "continue"]
    return pl.DataFrame(
        [
            {
                "run_uuid": f"run-{run}",
                "generation": generation,
                "outcome": outcome if generation == 6 else "continue",
                "total_error_min": 0.0 if outcome == "success" and generation == 6 else 5000.0 / 4**generation,
                "best_test_errors": [0.0, float(run == 5)] if run > 3 else None,
            }
            for run, outcome in enumerate(outcomes)
            for generation in range(7)
            if generation != 3 or run < 4
        ]
    )
