"""Hostile requests from a peer that is let in deep: nothing that can be sent makes a fault of ours."""

from __future__ import annotations

import asyncio
import random

from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import SERVER, Exchange, Phone, play
from tests.simulation.virtual import simulate

METHODS = ("INVITE", "REGISTER", "SUBSCRIBE", "MESSAGE", "OPTIONS", "BYE", "ACK", "NOTIFY", "CANCEL", "REFER")
HEADERS = (
    ("Contact", "*"),
    ("Contact", '<sip:a@[::1]:5060;transport=tcp>;+sip.instance="<urn:x>";q=nan'),
    ("Contact", "sip:é@10.0.0.1;expires=99999999999999999999"),
    ("Expires", "0"),
    ("Expires", "-1"),
    ("Event", "message-summary;id=" + "x" * 300),
    ("Event", ""),
    ("Max-Forwards", "0"),
    ("Route", "<sip:10.0.0.1;lr>, <sip:AAAA.bbbb@10.0.0.1;lr>"),
    ("Route", f"<sip:{'A' * 900}.{'0' * 32}@10.0.0.1;lr>"),
    ("Route", "<nonsense"),
    ("Record-Route", "<sip:x;lr>"),
    ("Path", "<sip:p;lr>"),
    ("Require", "path"),
    ("Authorization", 'Digest username="\\",realm=x'),
    ("Authorization", f'Digest username="@", realm="{DOMAIN}", nonce="..", uri="", response="", algorithm=SHA-256'),
    (
        "Proxy-Authorization",
        f'Digest username="a@b@c", realm="{DOMAIN}", nonce="é", uri="x", response="é", nc=zz, qop=auth',
    ),
    ("To", f"<sip:bob@{DOMAIN}>;tag=\x7f"),
    ("To", "tel:+1;phone-context=x"),
    ("From", "<tel:*97>;tag=1"),
    ("From", "sip:%00@tandem.test;tag=2"),
    ("Supported", ",,,"),
    ("CSeq", "2147483648 INVITE"),
    ("User-Agent", "Linphone" * 400),
)
TARGETS = (
    f"sip:bob@{DOMAIN}",
    f"sip:%23voicemail@{DOMAIN}",
    f"sip:{'9' * 500}@{DOMAIN}",
    "sip:10.0.0.1",
    "tel:202",
    "sips:x@elsewhere.example",
    "sip:x@elsewhere.example;maddr=10.0.0.1",
    "sip:[::1]",
    "mailto:x",
    f"sip:a%00b@{DOMAIN};services=no",
)


def hostile(phone: Phone, chance: random.Random) -> bytes:
    """One request with up to four wishes of a vandal, sometimes with some octets spoilt."""
    request = phone.request(chance.choice(METHODS), chance.choice(TARGETS))
    for name, value in chance.sample(HEADERS, chance.randint(0, 4)):
        request.set(name, value)
    data = bytearray(request.encode())
    for _ in range(chance.choice((0, 0, 0, 1, 5))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def test_no_request_makes_a_fault_of_ours() -> None:
    async def scene(house: Exchange) -> None:
        for key in ("TrustedPeers", "ClientIPs"):
            await house.directory.network_settings.set(key, "10.9.0.5")
        chance = random.Random(11)
        peers = [house.phone("bob"), house.phone("bob", host="10.9.0.5")]
        await peers[0].register()
        for number in range(3000):
            peers[number % 2].raw(hostile(peers[number % 2], chance), SERVER)
            if number % 100 == 0:
                await asyncio.sleep(1)
        await asyncio.sleep(100)
        assert house.metrics.value("pbx.transport.faults") == 0
        honest = house.phone("alice")
        assert (await honest.register()).status == 200

    simulate(play(scene))
