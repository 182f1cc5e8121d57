"""Scenes: a real telephone takes a call over by an INVITE with Replaces (RFC 3891)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.scenes.site import DOMAIN, Site
from tests.scenes.test_transfer import hear_each_other
from tests.scenes.traces import dialog_of, traced
from tests.tones import seconds_heard

pytestmark = pytest.mark.scene
Tone = Callable[..., Path]


@pytest.mark.proof
async def test_a_ringing_call_is_picked_up(site: Site, tone: Tone, tmp_path: Path) -> None:
    """Carol takes the call that rings at Bob's telephone, and Alice is told to whom she talks."""
    carols, ringing, calling = await site.add("carol", "203"), tmp_path / "bob.sip", tmp_path / "alice.sip"
    async with AsyncExitStack() as stack:
        alice = await stack.enter_async_context(
            await site.phone("alice", await site.password("alice"), log=str(calling))
        )
        bob = await stack.enter_async_context(await site.phone("bob", await site.password("bob"), log=str(ringing)))
        carol = await stack.enter_async_context(await site.phone("carol", carols))
        hers = await alice.call(f"sip:202@{DOMAIN}")
        rung = await bob.wait_incoming()
        await bob.ring(rung)
        wanted = await dialog_of(ringing, 180, called=True)
        picked = await carol.call(f"sip:202@{DOMAIN}", headers={"Replaces": f"{wanted};early-only"})
        await alice.wait_state("confirmed", hers)
        await bob.wait_state("disconnected", rung)
        await hear_each_other(alice, hers, carol, picked, tmp_path, tone)
        await alice.hangup(hers)
        await carol.wait_state("disconnected", picked)
        await traced(calling, rf"^SIP/2\.0 200 OK\n(?:.+\n)*P-Asserted-Identity: .*sip:carol@{DOMAIN}")
        await traced(ringing, r"^CANCEL (?:.+\n)*Reason: .*Call completed elsewhere")
        (record,) = await site.calls()
    assert (record["outcome"], record["callee"]) == ("answered", f"carol@{DOMAIN}")


@pytest.mark.proof
async def test_another_telephone_goes_on_with_the_echo(site: Site, tone: Tone, tmp_path: Path) -> None:
    """Bob's mobile takes the place of his desk telephone before a program, which goes on with it."""
    password, trace = await site.password("bob"), tmp_path / "bob.sip"
    async with AsyncExitStack() as stack:
        desk = await stack.enter_async_context(await site.phone("bob", password, log=str(trace)))
        mobile = await stack.enter_async_context(await site.phone("bob", password))
        call = await desk.call(f"sip:600@{DOMAIN}")
        await desk.wait_state("confirmed", call)
        await desk.listen(0.3, call)
        await mobile.play(tone(620))
        await mobile.record(tmp_path / "echo.wav")
        wanted = await dialog_of(trace, 200, called=False)
        taken = await mobile.call(f"sip:600@{DOMAIN}", headers={"Replaces": wanted, "Require": "replaces"})
        await mobile.wait_state("confirmed", taken)
        await desk.wait_state("disconnected", call)
        await mobile.listen(1.5, taken)
        await mobile.stop_record()
        await mobile.hangup(taken)
        (record,) = await site.calls()
    assert seconds_heard(tmp_path / "echo.wav", 620) > 0.8
    assert (record["outcome"], record["program"]) == ("answered", "echo")
