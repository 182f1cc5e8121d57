"""Scenes: a browser's telephone (JsSIP in Chromium) over WSS with DTLS-SRTP, and telephones of other makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.browser import PRESENT, Browser
from tests.interop.site import Everywhere
from tests.scenes.site import DOMAIN
from tests.tones import seconds_heard

pytestmark = [pytest.mark.scene, pytest.mark.skipif(not PRESENT, reason="Chromium or JsSIP is not installed")]
Tone = Callable[..., Path]


async def test_a_browser_calls_itself_a_program_and_a_desk_phone(site: Everywhere, tone: Tone, tmp_path: Path) -> None:
    """The echo; then the attendant, who is told an extension by keys; the called one hangs up."""
    bob = await site.phone("bob", await site.password("bob"))
    alice = Browser("alice", tmp_path / "alice", tone(440))
    async with alice, bob:
        await alice.start(site, await site.password("alice"))
        await alice.call("600")
        await alice.news.wait("confirmed")
        await alice.hears(440)
        await alice.hang_up()
        await alice.news.wait("ended")
        seen = len(alice.news.events)
        await bob.play(tone(620))
        await bob.record(tmp_path / "bob.wav")
        await alice.call("200")
        await alice.news.wait("confirmed", since=seen)
        await alice.press("202")
        call = await bob.wait_incoming()
        await bob.answer(call)
        await bob.wait_state("confirmed", call)
        await alice.hears(620, since=seen)
        await bob.listen(1.5, call)
        await bob.stop_record()
        await bob.hangup(call)
        ended = await alice.news.wait("ended", since=seen)
    assert ended["by"] == "remote"
    assert seconds_heard(tmp_path / "bob.wav", 440) > 1.0


async def test_a_desk_phone_calls_a_browser_and_both_hold(site: Everywhere, tone: Tone, tmp_path: Path) -> None:
    """Each puts the other on hold and comes back; then the browser hangs up, declines a call, and shows the lamp."""
    # One codec: pjsip answers a choice of them with a re-INVITE of its own, and JsSIP cannot cope with glare.
    bob = await site.phone("bob", await site.password("bob"), codecs=["PCMU"])
    alice = Browser("alice", tmp_path / "alice", tone(440))
    async with alice, bob:
        await alice.start(site, await site.password("alice"))
        await bob.play(tone(620))
        call = await bob.call(f"sip:201@{DOMAIN}")
        await alice.answer()
        await bob.wait_state("confirmed", call)
        await alice.hears(620)
        for hold, resume in ((alice.hold, alice.resume), (bob.hold, bob.resume)):
            events, seen = len(alice.news.events), len(bob.events)
            await hold()
            await alice.news.wait("hold", since=events)
            await bob.wait("media", since=seen)
            seen = len(bob.events)
            await resume()
            await alice.news.wait("unhold", since=events)
            await bob.wait("media", since=seen, where=lambda event: bool(event["active"]))
        await bob.record(tmp_path / "bob.wav")
        await bob.listen(1.5, call)
        await bob.stop_record()
        await alice.hears(620, since=len(alice.news.events))
        await alice.hang_up()
        await bob.wait_state("disconnected", call)
        seen = len(alice.news.events)
        call = await bob.call(f"sip:201@{DOMAIN}")
        await alice.news.wait("session", since=seen)
        await alice.hang_up()
        await bob.wait_state("confirmed", call)  # voicemail
        await bob.listen(0.5, call)
        await bob.send_dtmf("#", call)
        await bob.listen(3.0, call)
        await bob.hangup(call)
        await alice.news.wait("notify", where=lambda event: "Messages-Waiting: yes" in event["body"])
    assert seconds_heard(tmp_path / "bob.wav", 440) > 1.0


@pytest.mark.proof
@pytest.mark.parametrize("bundle", ["balanced", "max-compat", "max-bundle"])
async def test_two_browsers_see_each_other(site: Everywhere, tone: Tone, tmp_path: Path, bundle: str) -> None:
    alice, bob = Browser("alice", tmp_path / "alice", tone(440)), Browser("bob", tmp_path / "bob", tone(620))
    async with alice, bob:
        await alice.start(site, await site.password("alice"), video=True, bundle=bundle)
        await bob.start(site, await site.password("bob"), video=True, bundle=bundle)
        await alice.call("202")
        await bob.answer()
        await alice.hears(620)
        await bob.hears(440)
        await alice.news.wait("picture")
        await bob.news.wait("picture")
        await alice.hold()
        await bob.news.wait("hold")
        seen = len(bob.news.events)
        await alice.resume()
        await bob.news.wait("unhold", since=seen)
        await bob.hears(440, since=seen)
        await bob.hang_up()
        await alice.news.wait("ended")
