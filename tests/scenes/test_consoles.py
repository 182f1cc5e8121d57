"""Scene: consoles of another make (SIPp) watch a line; each sees the call of a real telephone come and go."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.scenes.site import DOMAIN, Site
from tests.scenes.test_sipp import Sipp, proof, request

pytestmark = [pytest.mark.scene, pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed")]

CONSOLES = 50
ANSWER = """<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:bob@[local_ip]:[local_port]>
Content-Length: 0

]]></send>"""


def notified(*wanted: str) -> str:
    """A NOTIFY whose body holds all of these; SIPp fails the run when one is missing."""
    checks = "".join(f'<ereg regexp="{text}" search_in="msg" check_it="true" assign_to="seen"/>' for text in wanted)
    return f'<recv request="NOTIFY"><action>{checks}<log message="[$seen]"/></action></recv>\n{ANSWER}'


def watch(user: str, password: str, target: str) -> str:
    uri = f"sip:{target}@{DOMAIN}"
    rest = "Event: dialog\nAccept: application/dialog-info+xml\nExpires: 600\nContent-Length: 0\n"
    return "\n".join(
        (
            request(user, "SUBSCRIBE", uri, f"<{uri}>", 1, rest),
            '<recv response="401" auth="true"/>',
            request(user, "SUBSCRIBE", uri, f"<{uri}>", 2, proof(user, password) + rest),
            '<recv response="200"/>',
            notified("version=.0. state=.full.", "Subscription-State: active"),
            notified("version=.1. state=.partial.", ".state.(trying|early|confirmed)./state."),
            notified("version=.2. state=.partial.", ".state."),
        )
    )


async def test_fifty_consoles_watch_a_line(site: Site, tmp_path: Path) -> None:
    sipp, password = Sipp(site, tmp_path), await site.password("bob")
    alice = await site.phone("alice", await site.password("alice"))
    async with alice:
        consoles = await sipp.start(watch("bob", password, "alice"), "-r", "50", calls=CONSOLES)
        async with asyncio.timeout(20):
            while (await site.listing("status")).get("pbx.presence.subscriptions", 0) < CONSOLES:
                await asyncio.sleep(0.1)
        call = await alice.call(f"sip:600@{DOMAIN}")
        await alice.wait_state("confirmed", call)
        await alice.listen(2.0, call)
        await alice.hangup(call)
        await sipp.finish(consoles)
    assert not (await site.listing("status")).get("pbx.transport.faults")
