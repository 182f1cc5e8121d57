"""Scene: far more calls at once than are let in. Each comes about, or hears 503 with Retry-After, or nothing; who talks
goes on talking, and nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import sipp
from tests.scenes.site import DOMAIN, Site
from tests.scenes.test_sipp import settled
from tests.tones import seconds_heard

pytestmark = [pytest.mark.scene, pytest.mark.skipif(not sipp.installed(), reason="sipp is not installed")]
BURST, LIMIT = 500, 20


class NarrowSite(Site):
    """Lets in few calls a second, from telephones that need no password."""

    def _configuration(self) -> str:
        return super()._configuration().replace("[sip]", f'[sip]\nadmission = {LIMIT}\ntrusted = ["{self.host}"]')


async def test_a_burst_of_calls_is_refused_and_hurts_nobody(tmp_path: Path, tone: Callable[..., Path]) -> None:
    async with NarrowSite(tmp_path / "site") as site:
        alice = await site.phone("alice", await site.password("alice"))
        async with alice:
            await alice.play(tone(440))
            talk = await alice.call(f"sip:600@{DOMAIN}")
            await alice.wait_state("confirmed", talk)
            await alice.listen(0.5, talk)
            await alice.record(tmp_path / "alice.wav")
            outcome = await asyncio.to_thread(burst, site)
            await alice.listen(0.5, talk)
            await alice.stop_record()
            heard = seconds_heard(tmp_path / "alice.wav", 440)
            statistics = await alice.statistics(talk)
            await alice.hangup(talk)
        completed, refused, silent = outcome.last.completed, outcome.last.refused, outcome.failed
        status = await site.listing("status")
        await settled(site, 45)  # a caller who has gone before his ACK is noticed after 32 seconds
    assert completed + refused + silent == BURST
    assert LIMIT <= completed < BURST / 2
    assert refused >= BURST / 2
    assert status["sip.admission.refused"] >= refused
    assert statistics["lost"] == 0
    assert heard > 1.0


def burst(site: Site) -> sipp.Outcome:
    """All within a second; who hears nothing asks again twice."""
    options = ("-s", "600", "-m", str(BURST), "-r", str(BURST), "-l", str(BURST), "-d", "200")
    scenario = sipp.calling(refusals=True)  # a 503 without Retry-After fails there
    server = (site.host, site.sip_port)
    with sipp.Sipp(site.host, scenario, server, *options, "-max_invite_retrans", "2", "-timeout", "60s") as caller:
        return caller.finish(90)
