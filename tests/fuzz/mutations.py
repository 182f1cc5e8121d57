"""Strategies for hostile input: good examples cut, joined, doubled and scribbled on, with a few words of the trade."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st


def spoilt(examples: Sequence[bytes], words: Sequence[bytes] = ()) -> st.SearchStrategy[bytes]:
    """One of the examples after a few changes; now and then pure noise."""
    odd = [b"", b"\r\n", b"\n", b"\x00", b"\xff\xfe", b"%", b'"', b"<", b">", b";", b",", b"=", b":", b"(", b")", b"\\"]
    pieces = st.one_of(st.sampled_from([*odd, *words]), st.binary(max_size=6), st.just(b"9" * 30), st.just(b"A" * 3000))
    change = st.tuples(st.integers(0, 4000), st.integers(0, 40), pieces)
    changed = st.builds(_changed, st.sampled_from(list(examples)), st.lists(change, max_size=6))
    joined = st.builds(_joined, st.sampled_from(list(examples)), st.sampled_from(list(examples)), st.integers(0, 2000))
    return st.one_of(changed, changed, joined, st.binary(max_size=200))


def _changed(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for at, length, piece in changes:
        start = at % (len(data) + 1)
        data = data[:start] + piece + data[start + length :]
    return data


def _joined(one: bytes, other: bytes, at: int) -> bytes:
    return one[: at % (len(one) + 1)] + other[at % (len(other) + 1) :]
