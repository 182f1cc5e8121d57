"""Pictures with `*`: what fits, and that no picture and no text keeps anybody waiting."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from base.wildcards import fits
from directory.router.pattern import Pattern

LETTERS = st.text("ab*", max_size=12)


@given(st.text("ab", max_size=12), LETTERS)
def test_it_fits_what_a_regular_expression_would(text: str, picture: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, picture.split("*"))), text) is not None
    assert fits(text, picture) is expected


def test_a_picture_of_many_wildcards_ends() -> None:
    """As a regular expression this one takes longer than the universe will last."""
    assert not fits("a" * 8000, "*a" * 400 + "*b")


def test_a_router_record_is_not_tried_on_a_text_that_can_be_cut_in_too_many_ways() -> None:
    pattern = Pattern.parse("*a*a*a*b")
    assert pattern.match("a" * 60 + "b") is not None
    assert pattern.match("a" * 4000) is None
    assert pattern.match("a" * 4000 + "b") is None
