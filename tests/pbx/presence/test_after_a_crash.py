"""What was acknowledged to subscribers and publishers outlives a kill -9 (RFC 6665 §4.4.1, RFC 3903 §4.1)."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from pbx.presence import pidf, store, tables
from pbx.presence.pidf import Presence
from pbx.sipcore.message import Request, Response
from pbx.sipcore.parser import StreamFramer
from pbx.transport.network import Endpoint
from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import SERVER, Exchange, Phone, play
from tests.pbx.presence.test_presence import publish
from tests.pbx.presence.watching import again, calls, line, state, subscribe, version
from tests.simulation.virtual import simulate

LUNCH = pidf.write("sip:alice@x", Presence(notes=("lunch",)))


def dialog(notify: Request) -> tuple[str, str, str]:
    return notify.call_id, notify.from_tag, notify.to_tag


async def rows(house: Exchange) -> int:
    database = await house.databases.main()
    return await database.read(
        lambda connection: connection.execute("SELECT count(*) FROM subscriptions").fetchone()[0]
    )


def test_a_lamp_goes_out_at_once_in_the_same_dialog() -> None:
    """Calls are gone with the process; RFC 3261 §12.2.1.1, RFC 4235 §4.1: CSeq and version are higher than before."""

    async def scene(house: Exchange) -> None:
        phone = house.phone("alice")
        request, response = await subscribe(phone, "dialog;id=7", "bob")
        await phone.next_request(1)
        house.events.lines.update("c1", [line(house, "bob", "confirmed")])
        before = await phone.next_request(2)
        assert calls(before) == [("recipient", "confirmed", "")]
        for crash in (1, 2):
            await house.crash()
            after = await phone.next_request(1)
            assert (dialog(after), after.get("Event")) == (dialog(before), "dialog;id=7")
            assert after.uri == before.uri
            assert (calls(after), version(after)[1], state(after)) == ([], "full", "active")
            assert after.cseq.number > before.cseq.number, crash
            assert version(after)[0] > version(before)[0]
            before = after
        house.events.lines.update("c2", [line(house, "bob", "early")])
        ringing = await phone.next_request(2)
        assert version(ringing) == (version(before)[0] + 1, "partial")
        refresh = again(phone, request, response, "dialog;id=7", ("Expires", "0"))
        assert (await phone.ask(refresh)).status == 200
        assert state(await phone.next_request(1)) == "terminated;reason=timeout"
        await asyncio.sleep(5)
        assert await rows(house) == 0

    simulate(play(scene))


def test_what_lasts_no_longer_is_not_told() -> None:
    """Neither one that has run out meanwhile, nor one that its phone or we have ended; nor one of a removed account."""

    async def scene(house: Exchange) -> None:
        short, gone, refusing = house.phone("alice"), house.phone("bob"), house.phone("alice")
        await subscribe(short, "dialog", "bob", ("Expires", "60"))
        await subscribe(gone, "dialog", "alice")
        await subscribe(refusing, "dialog", "bob")
        for phone in (short, gone, refusing):
            await phone.next_request(1)
        house._life.kill()
        await asyncio.sleep(61)
        await house.directory.remove_account(house.account_id("bob"))
        await house.crash()
        await asyncio.sleep(60)
        assert short.requests.empty()
        assert gone.requests.empty()
        assert await rows(house) == 0

    simulate(play(scene))


def test_a_phone_that_knows_nothing_of_it_ends_it() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone("alice")
        await subscribe(phone, "dialog", "bob")
        await phone.next_request(1)
        phone.answers = 481
        await house.crash()
        await phone.next_request(1)
        await asyncio.sleep(5)
        assert await rows(house) == 0

    simulate(play(scene))


@pytest.mark.parametrize("seed", range(20))
def test_whatever_was_acknowledged_is_told_again(seed: int) -> None:
    """Telephones subscribe, refresh and are told while commits take their time; the server is killed at any moment."""
    rng = Random(seed)

    async def scene(house: Exchange) -> None:
        (await house.databases.main()).latency = 0.01
        phones = [house.phone(rng.choice(("alice", "bob"))) for _ in range(8)]
        acknowledged: set[Phone] = set()

        async def use(phone: Phone, event: str) -> None:
            await asyncio.sleep(rng.uniform(0.0, 1.0))
            request, response = await subscribe(phone, event, "bob")
            assert response.status == 200
            acknowledged.add(phone)
            await asyncio.sleep(rng.uniform(0.0, 5.0))
            assert (await phone.ask(again(phone, request, response, event))).status == 200

        uses = [asyncio.create_task(use(phone, rng.choice(("dialog", "presence")))) for phone in phones]
        for number in range(rng.randint(1, 8)):
            await asyncio.sleep(rng.uniform(0.0, 1.0))
            house.events.lines.update("c1", [line(house, "bob", "early")] if number % 2 else [])
        for one in uses:
            one.cancel()
        used = {phone: max((each.cseq.number for each in told(phone)), default=0) for phone in acknowledged}
        await house.crash()
        await asyncio.sleep(1.0)
        for phone in acknowledged:
            assert [each for each in told(phone) if each.cseq.number > used[phone] and state(each) == "active"]

    simulate(play(scene))


def told(phone: Phone) -> list[Request]:
    """All that has come so far."""
    return [phone.requests.get_nowait() for _ in range(phone.requests.qsize())]


def test_many_notifies_are_counted_without_writing_each(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (store, tables):
        monkeypatch.setattr(module, "RESERVE", 4)

    async def scene(house: Exchange) -> None:
        phone = house.phone("alice")
        await subscribe(phone, "dialog", "bob")
        used = (await phone.next_request(1)).cseq.number
        for number in range(10):
            made = [line(house, "bob", "early")] if number % 2 else []
            house.events.lines.update("c1", made)
            house.events.lines.update("c2", [line(house, "bob", "confirmed", f"c{number}")])
            used = (await phone.next_request(2)).cseq.number
            await asyncio.sleep(store.WRITE_BEHIND + 1)
        assert used == 11
        await house.crash()
        assert (await phone.next_request(1)).cseq.number > used

    simulate(play(scene))


class Connected(Phone):
    """A telephone with a TCP connection."""

    async def connect(self) -> None:
        self._framer = StreamFramer()
        self._stream = await self.house.network.connect(SERVER, lambda stream: self, local_host=self.local[0])

    async def lines(self) -> Request:
        """The next NOTIFY of lines; lamps are passed over."""
        while (notify := await self.next_request(2)).get("Event") != "dialog":
            pass
        return notify

    def raw(self, data: bytes, to: Endpoint = SERVER) -> None:
        self._stream.write(data)

    def received(self, data: bytes) -> None:
        for event in self._framer.feed(data):
            if isinstance(event, Request | Response):
                self._receive(event.encode(), SERVER)

    def ended(self) -> None: ...

    def _via(self) -> str:
        return super()._via().replace("UDP", "TCP")


@pytest.mark.parametrize("back", ["REGISTER", "SUBSCRIBE"])
def test_by_a_connection_it_waits_until_the_phone_is_back(back: str) -> None:
    async def scene(house: Exchange) -> None:
        phone = Connected(house, "alice", "alice-secret", ("10.0.0.90", 5060))
        await phone.connect()
        await phone.register()
        request, response = await subscribe(phone, "dialog", "bob")
        before = await phone.lines()
        house.events.lines.update("c1", [line(house, "bob", "confirmed")])
        await phone.lines()
        await house.crash()
        house.events.lines.update("c1", [line(house, "bob", "early")])
        await asyncio.sleep(5)
        assert phone.requests.empty()
        await phone.connect()
        if back == "REGISTER":
            await phone.register()
        else:
            assert (await phone.ask(again(phone, request, response, "dialog"))).status == 200
        after = await phone.lines()
        assert (dialog(after), calls(after)) == (dialog(before), [("recipient", "early", "")])
        house.events.lines.update("c1", [])
        assert calls(await phone.lines()) == [("recipient", "terminated", "")]

    simulate(play(scene))


def test_a_connection_that_does_not_come_back() -> None:
    async def scene(house: Exchange) -> None:
        phone = Connected(house, "alice", "alice-secret", ("10.0.0.90", 5060))
        await phone.connect()
        await subscribe(phone, "dialog", "bob", ("Expires", "100"))
        await house.crash()
        assert await rows(house) == 1
        await asyncio.sleep(105)
        assert await rows(house) == 0
        assert house.metrics.snapshot()["pbx.presence.subscriptions"] == 0

    simulate(play(scene))


@pytest.mark.parametrize("event", ["presence", "message-summary", "reg"])
def test_the_other_packages(event: str) -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone("alice")
        await subscribe(phone, event, "alice")
        before = await phone.next_request(2)
        house.voice[house.account_id("alice")] = (3, 0)
        await house.crash()
        after = await phone.next_request(2)
        assert (dialog(after), state(after)) == (dialog(before), "active")
        assert after.body
        if event == "message-summary":
            assert b"Voice-Message: 3/0" in after.body

    simulate(play(scene))


def test_a_list() -> None:
    async def scene(house: Exchange) -> None:
        await house.directory.create_group(DOMAIN, "sales", ["alice", "bob"])
        phone = house.phone("alice")
        await subscribe(phone, "dialog", "sales", ("Supported", "eventlist"))
        before = await phone.next_request(1)
        await house.crash()
        after = await phone.next_request(1)
        assert (dialog(after), after.get("Require")) == (dialog(before), "eventlist")
        assert b'fullState="true"' in after.body
        house.events.lines.update("c2", [line(house, "bob", "early")])
        assert b"early" in (await phone.next_request(2)).body

    simulate(play(scene))


def test_a_clean_stop_leaves_nothing() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone("alice")
        await subscribe(phone, "dialog", "bob")
        await phone.next_request(1)
        assert await rows(house) == 1
        house.events.farewell()
        assert state(await phone.next_request(1)).startswith("terminated;reason=probation")
        await house.events.close()
        assert await rows(house) == 0

    simulate(play(scene))


def test_nothing_is_acknowledged_that_is_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk refuses new subscriptions and publications, and does not end those there are."""

    async def scene(house: Exchange) -> None:
        phone, other = house.phone("alice"), house.phone("alice")
        await subscribe(phone, "dialog", "bob")
        await phone.next_request(1)
        (await house.databases.main()).closed = True
        _, response = await subscribe(other, "dialog", "bob")
        assert (response.status, response.get("Retry-After")) == (503, "10")
        assert (await publish(other, LUNCH)).status == 503
        house.events.lines.update("c2", [line(house, "bob", "early")])
        await phone.next_request(2)
        assert other.requests.empty()
        (await house.databases.main()).closed = False
        assert (await subscribe(other, "dialog", "bob"))[1].status == 200

    simulate(play(scene))


def test_a_published_state_and_its_entity_tag() -> None:
    async def scene(house: Exchange) -> None:
        phone, watcher = house.phone("alice"), house.phone("bob")
        told = await publish(phone, LUNCH)
        await subscribe(watcher, "presence", "alice")
        await watcher.next_request(1)
        await house.crash()
        assert b"lunch" in (await watcher.next_request(2)).body
        etag = told.get("SIP-ETag") or ""
        refreshed = await publish(phone, b"", ("SIP-If-Match", etag))
        assert refreshed.status == 200
        assert refreshed.get("SIP-ETag") != etag
        await house.crash()
        assert (await publish(phone, b"", ("SIP-If-Match", etag))).status == 412
        await asyncio.sleep(3700)
        assert b"lunch" not in (await last(watcher)).body

    simulate(play(scene))


async def last(phone: Phone) -> Request:
    found = await phone.next_request(1)
    while not phone.requests.empty():
        found = await phone.next_request(1)
    return found
