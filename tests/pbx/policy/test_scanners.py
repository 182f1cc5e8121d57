"""Scanners learn nothing, neither from what they hear nor from how long it takes, and are shut out in the end; honest
phones notice nothing of it."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator

import pytest
import structlog

from base import log
from pbx.sipcore import digest
from pbx.sipcore.message import Response
from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import SERVER, Exchange, Phone, play
from tests.simulation.virtual import simulate
from tests.work import work

_OWN = re.compile(rb"branch=[^;\r\n]+|tag=[^;\r\n]+|nonce=\"[^\"]+\"|Call-ID: [^\r\n]+|CSeq: \d+|(?<=:)\d+(?=;)")


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """Standard error, with the log on it as a server writes it; what other tests made of the log is put back."""
    before = structlog.get_config()
    log.configure("info")
    yield capsys
    structlog.configure(**before)


def plain(response: Response, user: str) -> bytes:
    """The bytes of an answer, less what is random and what the request itself said."""
    return _OWN.sub(b"", response.encode()).replace(user.encode(), b"USER")


def guess(house: Exchange, user: str, number: int, password: str = "guess") -> Phone:
    return house.phone(user, host=f"10.1.{number}.1", password=password)


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "MESSAGE", "SUBSCRIBE"])
def test_every_step_of_a_guess_has_the_same_bytes_for_every_user(method: str) -> None:
    async def scene(house: Exchange) -> None:
        heard = []
        for number, user in enumerate(("alice", "nobody", "pbx", "zebra", "bobby")):
            phone = guess(house, user, number)
            aor = f"<sip:{user}@{DOMAIN}>"
            target = f"sip:{DOMAIN}" if method == "REGISTER" else f"sip:bob@{DOMAIN}"
            request = phone.request(
                method, target, ("Event", "presence"), to=aor if method == "REGISTER" else "", from_=aor
            )
            first = await phone.ask(request)
            second = await phone.ask(phone.credentials(request, first))
            assert (first.status, second.status) == (401, 403)
            heard.append((plain(first, user), plain(second, user)))
        assert len({_without_source(each) for each in heard}) == 1, heard

    simulate(play(scene))


def _without_source(heard: tuple[bytes, bytes]) -> tuple[bytes, ...]:
    return tuple(re.sub(rb"10\.1\.\d\.1", b"SOURCE", each) for each in heard)


def test_an_unknown_user_costs_as_much_work_as_a_wrong_password() -> None:
    """Counted, not timed: the same hashes over the same path, at the first guess, which opens the sealed password, and
    at the second, for which what was derived is remembered."""

    async def scene(house: Exchange) -> None:
        costs: dict[str, list[Counter[str]]] = {}
        for number, user in enumerate(("alice", "nobody", "201", "209", f"bob@{DOMAIN}", f"bert@{DOMAIN}")):
            phone = guess(house, "m", number)
            for _ in range(2):
                aor = f"<sip:x@{DOMAIN}>"
                request = phone.request("REGISTER", f"sip:{DOMAIN}", to=aor, from_=aor)
                asked = await phone.ask(request)
                again = phone.credentials(request, asked, user)
                with work() as done:
                    assert (await phone.ask(again)).status == 403
                costs.setdefault(user, []).append(done)
        assert costs["alice"][0]["decrypt"] == 1
        assert costs["alice"][1]["decrypt"] == 0
        for known, unknown in (("alice", "nobody"), ("201", "209"), (f"bob@{DOMAIN}", f"bert@{DOMAIN}")):
            assert costs[known] == costs[unknown]

    simulate(play(scene))


def test_a_nonce_that_was_not_given_to_the_source_is_stale_and_no_guess() -> None:
    """Else a guesser would spare himself the count, or have the owner of a forged address shut out."""

    async def scene(house: Exchange) -> None:
        elsewhere = house.phone("alice", host="10.77.0.1")
        lent = await elsewhere.ask(elsewhere.request("REGISTER", f"sip:{DOMAIN}", to=f"<sip:alice@{DOMAIN}>"))
        made_up = lent.copy()
        made_up.set("WWW-Authenticate", digest.challenge(DOMAIN, "1.abcdefabcdef." + "0" * 32))
        phone = house.phone("alice", host="10.78.0.1")
        for challenge in (lent, made_up):
            for phone.password in ("alice-secret", "guess"):
                request = phone.request("REGISTER", f"sip:{DOMAIN}", to=f"<sip:alice@{DOMAIN}>")
                answer = await phone.ask(phone.credentials(request, challenge))
                assert answer.status == 401
                assert "stale=true" in (answer.get("WWW-Authenticate") or "")
        assert house.metrics.value("sip.auth.failures") == 0
        neighbour = house.phone("alice", host="10.77.0.2")  # another router of the same carrier
        request = neighbour.request("REGISTER", f"sip:{DOMAIN}", to=f"<sip:alice@{DOMAIN}>")
        assert (await neighbour.ask(neighbour.credentials(request, lent))).status == 200

    simulate(play(scene))


def test_an_honest_phone_is_never_a_failure(logged: pytest.CaptureFixture[str]) -> None:
    async def scene(house: Exchange) -> None:
        await house.directory.network_settings.set("BlockAfter", "1,1h")
        phone = house.phone()
        for _ in range(150):  # each with a first 401, as most phones do
            assert (await phone.register()).status == 200
            await asyncio.sleep(1)
        assert house.metrics.value("sip.auth.failures") == 0

    simulate(play(scene))
    assert "auth-failure" not in logged.readouterr().err


def test_who_never_answers_the_challenge_is_told_of(logged: pytest.CaptureFixture[str]) -> None:
    async def scene(house: Exchange) -> None:
        svwar = house.phone("m")
        for number in range(101):
            aor = f"<sip:{1000 + number}@{DOMAIN}>"
            assert (await svwar.ask(svwar.request("REGISTER", f"sip:{DOMAIN}", to=aor, from_=aor))).status == 401

    simulate(play(scene))
    assert logged.readouterr().err.count("reason=scan") == 1


async def fail(phone: Phone, times: int) -> None:
    for _ in range(times):
        assert (await phone.register()).status == 403


async def silent(phone: Phone) -> bool:
    """Whether nothing comes back, not even for what is no SIP."""
    request = phone.request("OPTIONS", f"sip:{DOMAIN}")
    phone.raw(request.encode())
    await asyncio.sleep(2)
    return phone.responses.empty()


def test_who_guesses_on_is_shut_out_for_a_while() -> None:
    async def scene(house: Exchange) -> None:
        await house.directory.network_settings.set("BlockAfter", "4,10m")
        guesser = house.phone("alice", host="10.5.0.1", password="guess")
        await fail(guesser, 4)
        assert not await silent(guesser)
        guesser.responses.get_nowait()
        await fail(guesser, 1)
        before = house.metrics.value("pbx.transport.malformed")
        guesser.raw(b"garbage \x01\r\n\r\n")
        assert await silent(guesser)
        assert house.metrics.value("pbx.transport.malformed") == before  # dropped before it was read
        broken: list[bool] = []
        await house.network.connect(SERVER, lambda _stream: Client(broken), local_host="10.5.0.1")
        await asyncio.sleep(1)
        assert broken == [True]
        [(block, left)] = house.policy.blocks.blocked()
        assert (block.source, block.failures, block.dropped) == ("10.5.0.1", 5, 3)
        assert 800 < left < 900
        honest = house.phone("bob", host="10.5.0.2")
        assert (await honest.register()).status == 200
        await asyncio.sleep(900)
        assert not await silent(guesser)
        assert house.policy.blocks.blocked() == []

    simulate(play(scene))


class Client:
    def __init__(self, broken: list[bool]) -> None:
        self._broken = broken

    def received(self, data: bytes) -> None: ...

    def ended(self) -> None:
        self._broken.append(True)


def test_a_block_is_lifted_by_hand_and_never_meets_a_client() -> None:
    async def scene(house: Exchange) -> None:
        await house.directory.network_settings.set("BlockAfter", "2,10m")
        await house.directory.network_settings.set("ClientIPs", "10.6.0.1")
        client = house.phone("alice", host="10.6.0.1", password="guess")
        await fail(client, 6)
        assert not await silent(client)
        guesser = house.phone("alice", host="10.5.0.1", password="guess")
        await fail(guesser, 3)
        assert await silent(guesser)
        assert house.policy.blocks.lift("10.5.0.1")
        assert not house.policy.blocks.lift("10.5.0.1")
        assert not await silent(guesser)

    simulate(play(scene))


def test_a_right_password_forgives_the_others_behind_the_same_router() -> None:
    async def scene(house: Exchange) -> None:
        await house.directory.network_settings.set("BlockAfter", "3,10m")
        forgetful = house.phone("alice", host="10.5.0.1", password="old")
        colleague = house.phone("bob", host="10.5.0.1", port=5062)
        for _ in range(4):
            await fail(forgetful, 2)
            assert (await colleague.register()).status == 200
        assert house.policy.blocks.blocked() == []

    simulate(play(scene))
