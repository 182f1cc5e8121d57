"""Scenes: telephones that ring reliably, or not, and any of them calls any other (RFC 3262, RFC 3311)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenes.site import DOMAIN, Site
from tests.tones import seconds_heard

pytestmark = pytest.mark.scene
Tone = Callable[..., Path]


@pytest.mark.parametrize(
    ("caller", "callee", "features"),
    [("required", "", "YES"), ("", "required", "YES"), ("required", "optional", "NO")],
)
async def test_early_audio_and_a_call(
    site: Site, tone: Tone, tmp_path: Path, caller: str, callee: str, features: str
) -> None:
    """Bob is heard before he answers, and after; by the B2BUA way and, the last time, by the proxy way."""
    await site.tandem("setting", "set", "bob", "CallFeatures", features)
    alice = await site.phone("alice", await site.password("alice"), reliable=caller)
    bob = await site.phone("bob", await site.password("bob"), reliable=callee)
    async with alice, bob:
        call = await alice.call(f"sip:202@{DOMAIN}")
        ringing = await bob.wait_incoming()
        await bob.ring(ringing, 180)
        await bob.ring(ringing, 183)
        await alice.wait_state("early", call)
        await bob.answer(ringing)
        await alice.wait_state("confirmed", call)
        await bob.play(tone(880))
        heard = tmp_path / "heard.wav"
        await alice.record(heard)
        await alice.listen(1.5, call)
        await alice.stop_record()
        assert seconds_heard(heard, 880) > 0.5
        await alice.hold_and_resume(call)
        await alice.hangup(call)
        await bob.wait_state("disconnected", ringing)
        (record,) = await site.calls()
        acknowledged = (await site.listing("status")).get("sip.requests.PRACK", 0)
    assert (record["outcome"], record["status"]) == ("answered", 200)
    assert acknowledged or not caller  # pjsua2 acknowledges also where it does not insist
    assert f"way={'proxy' if features == 'NO' else 'b2bua'}" in site.log()


async def test_programs_answer_who_requires_it(site: Site) -> None:
    alice = await site.phone("alice", await site.password("alice"), reliable="required")
    async with alice:
        call = await alice.call(f"sip:600@{DOMAIN}")
        await alice.wait_state("confirmed", call)
        await alice.listen(0.5, call)
        await alice.hangup(call)
        (record,) = await site.calls()
    assert (record["outcome"], record["program"]) == ("answered", "echo")
