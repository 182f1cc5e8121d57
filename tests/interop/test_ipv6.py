"""Scenes: telephones that speak IPv6 and telephones that speak IPv4 call each other, and the programs of the server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.baresip import PRESENT, Baresip
from tests.interop.site import Everywhere
from tests.interop.test_baresip import talk

pytestmark = [pytest.mark.scene, pytest.mark.skipif(not PRESENT, reason="baresip is not installed")]
Tone = Callable[..., Path]


def proof(*values: object) -> object:
    """One of the cases that only `make proof` runs."""
    return pytest.param(*values, marks=pytest.mark.proof)


@pytest.mark.parametrize(
    ("six_calls", "features"), [(True, "YES"), (False, "NO"), proof(True, "NO"), proof(False, "YES")]
)
async def test_four_and_six_hear_each_other(
    site: Everywhere, tone: Tone, tmp_path: Path, six_calls: bool, features: str
) -> None:
    """On the B2BUA way, and on the proxy way, where the media are relayed because the families differ."""
    for name in ("alice", "bob"):
        await site.tandem("setting", "set", name, "CallFeatures", features)
    bob = await site.phone("bob", await site.password("bob"))
    alice = Baresip("alice", tmp_path / "alice", tone(440))
    async with alice, bob:
        await alice.start(site, await site.password("alice"), six=True)
        await talk(alice, bob, tone, tmp_path, alice_calls=six_calls)
        (record,) = await site.calls()
    assert (record["outcome"], record["state"]) == ("answered", "ended")
    assert f"way={'b2bua' if features == 'YES' else 'proxy'}" in site.log()


@pytest.mark.proof
async def test_six_reaches_the_programs(site: Everywhere, tone: Tone, tmp_path: Path) -> None:
    """The echo; a caller of the attendant who types an extension; voicemail, and its lamp over IPv6."""
    bob = await site.phone("bob", await site.password("bob"))
    alice = Baresip("alice", tmp_path / "alice", tone(440))
    async with alice, bob:
        await alice.start(site, await site.password("alice"), six=True, transport="tcp")
        await alice.call("600")
        await alice.connected()
        await alice.listen(1.5)
        await alice.hang_up()
        await alice.ended()
        assert alice.seconds_heard(440) > 1.0
        seen = len(alice.news.events)
        await alice.call("200")
        await alice.news.wait("CALL_ESTABLISHED", since=seen)
        await alice.listen(0.3)
        await alice.press("202")
        ringing = await bob.wait_incoming()
        await bob.hangup(ringing, status=486)  # on to bob's voicemail
        seen = len(alice.news.events)
        await alice.listen(3.0)
        await alice.hang_up()
        await alice.news.wait("CALL_CLOSED", since=seen)
        await bob.close()

        await alice.call("*201")  # into her own voicemail
        await alice.news.wait("CALL_ESTABLISHED", since=seen)
        await alice.listen(0.5)
        await alice.press("#")
        await alice.listen(3.0)
        await alice.hang_up()
        lit = await alice.news.wait("MWI_NOTIFY", where=lambda event: "Messages-Waiting: yes" in event["param"])
    assert "Voice-Message: 1/0" in lit["param"]
