"""Scenes: somebody has alice's password. And: somebody guesses it."""

from __future__ import annotations

import asyncio

import pytest

from tests.scenes.peer import Peer, peer
from tests.scenes.site import DOMAIN, Site

pytestmark = pytest.mark.scene


async def dial(thief: Peer, number: str, password: str) -> int:
    """A call of alice's to a number outside; its final status."""
    uri = f"sip:{number}@192.0.2.1"
    asked = await thief.ask(thief.text("INVITE", uri))
    assert asked.status == 407
    asked.set("WWW-Authenticate", asked.get("Proxy-Authenticate") or "")
    proof = thief.proof("INVITE", uri, asked, "alice", password).replace("Authorization", "Proxy-Authorization", 1)
    return (await thief.ask(thief.text("INVITE", uri, proof))).status


async def test_a_thief_is_locked_out_and_the_postmaster_reads_of_it(site: Site) -> None:
    alice, postmaster = await site.password("alice"), await site.password("postmaster")
    await site.tandem("setting", "set", "@", "CallOutDenied", "900*,+900*")
    await site.tandem("setting", "set", "alice", "CallOutLockAfter", "2,10m")
    async with peer(site) as thief:
        for number in ("9001", "+900-2", "9003"):
            assert await dial(thief, number, alice) == 403
        assert (await site.listing("account", "show", "alice"))["locked"] is True
        assert await dial(thief, "4930123", alice) == 403
    with site.imap("postmaster", postmaster) as mailbox:
        async with asyncio.timeout(10):
            while int((mailbox.select("INBOX")[1][0] or b"0").decode()) < 1:
                await asyncio.sleep(0.1)
        _, found = mailbox.fetch("1", "(RFC822)")
        letter = found[0][1].decode() if isinstance(found[0], tuple) else ""
        assert f"Subject: Calls out of alice@{DOMAIN} are locked" in letter
        assert "9003@192.0.2.1" in letter
        assert mailbox.select("INBOX")[1] == [b"1"], "one lock, one mail"
    assert site.log().count(f"toll-fraud proto=sip src={site.host}:") == 1
    assert "may call out again" in await site.tandem("account", "unlock", "alice")
    assert (await site.listing("account", "show", "alice"))["locked"] is False
    assert "not locked" in await site.tandem("account", "unlock", "alice", expect=1)


async def test_a_guesser_is_shut_out_until_he_is_let_in(site: Site) -> None:
    await site.tandem("network", "set", "BlockAfter", "2,10m")
    async with peer(site) as guesser:
        for _ in range(3):
            request = guesser.text("REGISTER", f"sip:{DOMAIN}")
            asked = await guesser.ask(request)
            proof = guesser.proof("REGISTER", f"sip:{DOMAIN}", asked, "alice", "guess")
            assert (await guesser.ask(guesser.text("REGISTER", f"sip:{DOMAIN}", proof))).status == 403
        [block] = await site.listing("network", "blocked")
        assert (block["source"], block["failures"]) == (site.host, 3)
        with pytest.raises(TimeoutError):
            await guesser.ask(guesser.text("OPTIONS", f"sip:{DOMAIN}"), seconds=1)
        assert (await site.listing("network", "blocked"))[0]["dropped"] == 1
        await site.tandem("network", "unblock", site.host)
        assert (await guesser.ask(guesser.text("OPTIONS", f"sip:{DOMAIN}"))).status == 200
    assert site.log().count("source blocked") == 1
