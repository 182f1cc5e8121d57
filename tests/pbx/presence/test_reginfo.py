"""The registrations of an account, told to its own phones (RFC 3680)."""

from __future__ import annotations

from pbx.presence import xml
from pbx.sipcore.message import Request
from tests.pbx.exchange import Exchange, play
from tests.pbx.presence.watching import REG, subscribe, version
from tests.simulation.virtual import simulate


def contacts(notify: Request) -> list[tuple[str, str, str]]:
    """(state, event, uri) of each contact."""
    found = []
    for contact in xml.read(notify.body).iter(f"{REG}contact"):
        uri = contact.find(f"{REG}uri")
        assert uri is not None
        found.append((contact.get("state", ""), contact.get("event", ""), uri.text or ""))
    return found


def registration(notify: Request) -> str:
    found = xml.read(notify.body).find(f"{REG}registration")
    assert found is not None
    return found.get("state", "")


def test_contacts_come_and_go() -> None:
    async def scene(house: Exchange) -> None:
        watcher, phone = house.phone("alice"), house.phone("alice")
        uri = f"sip:alice@{phone.local[0]}:5060"
        await subscribe(watcher, "reg", "alice")
        first = await watcher.next_request(1)
        assert (version(first), registration(first), contacts(first)) == ((0, "full"), "init", [])
        await phone.register(("Expires", "100"))
        created = await watcher.next_request(6)
        assert (version(created), registration(created)) == ((1, "partial"), "active")
        assert contacts(created) == [("active", "created", uri)]
        await phone.register(("Expires", "0"))
        gone = await watcher.next_request(6)
        assert (registration(gone), contacts(gone)) == ("terminated", [("terminated", "unregistered", uri)])
        await phone.register(("Expires", "60"))
        assert contacts(await watcher.next_request(6)) == [("active", "created", uri)]
        assert contacts(await watcher.next_request(70)) == [("terminated", "expired", uri)]

    simulate(play(scene))
