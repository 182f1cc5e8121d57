"""Scenes: Linphone, unmodified, among other telephones and with the programs of the server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.linphone import PRESENT, Linphone
from tests.interop.site import Everywhere
from tests.scenes.site import DOMAIN
from tests.tones import seconds_heard

pytestmark = [pytest.mark.scene, pytest.mark.skipif(not PRESENT, reason="linphonec is not installed")]
Tone = Callable[..., Path]


def proof(*values: object) -> object:
    """One of the cases that only `make proof` runs."""
    return pytest.param(*values, marks=pytest.mark.proof)


@pytest.mark.parametrize(
    ("transport", "encryption", "alice_calls"),
    [
        ("tcp", "srtp", True),
        *(proof(way, how, who) for way in ("udp", "tcp") for how in ("none", "srtp") for who in (True, False)),
        *(proof("tcp", "dtls", who) for who in (True, False)),
    ],
)
async def test_it_types_an_extension_and_both_hear_each_other(
    site: Everywhere, tone: Tone, tmp_path: Path, transport: str, encryption: str, alice_calls: bool
) -> None:
    bob = await site.phone("bob", await site.password("bob"))
    alice = Linphone("alice", tmp_path / "alice", tone(440))
    async with alice, bob:
        await alice.start(site, await site.password("alice"), transport=transport, encryption=encryption)
        await bob.play(tone(620))
        await bob.record(tmp_path / "bob.wav")
        if alice_calls:
            await alice.call("200")
            await alice.connected()
            for key in "202":
                await alice.type(key)
            call = await bob.wait_incoming()
            await bob.answer(call)
        else:
            call = await bob.call(f"sip:201@{DOMAIN}")
            await alice.answer()
        await bob.wait_state("confirmed", call)
        await bob.listen(2.0, call)
        if alice_calls:
            await bob.hangup(call)
        else:
            await alice.hang_up()
        await bob.wait_state("disconnected", call)
        await alice.news.wait("CallReleased")
        await bob.stop_record()
    assert seconds_heard(tmp_path / "bob.wav", 440) > 1.0
    assert seconds_heard(alice.heard, 620) > 1.0
