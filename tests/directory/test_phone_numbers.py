"""Numbers as providers want them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.numbers import FORMS, spellings, written


@pytest.mark.parametrize("dialled", ["030123456", "0049 30 123456", "+4930123456", "030/123-456"])
def test_however_it_is_dialled_it_is_sent_alike(dialled: str) -> None:
    assert written(dialled, "plus", "DE") == "+4930123456"
    assert written(dialled, "digits", "DE") == "4930123456"
    assert written(dialled, "national", "DE") == "030123456"
    assert written(dialled, "dialled", "DE") == dialled


def test_the_same_digits_are_another_number_elsewhere() -> None:
    assert written("4155550100", "plus", "US") == "+14155550100"
    assert written("01144 20 7946 0000", "plus", "US") == "+442079460000"
    assert written("+442079460000", "national", "US") == "011442079460000"


@pytest.mark.parametrize("dialled", ["112", "911", "*72", "201", "0", "alice", "", "1" * 40])
@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_number_stays_as_it_is(dialled: str, form: str) -> None:
    assert written(dialled, form, "DE") == dialled


def test_an_alias_fits_every_spelling() -> None:
    for told in ("+4930123456", "030123456", "004930123456"):
        assert "4930123456" in spellings(told, "DE")
    assert "030123456" in spellings("4930123456", "DE")
    assert spellings("4930123456", "") == ()


@given(st.text(max_size=30), st.sampled_from(FORMS), st.sampled_from(["", "DE", "US", "XX"]))
def test_any_text_is_taken(dialled: str, form: str, country: str) -> None:
    assert isinstance(written(dialled, form, country), str)
