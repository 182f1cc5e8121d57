"""Forwarding: to all phones, the best answer back, and only sealed dialogs pass (RFC 3261 §16)."""

from __future__ import annotations

import asyncio

import pytest

from directory.model import AccountRoute, Caller, Resolution
from pbx.proxy.proxy import Target
from pbx.proxy.seal import Ends, RouteSeal
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.server_transaction import ServerTransaction
from pbx.sipcore.uri import NameAddress
from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import SERVER, Exchange, Phone, Switchboard, play
from tests.simulation.virtual import simulate


class ProxyWay(Switchboard):
    """Calls whose Signal chose the way `proxy`."""

    def __init__(self, house: Exchange) -> None:
        super().__init__()
        self.house = house

    def invite(self, transaction: ServerTransaction, caller: Caller, resolution: Resolution) -> None:
        assert isinstance(resolution.route, AccountRoute)
        found = self.house.bindings.contacts(resolution.route.account.id)
        self.house.proxy.fork(transaction, [Target(one.contact, one.flow, one.path) for one in found])

    def ack(self, request: Request, flow: Flow) -> bool:
        return False


class Straight:
    """MESSAGEs that are forwarded and nothing else: the proxy's own way with what is no call."""

    def __init__(self, house: Exchange) -> None:
        self.message = house.proxy.forward


async def ringing(house: Exchange, *names: str) -> list[Phone]:
    """Registered phones that answer nothing by themselves; their unasked lamps have been answered."""
    phones = [house.phone(name) for name in names]
    for phone in phones:
        await phone.register()
        await phone.next_request(1)
        await asyncio.sleep(0.1)
        phone.answers = None
    house.calls = ProxyWay(house)
    house.policy._rooms = type(house.policy._rooms)(
        house.calls, house.events, house.registrar, house.proxy, Straight(house)
    )
    return phones


def test_a_message_reaches_every_phone_and_one_answer_comes_back() -> None:
    async def scene(house: Exchange) -> None:
        first, second = await ringing(house, "bob", "bob")
        sender = house.phone("alice")
        message = sender.request("MESSAGE", f"sip:bob@{DOMAIN}")
        message.set_body(b"hello", "text/plain")
        asking = asyncio.ensure_future(sender.prove(message))
        got = [await phone.next_request() for phone in (first, second)]
        assert [request.body for request in got] == [b"hello"] * 2
        assert got[0].uri == f"sip:bob@{first.local[0]}:5060"
        assert got[0].get("Max-Forwards") == "69"
        assert not got[0].has("Authorization")
        assert len(got[0].get_all("Via")) == 2
        first.respond(got[0], 486)
        second.respond(got[1], 200)
        response = await asking
        assert (response.status, len(response.get_all("Via"))) == (200, 1)

    simulate(play(scene))


@pytest.mark.parametrize(
    ("answers", "expected"),
    [((486, 404), 486), ((603, 200), 200), ((486, 603), 603), ((503, 503), 500), ((480, 486), 486), ((486, 415), 415)],
)
def test_the_best_answer_comes_back(answers: tuple[int, int], expected: int) -> None:
    async def scene(house: Exchange) -> None:
        phones = await ringing(house, "bob", "bob")
        sender = house.phone("alice")
        asking = asyncio.ensure_future(sender.prove(sender.request("MESSAGE", f"sip:bob@{DOMAIN}")))
        for phone, status in zip(phones, answers, strict=True):
            phone.respond(await phone.next_request(), status)
        assert (await asking).status == expected

    simulate(play(scene))


def test_provisional_answers_come_back_to_an_invite_only() -> None:
    """RFC 4320 §4.1."""

    async def scene(house: Exchange) -> None:
        (bob,) = await ringing(house, "bob")
        sender = house.phone("alice")
        message = sender.request("MESSAGE", f"sip:bob@{DOMAIN}")
        sender.raw(sender.credentials(message, await sender.ask(message)).encode())
        arrived = await bob.next_request()
        bob.respond(arrived, 183)
        bob.respond(arrived, 200)
        assert (await sender.responses.get()).status == 200

    simulate(play(scene))


@pytest.mark.parametrize(("said", "passed"), [(None, "30"), ("3", "1"), ("1", None)])
def test_what_is_forked_is_shared_out(said: str | None, passed: str | None) -> None:
    """RFC 5393 §5.3.3: among all telephones alike, or the request is refused."""

    async def scene(house: Exchange) -> None:
        phones = await ringing(house, "bob", "bob")
        sender = house.phone("alice")
        message = sender.request("MESSAGE", f"sip:bob@{DOMAIN}")
        if said is not None:
            message.set("Max-Breadth", said)
        sender.raw(sender.credentials(message, await sender.ask(message)).encode())
        if passed is None:
            assert (await sender.responses.get()).status == 440
        else:
            assert [(await phone.next_request()).get("Max-Breadth") for phone in phones] == [passed] * 2

    simulate(play(scene))


def test_nobody_there_is_480_and_nobody_at_all_404() -> None:
    async def scene(house: Exchange) -> None:
        await ringing(house)
        sender = house.phone("alice")
        assert (await sender.prove(sender.request("MESSAGE", f"sip:bob@{DOMAIN}"))).status == 480
        assert (await sender.prove(sender.request("MESSAGE", f"sip:zoe@{DOMAIN}"))).status == 404
        far = sender.request("MESSAGE", "sip:x@nowhere.example")
        assert (await sender.prove(far)).status == 480

    simulate(play(scene))


def test_a_silent_phone_is_408() -> None:
    async def scene(house: Exchange) -> None:
        await ringing(house, "bob")
        sender = house.phone("alice")
        request = sender.request("MESSAGE", f"sip:bob@{DOMAIN}")
        challenge = await sender.ask(request)
        with pytest.raises(TimeoutError):  # RFC 4320 §4.2: too late for an answer that anybody wants
            await sender.ask(sender.credentials(request, challenge), 31.9)

    simulate(play(scene))


async def call(house: Exchange, caller: Phone, callee: Phone) -> tuple[Request, Response, Request]:
    """An answered call through the proxy: the INVITE as sent, the 200 as it came back, the INVITE as it arrived."""
    request = caller.request("INVITE", f"sip:bob@{DOMAIN}")
    challenge = await caller.ask(request)
    again = caller.credentials(request, challenge)
    caller.raw(again.encode())
    arrived = await callee.next_request()
    callee.respond(arrived, 180)
    callee.respond(arrived, 200, ("Contact", f"<sip:bob@{callee.local[0]}:5060>"))
    while True:
        response = await caller.responses.get()
        if response.is_success:
            return again, response, arrived


def in_dialog(phone: Phone, method: str, invite: Request, answer: Response, *, reverse: bool = False) -> Request:
    request = phone.request(method, "sip:peer@peer.example")
    request.set("From", (answer.get("To") if reverse else invite.get("From")) or "")
    request.set("To", (invite.get("From") if reverse else answer.get("To")) or "")
    request.set("Call-ID", invite.call_id)
    routes = answer.get_all("Record-Route")
    for route in routes if reverse else reversed(routes):
        request.add("Route", route)
    return request


def test_a_proxied_call_keeps_one_dialog_and_its_requests_pass_both_ways() -> None:
    async def scene(house: Exchange) -> None:
        (bob,) = await ringing(house, "bob")
        alice = house.phone("alice")
        invite, answer, arrived = await call(house, alice, bob)
        assert arrived.call_id == invite.call_id
        assert arrived.from_tag == invite.from_tag
        spent = in_dialog(alice, "ACK", invite, answer)
        spent.set("Max-Forwards", "0")
        alice.raw(spent.encode())  # it ends here, and nobody is told (RFC 3261 §16.3 step 3)
        alice.raw(in_dialog(alice, "ACK", invite, answer).encode())
        ack = await bob.next_request(1)
        assert ack.get("Max-Forwards") == "69"
        assert (ack.method, ack.has("Route"), len(ack.get_all("Via"))) == ("ACK", False, 2)
        asking = asyncio.ensure_future(alice.ask(in_dialog(alice, "INFO", invite, answer)))
        info = await bob.next_request(1)
        bob.respond(info, 200)
        assert (await asking).status == 200
        bob.call_id = invite.call_id
        passed: list[tuple[str, str]] = []
        house.proxy.on_passed = lambda request, _flow: passed.append((request.method, request.from_tag))
        asking = asyncio.ensure_future(bob.ask(in_dialog(bob, "BYE", invite, answer, reverse=True)))
        alice.answers = 200
        assert (await alice.next_request(1)).method == "BYE"
        assert (await asking).status == 200
        assert passed == [("BYE", answer.to_tag)]

    simulate(play(scene))


def test_a_telephone_gets_its_contact_in_the_place_of_its_gruu() -> None:
    async def scene(house: Exchange) -> None:
        (bob,) = await ringing(house, "bob")
        instance = '+sip.instance="<urn:uuid:1>"'
        contact = f"sip:bob@{bob.local[0]}:5060;line=2"
        told = await bob.register(("Contact", f"<{contact}>;{instance}"), ("Supported", "gruu"))
        await bob.register(("Contact", f"<sip:bob@{bob.local[0]}:5060>"), ("Expires", "0"))
        bob.respond(await bob.next_request(1), 200)  # the lamp
        (value,) = [each for each in told.get_all("Contact") if "gruu" in each]
        params = NameAddress.parse(value).params
        alice = house.phone("alice")
        invite, answer, _ = await call(house, alice, bob)
        for gruu in (params["pub-gruu"], params["temp-gruu"]):
            info = in_dialog(alice, "INFO", invite, answer)
            info.uri = gruu or ""
            asking = asyncio.ensure_future(alice.ask(info))
            got = await bob.next_request(1)
            assert (got.method, got.uri) == ("INFO", contact)
            bob.respond(got, 200)
            assert (await asking).status == 200

    simulate(play(scene))


def test_a_borrowed_or_forged_seal_is_481() -> None:
    async def scene(house: Exchange) -> None:
        (bob,) = await ringing(house, "bob")
        alice = house.phone("alice")
        invite, answer, _ = await call(house, alice, bob)
        alice.raw(in_dialog(alice, "ACK", invite, answer).encode())
        await bob.next_request(1)
        mallory = house.phone("mallory")
        borrowed = in_dialog(mallory, "BYE", invite, answer)
        borrowed.set("Call-ID", "another")
        assert (await mallory.ask(borrowed)).status == 481
        forged = in_dialog(mallory, "BYE", invite, answer)
        route = forged.remove_first("Route") or ""
        forged.insert_first("Route", route.replace(".", ".0", 1))
        assert (await mallory.ask(forged)).status == 481
        assert bob.requests.empty()

    simulate(play(scene))


def test_cancel_reaches_the_phones_and_487_comes_back() -> None:
    async def scene(house: Exchange) -> None:
        (bob,) = await ringing(house, "bob")
        alice = house.phone("alice")
        request = alice.request("INVITE", f"sip:bob@{DOMAIN}")
        again = alice.credentials(request, await alice.ask(request))
        asking = asyncio.ensure_future(alice.ask(again))
        arrived = await bob.next_request()
        bob.respond(arrived, 180)
        await asyncio.sleep(0.1)
        cancel = Request("CANCEL", again.uri)
        cancel.copy_from(again, "Via", "From", "To", "Call-ID")
        cancel.add("CSeq", f"{again.cseq.number} CANCEL")
        alice.raw(cancel.encode())
        got = await bob.next_request(1)
        assert got.method == "CANCEL"
        bob.respond(got, 200)
        bob.respond(arrived, 487)
        assert (await asking).status == 487

    simulate(play(scene))


def test_the_first_phone_to_answer_stops_the_others() -> None:
    async def scene(house: Exchange) -> None:
        first, second = await ringing(house, "bob", "bob")
        alice = house.phone("alice")
        request = alice.request("INVITE", f"sip:bob@{DOMAIN}")
        again = alice.credentials(request, await alice.ask(request))
        alice.raw(again.encode())
        rings = [await phone.next_request() for phone in (first, second)]
        second.respond(rings[1], 180)
        first.respond(rings[0], 200, ("Contact", "<sip:bob@10.0.0.101>"))
        got = await second.next_request(1)
        assert got.method == "CANCEL"
        assert "Call completed elsewhere" in (got.get("Reason") or "")

    simulate(play(scene))


def test_a_seal_opens_toward_the_other_end_only() -> None:
    seal = RouteSeal(b"1" * 32)
    caller, callee = Flow("tcp", SERVER, ("10.0.0.8", 1), 5), Flow("udp", SERVER, ("fd00::2", 2))
    request = Request("INVITE", "sip:x@y")
    for name, value in (("From", "<sip:a@b>;tag=one"), ("To", "<sip:x@y>"), ("Call-ID", "c")):
        request.add(name, value)
    user = seal.make(Ends(caller, callee), request)
    request.set("To", "<sip:x@y>;tag=two")
    assert seal.open(user, request) == callee
    request.set("From", "<sip:x@y>;tag=two")
    request.set("To", "<sip:a@b>;tag=one")
    assert seal.open(user, request) == caller
    assert RouteSeal(b"2" * 32).open(user, request) is None
    for broken in ("", ".", user[:-1], user + "0", "é." + user, "x" * 5000):
        assert seal.open(broken, request) is None
