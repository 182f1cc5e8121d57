"""STUN: the vectors of RFC 5769, round trips, and octets that are nothing of the kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.nat import stun
from pbx.nat.stun import StunClass, StunError, StunMessage

TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
# RFC 5769 §2.1: request with short-term credentials
REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae"
    "802200105354554e207465737420636c69656e74"
    "002400046e0001ff"
    "80290008932ff9b151263b36"
    "000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004e57a3bcf"
)
# RFC 5769 §2.2 and §2.3: responses over IPv4 and IPv6
RESPONSE_4 = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004c07d4c96"
)
RESPONSE_6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014a382954e4be67bf11784c97c8292c275bfe3ed41"
    "80280004c8fb0b4c"
)
PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"


def test_the_request_of_rfc_5769():
    message = stun.parse(REQUEST)

    assert (message.kind, message.method, message.transaction) == (StunClass.REQUEST, stun.BINDING, TRANSACTION)
    assert message.get(stun.USERNAME) == b"evtj:h6vY"
    assert stun.intact(REQUEST, PASSWORD)
    assert not stun.intact(REQUEST, b"another")


@pytest.mark.parametrize(
    ("data", "address"),
    [(RESPONSE_4, ("192.0.2.1", 32853)), (RESPONSE_6, ("2001:db8:1234:5678:11:2233:4455:6677", 32853))],
)
def test_the_responses_of_rfc_5769(data, address):
    message = stun.parse(data)

    assert message.kind is StunClass.SUCCESS
    value = message.get(stun.XOR_MAPPED_ADDRESS)
    assert value is not None
    assert stun.read_xor_address(value, TRANSACTION) == address
    assert stun.xor_address(address, TRANSACTION) == value
    assert stun.intact(data, PASSWORD)


def test_checksums_that_we_make_are_right():
    made = stun.request(TRANSACTION, [(stun.USERNAME, b"a:b")]).encode(PASSWORD, fingerprint=True)

    assert stun.intact(made, PASSWORD)
    assert stun.parse(made).get(stun.USERNAME) == b"a:b"
    broken = made[:-1] + bytes([made[-1] ^ 1])
    with pytest.raises(StunError):
        stun.parse(broken)


def test_a_keepalive_is_answered_with_the_address_it_came_from():
    answer = stun.answer_keepalive(stun.request(TRANSACTION).encode(), ("203.0.113.9", 4242))

    assert answer is not None
    got = stun.parse(answer)
    value = got.get(stun.XOR_MAPPED_ADDRESS)
    assert (got.kind, got.transaction) == (StunClass.SUCCESS, TRANSACTION)
    assert value is not None
    assert stun.read_xor_address(value, TRANSACTION) == ("203.0.113.9", 4242)


def test_what_must_be_understood_and_is_not_gives_420():
    answer = stun.answer_keepalive(stun.request(TRANSACTION, [(0x7F01, b"")]).encode(), ("::1", 1))

    assert answer is not None
    got = stun.parse(answer)
    assert got.kind is StunClass.ERROR
    assert got.get(stun.ERROR_CODE) == b"\0\0\x04\x14Unknown Attribute"
    assert got.get(stun.UNKNOWN_ATTRIBUTES) == b"\x7f\x01"


@pytest.mark.parametrize("kind", [StunClass.INDICATION, StunClass.SUCCESS, StunClass.ERROR])
def test_only_requests_are_answered(kind):
    assert stun.answer_keepalive(StunMessage(kind, TRANSACTION).encode(), ("127.0.0.1", 1)) is None


_MESSAGES = st.builds(
    StunMessage,
    st.sampled_from(StunClass),
    st.binary(min_size=12, max_size=12),
    st.lists(st.tuples(st.integers(0, 0x7FFF), st.binary(max_size=40)), max_size=8).map(tuple),
    st.integers(0, 0xFFF),
)


@given(_MESSAGES, st.booleans())
def test_what_is_encoded_is_parsed_again(message, fingerprint):
    plain = tuple(each for each in message.attributes if each[0] != stun.MESSAGE_INTEGRITY)
    got = stun.parse(message.encode(fingerprint=fingerprint))

    assert (got.kind, got.method, got.transaction) == (message.kind, message.method, message.transaction)
    assert tuple(each for each in got.attributes if each[0] != stun.FINGERPRINT) == plain


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=100).map(lambda tail: REQUEST[:20] + tail)))
def test_any_octets_are_taken_or_refused(data):
    try:
        stun.answer_keepalive(data, ("192.0.2.1", 5060))
    except StunError:
        return
    assert isinstance(stun.intact(data, PASSWORD), bool)


@given(st.integers(0, len(REQUEST) - 9), st.integers(1, 255))  # not the fingerprint itself: it is not signed
def test_damage_is_never_taken_for_what_was_signed(at, change):
    damaged = bytearray(REQUEST)
    damaged[at] ^= change
    try:
        message = stun.parse(bytes(damaged))
    except StunError:
        return
    assert message.get(stun.FINGERPRINT) is None  # the damage hid it in another attribute
    assert not stun.intact(bytes(damaged), PASSWORD)
