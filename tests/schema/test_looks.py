"""Types by how an instruction is written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gpdata.schema.looks import FIRST_OF_LOOKS, TYPE_PATTERNS


@given(st.one_of(*(st.from_regex(pattern) for _, pattern in TYPE_PATTERNS)))
def test_who_begins_otherwise_need_not_be_matched(text: str) -> None:
    assert text[0] in FIRST_OF_LOOKS
