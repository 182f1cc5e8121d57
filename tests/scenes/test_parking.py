"""Scene: a real telephone holds and parks its caller, another one fetches him, and picks up the next by number."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.phone import TestPhone
from tests.scenes.site import DOMAIN, Site
from tests.scenes.test_transfer import hear_each_other, people, talk
from tests.tones import seconds_heard

pytestmark = pytest.mark.scene
Tone = Callable[..., Path]


async def hears_music(phone: TestPhone, call: int, path: Path) -> None:
    """The prompt `holdmusic`."""
    await phone.record(path)
    await phone.listen(1.5, call)
    await phone.stop_record()
    assert sum(seconds_heard(path, note, least=0.4) for note in (261.6, 329.6, 392.0, 220.0)) > 0.5


async def test_a_caller_is_parked_and_fetched_and_the_next_is_picked_up(site: Site, tone: Tone, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        alice, bob, carol = await people(site, stack)
        hers, his = await talk(alice, bob, "202")
        await bob.hold(his)
        await hears_music(alice, hers, tmp_path / "held.wav")
        await bob.transfer(f"sip:700@{DOMAIN}", his)
        await bob.wait("transfer", where=lambda event: event["status"] == 200)
        await bob.wait_state("disconnected", his)
        shown = await bob.wait_incoming()
        await hears_music(alice, hers, tmp_path / "waiting.wav")
        fetching = await carol.call(f"sip:701@{DOMAIN}")
        await carol.wait_state("confirmed", fetching)
        await bob.wait_state("disconnected", shown)
        await hear_each_other(alice, hers, carol, fetching, tmp_path, tone)
        await carol.hangup(fetching)
        await alice.wait_state("disconnected", hers)

        second = await alice.call(f"sip:202@{DOMAIN}")
        rung = await bob.wait_incoming()
        await bob.ring(rung)
        picked = await carol.call(f"sip:**202@{DOMAIN}")
        await carol.wait_state("confirmed", picked)
        await alice.wait_state("confirmed", second)
        await bob.wait_state("disconnected", rung)
        await hear_each_other(alice, second, carol, picked, tmp_path, tone)
        await alice.hangup(second)
        await carol.wait_state("disconnected", picked)
