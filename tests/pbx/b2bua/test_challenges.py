"""A carrier that asks for the trunk's password again and again, also in the middle of a call (RFC 3261 §22.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from base.clock import LoopClock
from base.entropy import SeededEntropy
from base.storage.inline import InlineDatabases
from directory.model import Account
from directory.secrets import Keyring
from pbx.sipcore import digest
from pbx.sipcore.digest import DigestServer
from pbx.sipcore.message import Request
from pbx.sipcore.proving import PROOFS
from pbx.trunk.model import Trunk
from pbx.trunk.trunks import Trunks
from tests.pbx.b2bua.house import ALICE, BOB, House, Phone

PROVIDER = "provider.test"
NUMBER = f"sip:4930123@{PROVIDER}"
KINDS = pytest.mark.parametrize("once", [True, False], ids=["a nonce for each request", "one nonce"])


class Carrier:
    """Asks every request for a proof. `once`: each nonce is good for one request only."""

    def __init__(self, phone: Phone, *, once: bool = True, password: str = "line-secret", status: int = 401) -> None:
        self.phone = phone
        self.challenges = 0
        self._once = once
        self._password = password
        self._status = status
        self._digest = DigestServer(LoopClock(asyncio.get_running_loop()), SeededEntropy(5))
        self._spent: set[str] = set()

    @property
    def _headers(self) -> tuple[str, str]:
        return PROOFS[self._status == 407], "Proxy_Authenticate" if self._status == 407 else "WWW_Authenticate"

    async def request(self, method: str) -> Request:
        """The next request of that method that proves what it should."""
        while not self._proves(request := await self.phone.request(method)):
            self.ask(request)
            if method == "INVITE":
                await self.phone.request("ACK")
        return request

    def ask(self, request: Request) -> None:
        self.challenges += 1
        self.phone.answer(request, self._status, **{self._headers[1]: self._digest.challenge(PROVIDER)})

    def _proves(self, request: Request) -> bool:
        value = request.get(self._headers[0])
        if value is None:
            return False
        given = digest.parse_authorization(value)
        secret = digest.ha1("line7", PROVIDER, self._password)
        right = given.uri == request.uri and self._digest.verify(given, request.method, secret) == "ok"
        fresh = given.nonce not in self._spent
        self._spent |= {given.nonce} if self._once else set()
        return right and fresh


@asynccontextmanager
async def a_house(*, once: bool = True, status: int = 401) -> AsyncIterator[tuple[House, Phone, Carrier]]:
    async with House() as house:
        alice = house.phone(ALICE)
        carrier = Carrier(house.phone(Account(0, PROVIDER, "4930123"), registered=False), once=once, status=status)
        databases = InlineDatabases()
        keyring = Keyring(b"k" * 32, SeededEntropy(2))
        trunks = Trunks(
            house.exchange.clock, SeededEntropy(3), house.metrics, house.stack, await databases.main(), keyring
        )
        await trunks.start()
        proxy = f"{carrier.phone.local[0]}:{carrier.phone.local[1]}"
        trunk = Trunk("home", PROVIDER, user="4930", login="line7", proxy=proxy, registers=False)
        await trunks.put(trunk, "line-secret")
        house.exchange.trunks = trunks
        yield house, alice, carrier
        databases.discard()


async def talking(alice: Phone, carrier: Carrier, **said: str) -> Request:
    alice.call(NUMBER)
    invite = await carrier.request("INVITE")
    carrier.phone.takes(invite)
    carrier.phone.answer(invite, 200, carrier.phone.sdp(5000), **said)
    ack = await carrier.phone.request("ACK")
    assert [ack.get(name) for name in PROOFS] == [invite.get(name) for name in PROOFS]  # RFC 3261 §22.1
    await alice.response(200)
    alice.send("ACK")
    return invite


async def test_a_provider_is_believed_who_has_answered() -> None:
    """RFC 3325 §5; what it says later, by UPDATE, too."""
    async with a_house() as (_, alice, carrier):
        alice.call(NUMBER, Allow="INVITE, ACK, BYE, CANCEL, UPDATE")
        invite = await carrier.request("INVITE")
        carrier.phone.takes(invite)
        ann, ben = '"Ann" <sip:+491@provider.test>', '"Ben" <sip:+492@provider.test>'
        carrier.phone.answer(invite, 200, carrier.phone.sdp(5000), P_Asserted_Identity=ann)
        assert (await alice.response(200)).get("P-Asserted-Identity") == ann
        alice.send("ACK")
        carrier.phone.send("UPDATE", P_Asserted_Identity=ben)
        assert (await alice.request("UPDATE")).get("P-Asserted-Identity") == ben


@KINDS
@pytest.mark.parametrize("status", [401, 407])
async def test_a_hold_an_info_and_the_end_are_proved(once: bool, status: int) -> None:
    async with a_house(once=once, status=status) as (_, alice, carrier):
        await talking(alice, carrier)
        alice.send("INVITE", alice.sdp(direction="sendonly"))
        hold = await carrier.request("INVITE")
        assert b"a=sendonly" in hold.body
        carrier.phone.answer(hold, 200, carrier.phone.sdp(5000, "recvonly"))
        ack = await carrier.phone.request("ACK")
        assert ack.cseq.number == hold.cseq.number
        assert [ack.get(name) for name in PROOFS] == [hold.get(name) for name in PROOFS]
        held = await alice.response(200)
        assert b"a=recvonly" in held.body
        alice.send("ACK")
        alice.send("INFO", b"Signal=5\r\n", "application/dtmf-relay")
        carrier.phone.answer(await carrier.request("INFO"), 200)
        await alice.response(200, "INFO")
        alice.send("BYE")
        carrier.phone.answer(await carrier.request("BYE"), 200)
        assert carrier.challenges == (4 if once else 1)


async def test_a_change_by_update_is_proved() -> None:
    async with a_house() as (_, alice, carrier):
        await talking(alice, carrier, Allow="INVITE, ACK, BYE, CANCEL, UPDATE")
        alice.send("UPDATE", alice.sdp(direction="sendonly"))
        update = await carrier.request("UPDATE")
        assert b"a=sendonly" in update.body
        carrier.phone.answer(update, 200, carrier.phone.sdp(5000, "recvonly"))
        await alice.response(200, "UPDATE")
        assert carrier.challenges == 2


async def test_a_reliable_ringing_is_acknowledged_with_a_proof() -> None:
    async with a_house() as (_, alice, carrier):
        alice.call(NUMBER, Supported="100rel")
        invite = await carrier.request("INVITE")
        carrier.phone.answer(invite, 183, carrier.phone.sdp(5000), Require="100rel", RSeq="7")
        prack = await carrier.request("PRACK")
        assert prack.get("RAck") == f"7 {invite.cseq}"
        assert prack.cseq.number > invite.cseq.number + 1  # sent again with a higher CSeq
        carrier.phone.answer(prack, 200)
        await alice.response(183)


async def test_the_news_of_a_transfer_are_proved() -> None:
    async with a_house() as (house, alice, carrier):
        bob = house.phone(BOB)
        await talking(alice, carrier)
        carrier.phone.send("REFER", Refer_To=f"<sip:{BOB.address}>")
        await carrier.phone.response(202, "REFER")
        notify = await carrier.request("NOTIFY")
        assert b"100 Trying" in notify.body
        carrier.phone.answer(notify, 200)
        await bob.request("INVITE")


async def test_a_call_that_came_by_the_trunk_is_ended_with_its_password() -> None:
    async with a_house() as (house, alice, carrier):
        house.trunks[PROVIDER] = "home"
        carrier.phone.call(f"sip:{ALICE.address}")
        invite = await alice.request("INVITE")
        alice.takes(invite)
        alice.answer(invite, 200, alice.sdp())
        await carrier.phone.response(200)
        carrier.phone.send("ACK")
        await alice.request("ACK")
        alice.send("BYE")
        carrier.phone.answer(await carrier.request("BYE"), 200)
        assert carrier.challenges == 1


async def test_a_password_that_is_refused_is_sent_once() -> None:
    async with a_house() as (_, alice, carrier):
        await talking(alice, carrier)
        alice.send("INVITE", alice.sdp(direction="sendonly"))
        for _attempt in range(2):
            request = await carrier.phone.request("INVITE")
            carrier.ask(request)
            await carrier.phone.request("ACK")
        assert (await alice.response(488)).cseq.method == "INVITE"
        alice.send("ACK")
        assert not [each for each in carrier.phone.inbox if isinstance(each, Request)]
