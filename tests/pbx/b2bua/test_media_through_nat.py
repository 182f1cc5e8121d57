"""What else than plain audio passes through us from behind a router, in calls that we end and in proxied ones.

Facsimile (T.38), messages (MSRP with CEMA, RFC 6714), RTCP where a=rtcp says (RFC 3605) or on one port (RFC 5761), and
digits as telephone-event at 8 and at 48 kHz (RFC 4733). That the octets pass unchanged is in `tests/pbx/mediaproxy`.
"""

from __future__ import annotations

import pytest

from pbx.mediaproxy.engine import StreamSettings
from pbx.sipcore.sdp import SessionDescription
from tests.pbx.b2bua.house import ALICE, BOB, SERVER, House, Phone
from tests.pbx.b2bua.test_holding import WAYS, change, talking

PRIVATE = "192.168.1.2"
CEMA = "m=message {} TCP/MSRP *\r\na=path:msrp://{}:2855/x7;tcp\r\na=msrp-cema\r\na=setup:{}\r\na=accept-types:*"


def behind(*sections: str, where: str = PRIVATE) -> bytes:
    """What a telephone says that knows nothing of its router."""
    head = f"v=0\r\no=- 1 1 IN IP4 {where}\r\ns=-\r\nc=IN IP4 {where}\r\nt=0 0\r\n"
    return (head + "".join(f"{section}\r\n" for section in sections)).encode()


def only(body: bytes) -> tuple[str, str, int, str]:
    """Kind, address, port and protocol of the one section."""
    description = SessionDescription.parse(body)
    (section,) = description.media
    return section.kind, description.address(section) or "", section.port, section.protocol


def faced(house: House, phone: Phone) -> list[StreamSettings]:
    """What is known of the places of a telephone, by its host."""
    found = [each.settings for each in house.studio.streams if each.settings is not None and each.other is not None]
    return [each for each in found if phone.local[0] in (each.remote[0], (each.guess or ("",))[0])]


@WAYS
async def test_a_facsimile_goes_both_ways_between_two_routers(way: str) -> None:
    """Both say private addresses: each stream waits for the one that signalling comes from, and reads nothing."""
    async with talking(way) as (house, alice, bob):
        asked, said = await change(
            bob,
            alice,
            behind("m=image 5010 udptl t38\r\na=T38FaxVersion:0\r\na=T38FaxUdpEC:t38UDPRedundancy"),
            behind("m=image 4010 udptl t38\r\na=T38FaxVersion:0", where="192.168.1.3"),
        )
        for body in (asked, said):
            kind, address, port, protocol = only(body)
            assert (kind, address, protocol) == ("image", SERVER[0], "udptl")
            assert port in {each.local[1] for each in house.studio.streams}
        assert b"a=T38FaxUdpEC:t38UDPRedundancy" in asked
        for phone, place in ((bob, (PRIVATE, 5010)), (alice, ("192.168.1.3", 4010))):
            (found,) = [each for each in faced(house, phone) if each.carriage == "raw"]
            assert (found.remote, found.guess) == (place, (phone.local[0], place[1]))
        # and back to the voice
        asked, said = await change(bob, alice, behind("m=audio 5000 RTP/AVP 0"), behind("m=audio 4000 RTP/AVP 0"))
        assert {only(each)[0] for each in (asked, said)} == {"audio"}


@WAYS
@pytest.mark.parametrize(
    ("asked", "said", "told", "reached"),
    [("actpass", "active", "passive", (False, False)), ("passive", "active", "active", (True, False))],
)
async def test_messages_pass_as_cema_has_them(
    way: str, asked: str, said: str, told: str, reached: tuple[bool, bool]
) -> None:
    """RFC 6714 §4: the paths stay as they are, and who connects goes where the c= and m= lines say: to us. Whoever can
    connect is let do so; to who waits we connect (RFC 4145 §4)."""
    async with talking(way) as (house, alice, bob):
        offered, answered = await change(
            alice,
            bob,
            behind("m=audio 4000 RTP/AVP 0", CEMA.format(4004, PRIVATE, asked), where=alice.local[0]),
            behind("m=audio 5000 RTP/AVP 0", CEMA.format(5004, "192.168.9.9", said), where=bob.local[0]),
        )
        for body, where, setup in ((offered, PRIVATE, "actpass"), (answered, "192.168.9.9", told)):
            description = SessionDescription.parse(body)
            audio, message = description.media
            assert audio.port
            assert message.port in {each.local[1] for each in house.studio.streams}
            assert description.address(message) == SERVER[0]
            assert message.attributes("path") == [f"msrp://{where}:2855/x7;tcp"]
            assert message.attributes("msrp-cema") == [""]
            assert message.attributes("setup") == [setup]
            assert message.attributes("accept-types") == ["*"]
        for phone, active in ((alice, reached[0]), (bob, reached[1])):
            (found,) = [each for each in faced(house, phone) if each.carriage == "raw"]
            assert (found.remote[0], found.active) == (phone.local[0], active)


@pytest.mark.parametrize(
    ("line", "control", "mux"),
    [
        ("a=rtcp:4009", ("{host}", 4009), False),
        ("a=rtcp:4009 IN IP4 198.51.100.8", ("198.51.100.8", 4009), False),
        ("a=rtcp:4009 IN IP4 somewhere.example", None, False),
        ("a=rtcp:0", None, False),
        ("a=rtcp-mux", None, True),
        ("a=rtcp-mux\r\na=rtcp:4000", None, True),
        ("", None, False),
    ],
)
async def test_reports_go_where_the_telephone_wants_them(line: str, control: tuple[str, int] | None, mux: bool) -> None:
    """RFC 5761 §5.1.1: one port is answered to who offers it; neither attribute is told to the other party."""
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(
            f"sip:{BOB.address}", behind("m=audio 4000 RTP/AVP 0" + f"\r\n{line}" * bool(line), where=alice.local[0])
        )
        invite = await bob.request("INVITE")
        assert b"a=rtcp" not in invite.body
        bob.answer(invite, 200, bob.sdp(5000))
        answer = SessionDescription.parse((await alice.response(200)).body).media[0]
        assert bool(answer.attributes("rtcp-mux")) is mux
        assert not answer.attributes("rtcp")
        near, far = (each.settings for each in house.studio.streams[:2])
        assert near is not None
        assert far is not None
        wanted = control and (control[0].format(host=alice.local[0]), control[1])
        assert (near.control, near.mux) == (wanted, mux)
        assert (far.control, far.mux) == (None, False)


async def test_one_port_is_not_taken_by_who_was_not_offered_it() -> None:
    """RFC 5761 §5.1.1: an answer may not have what the offer has not; we go on with two."""
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:{BOB.address}")
        invite = await bob.request("INVITE")
        bob.answer(invite, 200, behind("m=audio 5000 RTP/AVP 0\r\na=rtcp-mux", where=bob.local[0]))
        assert b"rtcp-mux" not in (await alice.response(200)).body
        far = house.studio.streams[1].settings
        assert far is not None
        assert not far.mux


@pytest.mark.parametrize("rate", [8000, 48000])
async def test_digits_keep_their_clock_and_each_party_s_number(rate: int) -> None:
    """RFC 4733 §7.1.1: the rate of an event is that of the audio; Opus has 48 kHz."""
    codecs = "a=rtpmap:{0} opus/48000/2\r\na=rtpmap:{1} telephone-event/" + str(rate)
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(
            f"sip:{BOB.address}", behind("m=audio 4000 RTP/AVP 96 97\r\n" + codecs.format(96, 97), where=alice.local[0])
        )
        invite = await bob.request("INVITE")
        name = f"TELEPHONE-EVENT/{rate}"
        assert SessionDescription.parse(invite.body).media[0].payload_types == {96: "OPUS/48000/2", 97: name}
        bob.answer(
            invite, 200, behind("m=audio 5000 RTP/AVP 111 110\r\n" + codecs.format(111, 110), where=bob.local[0])
        )
        answer = SessionDescription.parse((await alice.response(200)).body).media[0]
        assert answer.payload_types == {96: "OPUS/48000/2", 97: name}
        near, far = (each.settings for each in house.studio.streams[:2])
        assert near is not None
        assert far is not None
        assert (near.payload_types[97], far.payload_types[110]) == (name, name)
        assert (near.dtmf, far.dtmf) == ((97, 110) if rate == 8000 else (None, None))
