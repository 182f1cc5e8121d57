"""A group watched as a whole (RFC 4662)."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import Message

from pbx.presence import xml
from pbx.sipcore.message import Request
from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import Exchange, play
from tests.pbx.presence.watching import RLMI, line, subscribe
from tests.simulation.virtual import simulate

LISTS = ("Supported", "eventlist")


def parts(notify: Request) -> list[Message]:
    kind = notify.get("Content-Type") or ""
    assert kind.startswith('multipart/related;type="application/rlmi+xml"')
    whole = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + notify.body)
    found = whole.get_payload()
    assert isinstance(found, list)
    assert next(part.get("Content-ID") for part in found) == re.search('start="([^"]*)"', kind)[1]  # type: ignore[index]
    return [part for part in found if isinstance(part, Message)]


def shown(notify: Request) -> tuple[str, str, dict[str, str]]:
    """(version, fullState, resource → state of its instance); each cid names a part."""
    first, *others = parts(notify)
    root = xml.read(first.get_payload(decode=True))  # type: ignore[arg-type]
    named = {str(part.get("Content-ID")).strip("<>") for part in others}
    found = {}
    for resource in root.iter(f"{RLMI}resource"):
        instance = resource.find(f"{RLMI}instance")
        assert instance is not None
        assert instance.get("state") != "active" or instance.get("cid") in named
        found[resource.get("uri", "")] = instance.get("reason") or instance.get("state", "")
    return root.get("version", ""), root.get("fullState", ""), found


def test_a_group_is_one_subscription_and_changes_come_alone() -> None:
    async def scene(house: Exchange) -> None:
        await house.directory.create_group(DOMAIN, "sales", ["alice", "bob", "pbx", "x@elsewhere.example"])
        await house.directory.set_setting(house.account_id("pbx"), "WatchedBy", "nobody")
        phone = house.phone("alice")
        _, response = await subscribe(phone, "dialog", "sales", LISTS)
        assert (response.status, response.get("Require")) == (200, "eventlist")
        first = await phone.next_request(1)
        assert first.get("Require") == "eventlist"
        assert shown(first) == ("0", "true", {
            f"sip:alice@{DOMAIN}": "active", f"sip:bob@{DOMAIN}": "active", f"sip:pbx@{DOMAIN}": "rejected",
            "sip:x@elsewhere.example": "noresource",
        })  # fmt: skip
        house.events.lines.update("c1", [line(house, "bob", "early")])
        assert shown(await phone.next_request(2)) == ("1", "false", {f"sip:bob@{DOMAIN}": "active"})
        other = house.phone("bob")
        _, refused = await subscribe(other, "presence", "sales")
        assert (refused.status, refused.get("Require")) == (421, "eventlist")
        await subscribe(other, "presence", "sales", LISTS)
        assert [part.get_content_type() for part in parts(await other.next_request(1))] == [
            "application/rlmi+xml", "application/pidf+xml", "application/pidf+xml",
        ]  # fmt: skip

    simulate(play(scene))
