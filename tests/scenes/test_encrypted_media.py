"""Scenes: telephones whose voice is encrypted, among themselves, with plain ones, and with programs (RFC 4568)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.phone import TestPhone
from tests.scenes.site import DOMAIN, Site
from tests.tones import seconds_heard

pytestmark = pytest.mark.scene
Tone = Callable[..., Path]


async def _talk(alice: TestPhone, bob: TestPhone, tone: Tone, folder: Path) -> None:
    """Alice calls Bob, both speak, and both are heard."""
    await alice.play(tone(440))
    await bob.play(tone(620))
    await alice.record(folder / "alice.wav")
    await bob.record(folder / "bob.wav")
    call = await alice.call(f"sip:202@{DOMAIN}")
    ringing = await bob.wait_incoming()
    await bob.answer(ringing)
    await alice.wait_state("confirmed", call)
    await bob.wait_state("confirmed", ringing)
    await alice.listen(1.5, call)
    await bob.listen(1.5, ringing)
    await alice.hangup(call)
    await bob.wait_state("disconnected", ringing)
    await alice.stop_record()
    await bob.stop_record()
    assert seconds_heard(folder / "alice.wav", 620) > 1.0
    assert seconds_heard(folder / "bob.wav", 440) > 1.0


@pytest.mark.parametrize(
    ("near", "far"),
    [
        ("required", ""),
        ("", "required"),
        ("required:AES_CM_128_HMAC_SHA1_32", "required:AES_CM_128_HMAC_SHA1_80"),
        ("optional", "optional"),
    ],
)
async def test_plain_and_encrypted_phones_hear_each_other(
    site: Site, tone: Tone, tmp_path: Path, near: str, far: str
) -> None:
    if near and far:
        await site.tandem("setting", "set", "bob", "MediaSecurity", "required" if "required" in far else "optional")
    alice = await site.phone("alice", await site.password("alice"), srtp=near)
    bob = await site.phone("bob", await site.password("bob"), srtp=far)
    async with alice, bob:
        await _talk(alice, bob, tone, tmp_path)


async def test_a_program_hears_and_speaks_through_encryption(site: Site, tone: Tone, tmp_path: Path) -> None:
    alice = await site.phone("alice", await site.password("alice"), srtp="required")
    async with alice:
        await alice.play(tone(440))
        await alice.record(tmp_path / "heard.wav")
        call = await alice.call(f"sip:600@{DOMAIN}")
        await alice.wait_state("confirmed", call)
        await alice.listen(2.0, call)
        await alice.hangup(call)
        await alice.stop_record()
    assert seconds_heard(tmp_path / "heard.wav", 440) > 1.0


@pytest.mark.parametrize(("setting", "srtp"), [("required", ""), ("off", "required")])
async def test_what_is_not_as_the_setting_wants_it_is_refused(site: Site, setting: str, srtp: str) -> None:
    await site.tandem("setting", "set", "alice", "MediaSecurity", setting)
    alice = await site.phone("alice", await site.password("alice"), srtp=srtp)
    async with alice:
        call = await alice.call(f"sip:600@{DOMAIN}")
        ended = await alice.wait_state("disconnected", call)
    assert ended["status"] == 488
