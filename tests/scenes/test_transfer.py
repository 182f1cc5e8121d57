"""Scenes: real telephones send a caller on, blindly and after a question."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.phone import TestPhone
from tests.scenes.site import DOMAIN, Site
from tests.scenes.traces import traced
from tests.tones import seconds_heard

pytestmark = pytest.mark.scene
Tone = Callable[..., Path]
ALICE, CAROL = 440, 850


async def people(site: Site, stack: AsyncExitStack, trace: Path | str = "") -> tuple[TestPhone, TestPhone, TestPhone]:
    """Alice, Bob and Carol with their telephones; `trace` of Alice's."""
    carol = await site.add("carol", "203")
    return (
        await stack.enter_async_context(await site.phone("alice", await site.password("alice"), log=str(trace))),
        await stack.enter_async_context(await site.phone("bob", await site.password("bob"))),
        await stack.enter_async_context(await site.phone("carol", carol)),
    )


async def talk(caller: TestPhone, callee: TestPhone, number: str) -> tuple[int, int]:
    """A call that is answered: its number at either end."""
    call = await caller.call(f"sip:{number}@{DOMAIN}")
    rung = await callee.wait_incoming()
    await callee.answer(rung)
    await caller.wait_state("confirmed", call)
    await callee.wait_state("confirmed", rung)
    return call, rung


async def hear_each_other(alice: TestPhone, one: int, carol: TestPhone, other: int, folder: Path, tone: Tone) -> None:
    await alice.play(tone(ALICE))
    await carol.play(tone(CAROL))
    await alice.record(folder / "alice.wav")
    await carol.record(folder / "carol.wav")
    await alice.listen(1.0, one)
    await carol.listen(1.0, other)
    await alice.stop_record()
    await carol.stop_record()
    assert seconds_heard(folder / "alice.wav", CAROL) > 0.5
    assert seconds_heard(folder / "carol.wav", ALICE) > 0.5


async def test_a_caller_is_sent_on_blindly_and_hears_ringing(site: Site, tone: Tone, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        alice, bob, carol = await people(site, stack)
        hers, his = await talk(alice, bob, "202")
        await bob.hold(his)
        await alice.record(tmp_path / "waiting.wav")
        await bob.transfer(f"sip:203@{DOMAIN}", his)
        rung = await carol.wait_incoming()
        await carol.ring(rung)
        await alice.listen(2.5, hers)
        await alice.stop_record()
        assert seconds_heard(tmp_path / "waiting.wav", 480, least=0.4) > 1.0, "the prompt `ringing`: 440 and 480 Hz"
        await carol.answer(rung)
        await bob.wait("transfer", where=lambda event: event["status"] == 200)
        await bob.wait_state("disconnected", his)
        await hear_each_other(alice, hers, carol, rung, tmp_path, tone)
        await carol.hangup(rung)
        await alice.wait_state("disconnected", hers)
        records = await site.calls(2)
    assert {record["outcome"] for record in records} == {"answered"}


@pytest.mark.proof
async def test_a_busy_target_leaves_everybody_where_he_was(site: Site, tone: Tone, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        alice, bob, carol = await people(site, stack)
        await site.tandem("setting", "set", "carol", "VoicemailOnBusy", "NO")
        hers, his = await talk(alice, bob, "202")
        await bob.transfer(f"sip:203@{DOMAIN}", his)
        rung = await carol.wait_incoming()
        await carol.answer(rung, 486)
        await bob.wait("transfer", where=lambda event: bool(event["final"]) and int(str(event["status"])) >= 400)
        await hear_each_other(alice, hers, bob, his, tmp_path, tone)
        await alice.hangup(hers)
        await bob.wait_state("disconnected", his)


async def test_a_caller_is_sent_on_after_a_question(site: Site, tone: Tone, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        alice, bob, carol = await people(site, stack, tmp_path / "alice.sip")
        hers, his = await talk(alice, bob, "202")
        await bob.hold(his)
        question, asked = await talk(bob, carol, "203")
        await bob.attended_transfer(question, his)
        await bob.wait("transfer", where=lambda event: event["status"] == 200)
        await bob.wait_state("disconnected", his)
        await bob.wait_state("disconnected", question)
        await traced(tmp_path / "alice.sip", rf"^INVITE (?:.+\n)*P-Asserted-Identity: .*sip:carol@{DOMAIN}")
        await hear_each_other(alice, hers, carol, asked, tmp_path, tone)
        await carol.hangup(asked)
        await alice.wait_state("disconnected", hers)
