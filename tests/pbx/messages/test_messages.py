"""Instant messages: to all phones at once, or kept until one is there (RFC 3428)."""

from __future__ import annotations

import asyncio

import pytest

from pbx.messages import tables
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import Exchange, Phone, play
from tests.simulation.virtual import simulate

COMPOSING = b'<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing"><state>active</state></isComposing>'


async def send(
    phone: Phone, to: str, text: str | bytes, *headers: tuple[str, str], kind: str = "text/plain"
) -> Response:
    request = phone.request("MESSAGE", f"sip:{to}@{DOMAIN}")
    request.set_body(text if isinstance(text, bytes) else text.encode(), kind)
    for name, value in headers:
        request.set(name, value)
    return await phone.prove(request)


async def next_message(phone: Phone, seconds: float = 5.0) -> Request:
    """The next MESSAGE; lamps are passed over."""
    async with asyncio.timeout(seconds):
        while (request := await phone.next_request()).method != "MESSAGE":
            pass
    return request


async def waiting(house: Exchange, name: str) -> list[bytes]:
    account_id, now = house.account_id(name), house.clock.wall()
    database = await house.databases.main()
    letters = await database.read(lambda connection: tables.waiting(connection, account_id, now))
    return [letter.octets.rpartition(b"\r\n\r\n")[2] for letter in letters]


async def quiet(phone: Phone, seconds: float = 60.0) -> bool:
    """Whether no (further) MESSAGE comes."""
    try:
        await next_message(phone, seconds)
    except TimeoutError:
        return True
    return False


def test_all_phones_get_it_and_the_sender_200() -> None:
    async def scene(house: Exchange) -> None:
        desk, mobile = house.phone("bob"), house.phone("bob")
        await desk.register()
        await mobile.register()
        sender = house.phone("alice")
        assert (await send(sender, "bob", "hello", ("Subject", "lunch"))).status == 200
        for phone in (desk, mobile):
            got = await next_message(phone)
            assert (got.body, got.get("Subject"), got.from_.uri.user) == (b"hello", "lunch", "alice")
            assert got.get("Proxy-Authorization") is got.get("Authorization") is got.get("Contact") is None
        assert await waiting(house, "bob") == []

    simulate(play(scene))


PRIVATE = (
    *(("Privacy", "id"), ("Subject", "lunch"), ("User-Agent", "Desk/1"), ("Organization", "Home")),
    ("P-Preferred-Identity", f"<sip:alice@{DOMAIN}>"),
)


def tells(request: Request, sender: Phone) -> list[str]:
    """What in it tells of its sender."""
    words = ("alice", sender.local[0], sender.call_id, "Desk/1", "lunch", "Home")
    return [word for word in words if word in request.encode().decode()]


@pytest.mark.parametrize("kept", [False, True])
def test_who_wants_privacy_is_nobody_to_the_phone(kept: bool) -> None:
    """RFC 3323 §4.2, §5; also when the message waits, and the same one twice keeps one Call-ID."""

    async def scene(house: Exchange) -> None:
        phone, sender = house.phone("bob"), house.phone("alice")
        if not kept:
            await phone.register()
        for _ in range(2):
            answer = await send(sender, "bob", "psst", *PRIVATE)
            assert (answer.status, answer.from_.uri.user) == (202 if kept else 200, "alice")
        if kept:
            await phone.register()
        got = [await next_message(phone) for _ in range(2)]
        assert [tells(each, sender) for each in got] == [[], []]
        assert {str(each.from_.uri) for each in got} == {"sip:anonymous@anonymous.invalid"}
        assert got[0].call_id == got[1].call_id
        assert got[0].from_tag

    simulate(play(scene))


def test_one_phone_is_told_as_little_and_the_sender_knows_his_own_again() -> None:
    """The proxied way, as to a GRUU and to other servers."""

    async def scene(house: Exchange) -> None:
        phone, sender = house.phone("bob"), house.phone("alice")
        await phone.register(("Contact", f'<sip:bob@{phone.local[0]}>;+sip.instance="<urn:uuid:1>"'))
        request = sender.request("MESSAGE", f"sip:bob@{DOMAIN};gr=urn:uuid:1", *PRIVATE)
        request.set_body(b"psst", "text/plain")
        answer = await sender.prove(request)
        assert (answer.status, answer.from_.text, answer.call_id) == (200, request.from_.text, sender.call_id)
        got = await next_message(phone)
        assert (tells(got, sender), got.from_tag) == ([], request.from_tag)

    simulate(play(scene))


def test_who_is_away_gets_them_in_order_once_he_registers() -> None:
    async def scene(house: Exchange) -> None:
        sender = house.phone("alice")
        for number in range(5):
            assert (await send(sender, "bob", f"m{number}")).status == 202
        assert await waiting(house, "bob") == [b"m0", b"m1", b"m2", b"m3", b"m4"]
        phone = house.phone("bob")
        await phone.register()
        got = [await next_message(phone) for _ in range(5)]
        assert [each.body for each in got] == [b"m0", b"m1", b"m2", b"m3", b"m4"]
        assert all(each.has("Date") for each in got)
        await asyncio.sleep(1)
        assert await waiting(house, "bob") == []
        await house.phone("bob").register()
        assert await quiet(phone)
        assert (await send(sender, "bob", "now")).status == 200

    simulate(play(scene))


def test_a_dead_phone_does_not_keep_the_sender_waiting() -> None:
    async def scene(house: Exchange) -> None:
        dead, sender = house.phone("bob"), house.phone("alice")
        await dead.register()
        await next_lamp(dead)
        dead.answers = None
        began = house.clock.now()
        assert (await send(sender, "bob", "one")).status == 202
        assert house.clock.now() - began < 5
        assert await waiting(house, "bob") == [b"one"]
        await asyncio.sleep(40)
        alive = house.phone("bob")
        await alive.register()
        assert (await next_message(alive, 60)).body == b"one"
        await asyncio.sleep(1)
        assert await waiting(house, "bob") == []

    simulate(play(scene))


async def next_lamp(phone: Phone) -> None:
    assert (await phone.next_request(2)).method == "NOTIFY"


def test_a_phone_that_answers_late_has_it_and_gets_it_no_more() -> None:
    async def scene(house: Exchange) -> None:
        slow, sender = house.phone("bob"), house.phone("alice")
        await slow.register()
        await next_lamp(slow)
        slow.answers = None
        assert (await send(sender, "bob", "one")).status == 202
        got = await next_message(slow)
        await asyncio.sleep(2)
        slow.respond(got, 200)
        await asyncio.sleep(1)
        assert await waiting(house, "bob") == []
        slow.answers = 200
        other = house.phone("bob")
        await other.register()
        assert await quiet(other)

    simulate(play(scene))


@pytest.mark.parametrize(("answer", "status", "kept"), [(603, 603, 0), (405, 202, 1), (415, 202, 1), (486, 202, 1)])
def test_what_a_phone_refuses(answer: int, status: int, kept: int) -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone("bob")
        await phone.register()
        await next_lamp(phone)
        phone.answers = answer
        assert (await send(house.phone("alice"), "bob", "one")).status == status
        await asyncio.sleep(0.5)
        assert len(await waiting(house, "bob")) == kept

    simulate(play(scene))


def test_that_somebody_types_is_never_stored() -> None:
    async def scene(house: Exchange) -> None:
        sender = house.phone("alice")
        refused = await send(sender, "bob", COMPOSING, kind="application/im-iscomposing+xml")
        at_once = await send(sender, "bob", "now or never", ("Expires", "0"))
        assert (refused.status, at_once.status) == (480, 480)
        assert await waiting(house, "bob") == []

    simulate(play(scene))


def test_one_to_a_secure_address_waits_for_a_secure_phone(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 5630 §5.3; what waits with it is not kept back. The second phone stands for one that registered by TLS."""

    async def scene(house: Exchange) -> None:
        plain, sender, secure = house.phone("bob"), house.phone("alice"), house.phone("bob")
        monkeypatch.setattr(Flow, "secure", property(lambda flow: flow.remote == secure.local))
        request = sender.request("MESSAGE", f"sips:bob@{DOMAIN}")
        request.set_body(b"secret", "text/plain")
        assert (await sender.prove(request)).status == 202
        assert (await send(sender, "bob", "plain")).status == 202
        await plain.register()
        assert (await next_message(plain)).body == b"plain"
        await asyncio.sleep(1)
        assert await waiting(house, "bob") == [b"secret"]
        await secure.register()
        assert (await next_message(secure)).body == b"secret"
        assert await quiet(plain)

    simulate(play(scene))


def test_a_message_expires() -> None:
    async def scene(house: Exchange) -> None:
        sender = house.phone("alice")
        await send(sender, "bob", "short", ("Expires", "100"))
        await send(sender, "bob", "long", ("Expires", "99999999"))
        await asyncio.sleep(101)
        phone = house.phone("bob")
        await phone.register(("Expires", "60"))
        assert (await next_message(phone)).body == b"long"
        await phone.register(("Expires", "0"))
        await send(sender, "bob", "week")
        await asyncio.sleep(7 * 86_400 + 1)
        assert await waiting(house, "bob") == []

    simulate(play(scene))


def test_what_waits_for_one_account_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST", 3)

    async def scene(house: Exchange) -> None:
        sender = house.phone("alice")
        statuses = [(await send(sender, "bob", "x")).status for _ in range(4)]
        assert statuses == [202, 202, 202, 480]

    simulate(play(scene))


def test_a_group_and_nobody_and_a_program() -> None:
    async def scene(house: Exchange) -> None:
        await house.directory.create_group(DOMAIN, "sales", ["alice", "bob", "pbx"])
        bob, sender = house.phone("bob"), house.phone("alice")
        await bob.register()
        assert (await send(sender, "sales", "all")).status == 202
        assert (await next_message(bob)).body == b"all"
        assert await waiting(house, "pbx") == [b"all"]
        assert await waiting(house, "alice") == []
        assert (await send(sender, "nobody", "x")).status == 404
        assert (await send(sender, "600", "x")).status == 480

    simulate(play(scene))


def test_a_stranger_sends_nothing() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone("mallory")
        request = phone.request("MESSAGE", f"sip:bob@{DOMAIN}")
        assert (await phone.ask(request)).status == 401

    simulate(play(scene))


def test_what_waited_for_a_removed_account_is_gone() -> None:
    async def scene(house: Exchange) -> None:
        await send(house.phone("alice"), "bob", "x")
        await house.messenger.forget(house.account_id("bob"))
        assert await waiting(house, "bob") == []

    simulate(play(scene))
