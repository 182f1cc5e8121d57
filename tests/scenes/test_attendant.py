"""Scenes: 200 is dialled, the attendant answers, takes digits, connects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.phone import TestPhone
from tests.scenes.site import DOMAIN, Site
from tests.tones import make_tone, seconds_heard, seconds_of_sound

pytestmark = pytest.mark.scene
Tone = Callable[..., Path]


async def reach(alice: TestPhone, number: str = "200") -> int:
    call = await alice.call(f"sip:{number}@{DOMAIN}")
    await alice.wait_state("confirmed", call)
    await alice.wait_media(call)
    return call


@pytest.mark.parametrize("method", ["rfc4733", pytest.param("info", marks=pytest.mark.proof)])
async def test_an_extension_typed_at_once_is_connected(site: Site, tone: Tone, tmp_path: Path, method: str) -> None:
    alice = await site.phone("alice", await site.password("alice"))
    bob = await site.phone("bob", await site.password("bob"))
    async with alice, bob:
        await alice.play(tone(440))
        await bob.play(tone(620))
        call = await reach(alice)
        await alice.send_dtmf("202", call, method=method)
        ringing = await bob.wait_incoming()
        await bob.answer(ringing)
        await bob.wait_state("confirmed", ringing)
        await alice.record(tmp_path / "alice.wav")
        await bob.record(tmp_path / "bob.wav")
        await alice.listen(2.0, call)
        await bob.listen(2.0, ringing)
        await alice.stop_record()
        await bob.stop_record()
        await bob.hangup(ringing)
        await alice.wait_state("disconnected", call, timeout=15)
    assert seconds_heard(tmp_path / "alice.wav", 620) > 1.0
    assert seconds_heard(tmp_path / "bob.wav", 440) > 1.0


async def test_the_very_next_call_hears_an_uploaded_greeting(site: Site, tmp_path: Path) -> None:
    alice = await site.phone("alice", await site.password("alice"))
    greeting = make_tone(tmp_path / "my-greeting.wav", 830, seconds=4, rate=44100)
    async with alice:
        call = await reach(alice)
        await alice.hangup(call)
        await site.tandem("prompts", "put", "receptionprompt.wav", str(greeting))
        await alice.record(tmp_path / "heard.wav")
        call = await reach(alice)
        await alice.listen(3.0, call)
        await alice.hangup(call)
        await alice.stop_record()
    assert seconds_heard(tmp_path / "heard.wav", 830) > 1.5


async def test_a_broken_prompt_is_refused_and_the_old_one_stays(site: Site, tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF\x00\x00\x00\x00WAVEnothing to hear here")
    before = await site.tandem("prompts", "list", "--json")
    said = await site.tandem("prompts", "put", "receptionprompt.wav", str(broken), expect=1)
    assert "receptionprompt" in said or "WAV" in said
    assert await site.tandem("prompts", "list", "--json") == before


@pytest.mark.proof
async def test_silence_is_met_with_patience_and_a_polite_end(site: Site, tmp_path: Path) -> None:
    short = make_tone(tmp_path / "short.wav", 830, seconds=0.5)
    await site.tandem("prompts", "put", "receptionprompt.wav", str(short))
    alice = await site.phone("alice", await site.password("alice"))
    async with alice:
        await alice.record(tmp_path / "heard.wav")
        call = await reach(alice)
        await alice.wait_state("disconnected", call, timeout=80)
        await alice.stop_record()
    assert seconds_of_sound(tmp_path / "heard.wav") > 3


@pytest.mark.proof
async def test_an_invalid_entry_is_told_and_the_menu_goes_on(site: Site) -> None:
    alice = await site.phone("alice", await site.password("alice"))
    bob = await site.phone("bob", await site.password("bob"))
    async with alice, bob:
        call = await reach(alice)
        await alice.send_dtmf("299", call)
        await alice.listen(3.0, call)
        await alice.send_dtmf("202", call)
        ringing = await bob.wait_incoming(timeout=20)
        await bob.answer(ringing)
        await bob.wait_state("confirmed", ringing)
        await alice.hangup(call)
        await bob.wait_state("disconnected", ringing)


async def test_a_human_receptionist_is_rung_before_the_program_and_by_zero(
    site: Site, tone: Tone, tmp_path: Path
) -> None:
    """Her telephone is registered as `pbx`. She lets the first call go to the program, and takes it by its 0."""
    await site.tandem("setting", "set", "pbx", "VoicemailAfter", "1")
    alice = await site.phone("alice", await site.password("alice"))
    desk = await site.phone("pbx", await site.password("pbx"))
    async with alice, desk:
        await desk.play(tone(620))
        call = await alice.call(f"sip:200@{DOMAIN}")
        unanswered = await desk.wait_incoming()
        await desk.wait_state("disconnected", unanswered)
        await alice.wait_state("confirmed", call)  # the program
        await alice.wait_media(call)
        await alice.send_dtmf("0", call)
        ringing = await desk.wait_incoming(timeout=20)
        await desk.answer(ringing)
        await desk.wait_state("confirmed", ringing)
        await alice.record(tmp_path / "alice.wav")
        await alice.listen(1.5, call)
        await alice.stop_record()
        await alice.hangup(call)
        await desk.wait_state("disconnected", ringing)

        direct = await alice.call(f"sip:0@{DOMAIN}")
        ringing = await desk.wait_incoming()
        await desk.answer(ringing)
        await alice.wait_state("confirmed", direct)
        await alice.hangup(direct)
        await desk.wait_state("disconnected", ringing)
    assert seconds_heard(tmp_path / "alice.wav", 620) > 1.0


async def test_the_conference_says_that_none_is_open(site: Site, tmp_path: Path) -> None:
    alice = await site.phone("alice", await site.password("alice"))
    async with alice:
        await alice.record(tmp_path / "heard.wav")
        call = await reach(alice, "conference")
        await alice.wait_state("disconnected", call, timeout=20)
        await alice.stop_record()
    assert seconds_of_sound(tmp_path / "heard.wav") > 1


@pytest.mark.parametrize("setting", [pytest.param("menu", marks=pytest.mark.proof), "voicemail"])
async def test_an_extension_that_does_not_answer_leads_back_or_to_voicemail(site: Site, setting: str) -> None:
    await site.tandem("setting", "set", "pbx", "ReceptNoAnswer", setting)
    alice = await site.phone("alice", await site.password("alice"))
    bob = await site.phone("bob", await site.password("bob"))
    carol = await site.phone("carol", await site.add("carol", "203"))
    async with alice, bob, carol:
        call = await reach(alice)
        await alice.send_dtmf("202", call)
        ringing = await bob.wait_incoming(timeout=20)
        await bob.hangup(ringing, status=486)
        await bob.wait_state("disconnected", ringing)
        await alice.listen(1.0, call)
        if setting == "menu":
            await alice.send_dtmf("203", call)
            other = await carol.wait_incoming(timeout=30)
            await carol.answer(other)
            await carol.wait_state("confirmed", other)
            await alice.hangup(call)
            await carol.wait_state("disconnected", other)
        else:
            async with asyncio.timeout(20):
                while not any(row["program"] == "voicemail" for row in await site.listing("calls")):
                    await asyncio.sleep(0.2)
            await alice.hangup(call)
        await alice.wait_state("disconnected", call)
