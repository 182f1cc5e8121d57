"""What strangers send to an encrypted stream: nothing raises, nothing is believed, and all of it is bounded."""

from __future__ import annotations

import socket
import threading
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.entropy import SeededEntropy
from pbx.mediaproxy import protocol, rtcp
from pbx.mediaproxy.dtls import Handshake, Identity
from pbx.mediaproxy.engine import DtlsPeer, IceKeys, SrtpKeys, StreamSettings
from pbx.mediaproxy.ice import MOST_PATHS, IceLite
from pbx.mediaproxy.lane import Lane
from pbx.mediaproxy.latch import Address
from pbx.mediaproxy.srtp import MOST_SOURCES, Opener, Sealer
from pbx.mediaproxy.worker import Worker
from pbx.nat import stun

SUITE = "AES_CM_128_HMAC_SHA1_80"
KEYS = SrtpKeys(SUITE, bytes(30), bytes(range(30)))
ICE = IceKeys("ours", "secret-secret-secret-1", "theirs")
IDENTITY, OTHER = Identity(), Identity()
HERE = ("192.0.2.1", 4000)


def prints(identity: Identity) -> tuple[tuple[str, str], ...]:
    name, value = identity.fingerprint.split()
    return ((name, value),)


def check(
    transaction: bytes = bytes(12), password: str = ICE.password, user: str = "ours:theirs", *extra: int
) -> bytes:
    attributes = [(stun.USERNAME, user.encode()), (stun.PRIORITY, bytes(4)), *((each, b"") for each in extra)]
    return stun.request(transaction, attributes).encode(password.encode(), fingerprint=True)


first = st.one_of(st.integers(0, 3), st.integers(20, 63), st.integers(128, 191), st.integers(0, 255))
datagrams = st.builds(lambda octet, rest: bytes([octet]) + rest, first, st.binary(max_size=300)) | st.just(b"")


@given(st.lists(datagrams, max_size=12), st.sampled_from(["srtp", "dtls", "ice"]))
@settings(max_examples=200, deadline=None)
def test_garbage_never_comes_through(pieces: list[bytes], kind: str) -> None:
    counted: Counter[str] = Counter()
    sent: list[tuple[bytes, Address]] = []
    lane = Lane(IDENTITY, lambda data, target: sent.append((data, target)), counted)
    lane.configure(
        StreamSettings(
            HERE, 0, {0: "PCMU/8000"}, mux=True,
            srtp=KEYS if kind == "srtp" else None,
            dtls=None if kind == "srtp" else DtlsPeer(prints(OTHER), client=False),
            ice=ICE if kind == "ice" else None,
        ),
        (),
    )  # fmt: skip
    for piece in pieces:
        assert lane.receive(piece, HERE, True) is None
    lane.tick((HERE,))
    assert lane.seal(b"\x80\x00" + bytes(170)) is None or kind == "srtp"
    assert kind != "ice" or not sent  # not one octet to who knows no password


@given(st.binary(max_size=400) | st.lists(st.integers(0, 255), max_size=60).map(lambda tail: b"\x81\xc8" + bytes(tail)))
@settings(max_examples=300, deadline=None)
def test_reports_are_read_as_far_as_they_make_sense(data: bytes) -> None:
    assert len(rtcp.parse(data).blocks) <= 31 * 16


def test_a_report_says_what_it_was_told() -> None:
    block = rtcp.Block(9, -3, 70000, 160, 5, 6, 128)
    made = rtcp.report(7, "name", rtcp.Sent(1.5, 160, 2, 320), block)
    assert len(made) % 4 == 0
    found = rtcp.parse(made)
    assert found.blocks == (block,)
    assert found.sent == ((2_208_988_801 & 0xFFFF) << 16) | 0x8000
    assert rtcp.parse(made[:-1]).blocks == (block,)
    assert rtcp.parse(made[:20]) == rtcp.Reports(None, ())


@pytest.mark.parametrize(
    "data",
    [
        check(password="wrong-wrong-wrong-wrong"),
        check(user="ours:other"),
        check()[:-4],
        stun.request(bytes(12), [(stun.USERNAME, b"ours:theirs")]).encode(),
    ],
)
def test_a_check_without_the_password_is_not_answered(data: bytes) -> None:
    agent = IceLite(ICE)
    assert agent.receive(data, HERE) is None
    assert (agent.selected, agent.valid(HERE)) == (None, False)


def test_paths_are_learnt_nominated_and_bounded() -> None:
    agent = IceLite(ICE)
    answer = agent.receive(check(), HERE)
    assert answer is not None
    told = stun.parse(answer)
    assert told.kind is stun.StunClass.SUCCESS
    assert stun.intact(answer, ICE.password.encode())
    assert stun.read_xor_address(told.get(stun.XOR_MAPPED_ADDRESS) or b"", told.transaction) == HERE
    assert agent.selected == HERE
    better = ("192.0.2.2", 5000)
    agent.receive(check(bytes(12), ICE.password, "ours:theirs", stun.USE_CANDIDATE), better)
    assert agent.selected == better
    for port in range(2 * MOST_PATHS):
        agent.receive(check(), ("192.0.2.3", 1000 + port))
    assert agent.selected == better
    assert agent.valid(better)
    assert not agent.valid(HERE)
    conflict = agent.receive(check(bytes(12), ICE.password, "ours:theirs", stun.ICE_CONTROLLED), HERE)
    assert conflict is not None
    assert stun.parse(conflict).kind is stun.StunClass.ERROR


def talk(one: Handshake, other: Handshake) -> None:
    waiting, sides = one.begin(), (other, one)
    for turn in range(12):
        waiting = [back for data in waiting for back in sides[turn % 2].receive(data)]


def test_who_has_another_certificate_gets_no_keys() -> None:
    mine = Handshake(IDENTITY, DtlsPeer(prints(Identity()), client=False))
    theirs = Handshake(OTHER, DtlsPeer(prints(IDENTITY), client=True))
    talk(theirs, mine)
    assert mine.keys is None
    assert "fingerprint" in mine.failed


def test_both_ends_of_a_handshake_have_the_same_keys_and_a_flood_ends_it() -> None:
    mine = Handshake(IDENTITY, DtlsPeer(prints(OTHER), client=False))
    theirs = Handshake(OTHER, DtlsPeer(prints(IDENTITY), client=True))
    talk(theirs, mine)
    assert mine.keys is not None
    assert theirs.keys is not None
    assert (mine.keys.send, mine.keys.receive) == (theirs.keys.receive, theirs.keys.send)
    flooded = Handshake(IDENTITY, DtlsPeer(prints(OTHER), client=False))
    for _ in range(200):
        flooded.receive(b"\x16\xfe\xfd" + bytes(40))
    assert flooded.failed


def test_sources_of_one_stream_are_bounded() -> None:
    sealer, opener = Sealer(SUITE, bytes(30)), Opener(SUITE, bytes(30))
    opened = []
    for source in range(MOST_SOURCES + 5):
        packet = b"\x80\x00\x00\x01" + bytes(4) + source.to_bytes(4, "big") + bytes(20)
        sealed = sealer.seal(packet)
        opened.append(sealed is not None and opener.open(sealed) == packet)
    assert opened == [True] * MOST_SOURCES + [False] * 5


def test_a_command_that_cannot_be_obeyed_costs_those_behind_it_nothing() -> None:
    """They come together, and are for other calls."""
    ours, theirs = socket.socketpair()
    plan = protocol.Settings("127.0.0.1", 34900, 34910, 4, 10.0, False)
    worker = Worker(theirs, plan, SeededEntropy(1), lambda: 0.0, lambda: 0.0, lambda: 0.0)
    bad = StreamSettings(HERE, 0, {0: "PCMU/8000"}, srtp=SrtpKeys(SUITE, b"short", b"short"))
    commands = (protocol.Open(1), protocol.Configure(1, bad), protocol.Open(2), protocol.Ping(7))
    ours.sendall(b"".join(protocol.frame(command) for command in commands))
    serving = threading.Thread(target=worker.run, daemon=True)
    serving.start()
    ours.settimeout(5)
    frames, told = protocol.Frames(), list[protocol.Event]()
    while not any(isinstance(event, protocol.Pong) for event in told):
        bodies = frames.feed(ours.recv(1 << 16))
        told += [protocol.event_decoder.decode(body).event for body in bodies]
    ours.close()
    serving.join(5)
    theirs.close()
    assert not serving.is_alive()
    assert [event.stream for event in told if isinstance(event, protocol.Opened)] == [1, 2]
