"""Fuzz targets: SIP messages and streams, session descriptions, digest headers. Only documented errors come out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import targets_sip
from tests.fuzz.mutations import spoilt
from tests.fuzz.targets import ADDRESSES, CREDENTIALS, INVITE, MESSAGES, OK, SDP

WORDS = [b"Via: ", b"Route: <", b";tag=", b"sip:", b"tel:+1;phone-context=", b"Content-Length: 5", b";lr", b"[::1]"]
SDP_WORDS = [b"m=audio ", b"a=rtpmap:", b"c=IN IP4 ", b"/127/3", b"a=ptime:0", b"-1", b"65536", b"RTP/AVP"]


@given(spoilt([*MESSAGES, INVITE, OK], WORDS))
def test_sip_messages(data: bytes) -> None:
    targets_sip.sip_message(data)


@given(st.lists(spoilt([*MESSAGES, INVITE, OK, b"\r\n\r\n"], WORDS), min_size=1, max_size=3), st.integers(0, 255))
def test_a_stream_says_the_same_however_it_is_cut(messages: list[bytes], size: int) -> None:
    targets_sip.sip_stream(bytes([size]) + b"".join(messages))


@given(spoilt(ADDRESSES, WORDS))
def test_addresses(data: bytes) -> None:
    targets_sip.address(data)


@given(spoilt(SDP, SDP_WORDS))
def test_session_descriptions(data: bytes) -> None:
    targets_sip.description(data)


@given(spoilt(CREDENTIALS, [b"qop=", b"algorithm=MD5-sess", b'nonce="', b"username*=UTF-8''x"]))
def test_digest_headers(data: bytes) -> None:
    targets_sip.credentials(data)
