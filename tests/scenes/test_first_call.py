"""Scenes: telephones register, hear themselves, and call each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.phone import PhoneError, TestPhone
from tests.scenes.site import DOMAIN, Site
from tests.tones import seconds_heard

pytestmark = pytest.mark.scene
Tone = Callable[..., Path]


async def test_the_first_test_of_a_new_phone_is_the_echo(site: Site, tone: Tone, tmp_path: Path) -> None:
    alice = await site.phone("alice", await site.password("alice"))
    async with alice:
        await alice.play(tone(440))
        await alice.record(tmp_path / "heard.wav")
        call = await alice.call(f"sip:600@{DOMAIN}")
        await alice.wait_state("confirmed", call)
        await alice.wait_media(call)
        await alice.listen(2.0, call)
        await alice.hangup(call)
        await alice.wait_state("disconnected", call)
        await alice.stop_record()
    assert seconds_heard(tmp_path / "heard.wav", 440) > 1.0


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("caller_hangs_up", [True, False])
async def test_alice_calls_202_and_both_hear_each_other(
    site: Site, tone: Tone, tmp_path: Path, transport: str, caller_hangs_up: bool
) -> None:
    alice = await site.phone("alice", await site.password("alice"), transport=transport)
    bob = await site.phone("bob", await site.password("bob"), transport=transport)
    async with alice, bob:
        await alice.play(tone(440))
        await bob.play(tone(620))
        await alice.record(tmp_path / "alice.wav")
        await bob.record(tmp_path / "bob.wav")
        call = await alice.call(f"sip:202@{DOMAIN}")
        ringing = await bob.wait_incoming()
        await bob.ring(ringing)
        await alice.wait_state("early", call)
        await bob.answer(ringing)
        await alice.wait_state("confirmed", call)
        await bob.wait_state("confirmed", ringing)
        await alice.listen(1.5, call)
        await bob.listen(1.5, ringing)
        if caller_hangs_up:
            await alice.hangup(call)
        else:
            await bob.hangup(ringing)
        await alice.wait_state("disconnected", call)
        await bob.wait_state("disconnected", ringing)
        await alice.stop_record()
        await bob.stop_record()
        statistics = await site.calls()
    assert seconds_heard(tmp_path / "alice.wav", 620) > 1.0
    assert seconds_heard(tmp_path / "bob.wav", 440) > 1.0
    assert len(statistics) == 1
    record = statistics[0]
    assert record["outcome"] == "answered"
    assert record["ended_by"] == ("caller" if caller_hangs_up else "callee")


async def test_all_phones_of_bob_ring_and_the_first_to_answer_wins(site: Site) -> None:
    password = await site.password("bob")
    alice = await site.phone("alice", await site.password("alice"))
    desk, mobile = await site.phone("bob", password), await site.phone("bob", password, transport="tcp")
    async with alice, desk, mobile:
        call = await alice.call(f"sip:202@{DOMAIN}")
        one, other = await desk.wait_incoming(), await mobile.wait_incoming()
        await desk.ring(one)
        await mobile.ring(other)
        await mobile.answer(other)
        await alice.wait_state("confirmed", call)
        await mobile.wait_state("confirmed", other)
        ended = await desk.wait_state("disconnected", one)
        await alice.hangup(call)
        await mobile.wait_state("disconnected", other)
    assert ended["status"] in (487, 200)


async def test_an_unknown_number_is_not_found(site: Site) -> None:
    alice = await site.phone("alice", await site.password("alice"))
    async with alice:
        call = await alice.call(f"sip:299@{DOMAIN}")
        ended = await alice.wait_state("disconnected", call)
    assert ended["status"] == 404


async def test_a_wrong_password_is_refused_as_an_unknown_user_is(site: Site) -> None:
    with pytest.raises(PhoneError) as wrong:
        await site.phone("alice", "not-the-password")
    with pytest.raises(PhoneError) as unknown:
        await site.phone("nobody", "not-the-password")
    assert str(wrong.value).split(":", 1)[1] == str(unknown.value).split(":", 1)[1]


async def test_any_name_of_the_account_logs_in_and_an_ip_address_means_the_server(site: Site) -> None:
    password = await site.password("alice")
    for login in ("alice", f"alice@{DOMAIN}", "201"):
        async with TestPhone("alice") as phone:
            address = f"{login.partition('@')[0]}@{site.host}"
            await phone.start(address, password, site.host, site.sip_port, bind=site.host, user=login)
            assert len(await site.listing("registrations")) == 1


async def test_hold_and_resume_go_through(site: Site, tone: Tone, tmp_path: Path) -> None:
    alice = await site.phone("alice", await site.password("alice"))
    bob = await site.phone("bob", await site.password("bob"))
    async with alice, bob:
        await alice.play(tone(440))
        call = await alice.call(f"sip:202@{DOMAIN}")
        ringing = await bob.wait_incoming()
        await bob.answer(ringing)
        await alice.wait_state("confirmed", call)
        await bob.listen(0.5, ringing)
        await alice.hold_and_resume(call)
        await bob.record(tmp_path / "after.wav")
        await bob.listen(1.0, ringing)
        await bob.stop_record()
        await alice.hangup(call)
        await bob.wait_state("disconnected", ringing)
    assert seconds_heard(tmp_path / "after.wav", 440) > 0.5


async def test_a_second_start_finds_everything_as_it_was(site: Site) -> None:
    password = await site.add("carol", "203")
    carol = await site.phone("carol", password)
    async with carol:
        assert await site.stop() == 0
        await site.start()
        registrations = await site.listing("registrations")
        assert [entry["account"] for entry in registrations] == [f"carol@{DOMAIN}"]
        alice = await site.phone("alice", await site.password("alice"))
        async with alice:
            call = await alice.call(f"sip:203@{DOMAIN}")
            ringing = await carol.wait_incoming()
            await carol.answer(ringing)
            await alice.wait_state("confirmed", call)
            await asyncio.gather(alice.hangup(call), carol.wait_state("disconnected", ringing))
