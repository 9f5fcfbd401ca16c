"""The examples in the hub's docstrings run; pytest collects doctests of the package only."""

from __future__ import annotations

import doctest

import pytest

from hub import limits, settings, system_users, user_server


@pytest.mark.parametrize("module", [limits, settings, system_users, user_server], ids=lambda module: module.__name__)
def test_examples(module):
    outcome = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert outcome.attempted > 0
    assert outcome.failed == 0
