"""Scenes: baresip, unmodified, among other telephones and with the programs of the server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.baresip import PRESENT, Baresip
from tests.interop.site import Everywhere
from tests.phone import TestPhone
from tests.scenes.site import DOMAIN
from tests.scenes.test_voicemail import skip_greeting
from tests.tones import seconds_heard

pytestmark = [pytest.mark.scene, pytest.mark.skipif(not PRESENT, reason="baresip is not installed")]
Tone = Callable[..., Path]


async def talk(alice: Baresip, bob: TestPhone, tone: Tone, folder: Path, *, alice_calls: bool = True) -> None:
    """One calls the other, both speak and are heard, the one who was called hangs up."""
    await bob.play(tone(620))
    await bob.record(folder / "bob.wav")
    if alice_calls:
        await alice.call("202")
        call = await bob.wait_incoming()
        await bob.answer(call)
    else:
        call = await bob.call(f"sip:201@{DOMAIN}")
        await alice.answer()
        await bob.wait_state("confirmed", call)
    await alice.connected()
    await bob.listen(1.5, call)
    await alice.listen(1.5)
    if alice_calls:
        await bob.hangup(call)
        await alice.ended()
    else:
        await alice.hang_up()
        await bob.wait_state("disconnected", call)
    await bob.stop_record()
    assert alice.seconds_heard(620) > 1.0
    assert seconds_heard(folder / "bob.wav", 440) > 1.0


async def test_encrypted_over_tls_and_plain_over_udp_hear_each_other(
    site: Everywhere, tone: Tone, tmp_path: Path
) -> None:
    bob = await site.phone("bob", await site.password("bob"))
    alice = Baresip("alice", tmp_path / "alice", tone(440))
    async with alice, bob:
        await alice.start(site, await site.password("alice"), transport="tls", encryption="srtp-mand")
        await talk(alice, bob, tone, tmp_path)


async def test_it_types_an_extension_and_shows_its_lamp(site: Everywhere, tone: Tone, tmp_path: Path) -> None:
    bob = await site.phone("bob", await site.password("bob"))
    alice = Baresip("alice", tmp_path / "alice", tone(440))
    async with alice, bob:
        await alice.start(site, await site.password("alice"), transport="tcp")
        await alice.call("200")
        await alice.connected()
        await alice.listen(0.3)
        await alice.press("202")
        ringing = await bob.wait_incoming()
        await bob.answer(ringing)
        await bob.wait_state("confirmed", ringing)
        await alice.hang_up()
        await bob.wait_state("disconnected", ringing)

        await bob.play(tone(620))
        call = await bob.call(f"sip:201@{DOMAIN}")
        await alice.news.wait("CALL_INCOMING")
        await alice.hang_up()
        await bob.wait_state("confirmed", call)  # voicemail
        await skip_greeting(bob, call)
        await bob.listen(5.0, call)
        await bob.hangup(call)
        lit = await alice.news.wait("MWI_NOTIFY", where=lambda event: "Messages-Waiting: yes" in event["param"])
    assert "Voice-Message: 1/0" in lit["param"]


@pytest.mark.proof
@pytest.mark.parametrize("alice_calls", [True, False])
@pytest.mark.parametrize("encryption", ["", "srtp", "srtp-mand", "dtls_srtp"])
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_every_transport_and_encryption(
    site: Everywhere, tone: Tone, tmp_path: Path, transport: str, encryption: str, alice_calls: bool
) -> None:
    if encryption:
        await site.tandem("setting", "set", "alice", "MediaSecurity", "required")
    bob = await site.phone("bob", await site.password("bob"), srtp="optional" if encryption else "")
    alice = Baresip("alice", tmp_path / "alice", tone(440))
    async with alice, bob:
        await alice.start(site, await site.password("alice"), transport=transport, encryption=encryption)
        await talk(alice, bob, tone, tmp_path, alice_calls=alice_calls)


@pytest.mark.proof
@pytest.mark.parametrize("transport", ["udp", "tls"])
async def test_dtls_srtp_is_offered_to_it_where_encryption_is_optional(
    site: Everywhere, tone: Tone, tmp_path: Path, transport: str
) -> None:
    """By UDP it refuses plain audio, and is asked again; by TLS it is offered keys with a fingerprint."""
    bob = await site.phone("bob", await site.password("bob"))
    alice = Baresip("alice", tmp_path / "alice", tone(440))
    async with alice, bob:
        await alice.start(site, await site.password("alice"), transport=transport, encryption="dtls_srtp")
        await talk(alice, bob, tone, tmp_path, alice_calls=False)


@pytest.mark.proof
@pytest.mark.parametrize("codec", ["g722", "gsm", "opus"])
async def test_its_codecs_reach_the_programs_and_each_other(
    site: Everywhere, tone: Tone, tmp_path: Path, codec: str
) -> None:
    """To the echo with one codec only, then two that share none: the server translates."""
    bob = Baresip("bob", tmp_path / "bob", tone(620))
    alice = Baresip("alice", tmp_path / "alice", tone(440))
    async with alice, bob:
        await alice.start(site, await site.password("alice"), codecs=(codec,))
        await bob.start(site, await site.password("bob"))
        await alice.call("600")
        await alice.connected()
        await alice.listen(1.5)
        await alice.hang_up()
        await alice.ended()
        assert alice.seconds_heard(440) > 0.8
        seen = len(alice.news.events)
        await alice.call("202")
        await bob.answer()
        await alice.news.wait("CALL_ESTABLISHED", since=seen)
        await alice.listen(1.5)
        await bob.listen(1.5)
        await alice.hang_up()
        await bob.ended()
    assert alice.seconds_heard(620) > 0.8
    assert bob.seconds_heard(440) > 0.8


@pytest.mark.proof
async def test_hold_and_resume(site: Everywhere, tone: Tone, tmp_path: Path) -> None:
    bob = await site.phone("bob", await site.password("bob"))
    alice = Baresip("alice", tmp_path / "alice", tone(440))
    async with alice, bob:
        await alice.start(site, await site.password("alice"))
        await alice.call("202")
        call = await bob.wait_incoming()
        await bob.answer(call)
        await alice.connected()
        await bob.listen(0.5, call)
        seen = len(bob.events)
        await alice.command("hold")
        await bob.wait("media", since=seen)
        seen = len(bob.events)
        await alice.command("resume")
        await bob.wait("media", since=seen)
        await bob.record(tmp_path / "after.wav")
        await bob.listen(1.0, call)
        await bob.stop_record()
        await alice.hang_up()
        await bob.wait_state("disconnected", call)
    assert seconds_heard(tmp_path / "after.wav", 440) > 0.5


@pytest.mark.proof
async def test_it_sends_on_and_is_sent_on(site: Everywhere, tone: Tone, tmp_path: Path) -> None:
    """On the proxy way one baresip sends another on to Carol. It knows no Replaces: blindly is all it can."""
    carol = await site.phone("carol", await site.add("carol", "203"))
    for name in ("alice", "bob", "carol"):
        await site.tandem("setting", "set", name, "CallFeatures", "NO")
    alice = Baresip("alice", tmp_path / "alice", tone(440))
    bob = Baresip("bob", tmp_path / "bob", tone(850))
    async with alice, bob, carol:
        await alice.start(site, await site.password("alice"))
        await bob.start(site, await site.password("bob"))
        await alice.call("202")
        await bob.answer()
        await alice.connected()
        await carol.play(tone(620))
        await carol.record(tmp_path / "carol.wav")
        await bob.command("transfer", f"sip:203@{DOMAIN}")
        call = await carol.wait_incoming()
        await carol.answer(call)
        await bob.ended()
        await carol.listen(1.5, call)
        await carol.stop_record()
        await carol.hangup(call)
        await site.calls(2)
    assert seconds_heard(tmp_path / "carol.wav", 440) > 0.8
    assert alice.seconds_heard(620) > 0.8
    assert "way=b2bua" not in site.log()


@pytest.mark.proof
@pytest.mark.parametrize(("transport", "encryption"), [("udp", ""), ("tls", "srtp-mand")])
async def test_it_hears_whoever_comes_on_the_same_port(
    site: Everywhere, tone: Tone, tmp_path: Path, transport: str, encryption: str
) -> None:
    """Bob, ringing, and then Carol, eight times. It used to fall silent in some of them."""
    bob = await site.phone("bob", await site.password("bob"))
    carol = await site.phone("carol", await site.add("carol", "203"))
    alice = Baresip("alice", tmp_path / "alice", tone(440))
    heard = []
    async with alice, bob, carol:
        await alice.start(site, await site.password("alice"), transport=transport, encryption=encryption)
        await carol.play(tone(620))
        for _ in range(8):
            before = alice.seconds_heard(620)
            await alice.call("202")
            first = await bob.wait_incoming()
            await bob.answer(first)
            await alice.connected()
            await alice.listen(0.5)
            await bob.transfer(f"sip:203@{DOMAIN}", first)
            second = await carol.wait_incoming()
            await carol.answer(second)
            await carol.wait_state("confirmed", second)
            await carol.listen(1.5, second)
            await carol.hangup(second)
            await alice.ended()
            heard.append(alice.seconds_heard(620) - before)
    assert min(heard) > 0.8, heard
