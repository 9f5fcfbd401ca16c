"""What of the engines' suite is for `make test-spark`: the longer halves on Connect, whose core stays."""

from __future__ import annotations

import pytest

LONGER = ("test_populations.py", "test_over_time.py", "test_lineages.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them, before the marks are asked for."""
    for item in items:
        if item.path.name in LONGER and "[connect" in item.name:
            item.add_marker(pytest.mark.faults)
