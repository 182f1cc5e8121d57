"""What a request may be shared out into never grows, however it is forked (RFC 5393 §5.3)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pbx.sipcore.breadth import Shares


@given(st.integers(0, 200), st.lists(st.integers(0, 8), max_size=60))
def test_no_more_is_given_out_than_there_is(whole: int, ends: list[int]) -> None:
    """Branches come one by one, and after each some of the oldest end."""
    shares, under_way = Shares[int](), dict[int, int]()
    for branch, ending in enumerate(ends):
        left = whole - sum(under_way.values())
        assert shares.take(branch, whole, under_way) is (left > 0)
        if left > 0:
            ((_, value),) = shares.headers(branch)
            under_way[branch] = int(value)
            assert 0 < under_way[branch] <= left
        for ended in list(under_way)[:ending]:
            del under_way[ended]


def test_where_nothing_was_said_nothing_is() -> None:
    shares = Shares[str]()
    assert shares.take("one", None, ())
    assert shares.headers("one") == ()
