"""Scene: an account whose call features are off is reached by the proxy way, one dialog from end to end."""

from __future__ import annotations

import pytest

from tests.scenes.site import DOMAIN, Site

pytestmark = pytest.mark.scene


async def test_a_call_without_features_is_proxied_and_recorded(site: Site) -> None:
    await site.tandem("setting", "set", "bob", "CallFeatures", "NO")
    alice = await site.phone("alice", await site.password("alice"))
    bob = await site.phone("bob", await site.password("bob"))
    async with alice, bob:
        call = await alice.call(f"sip:202@{DOMAIN}")
        ringing = await bob.wait_incoming()
        await bob.answer(ringing)
        await alice.wait_state("confirmed", call)
        await alice.listen(0.5, call)
        await bob.hangup(ringing)
        await alice.wait_state("disconnected", call)
        (record,) = await site.calls()
    assert "way=proxy" in site.log()
    assert (record["outcome"], record["status"], record["state"]) == ("answered", 200, "ended")
    assert record["codec"] == "", "the audio does not pass through us"
