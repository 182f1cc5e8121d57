"""The registrations of an account, told to its own phones (RFC 3680)."""

from __future__ import annotations

from directory.model import AccountRoute
from pbx.presence import xml
from pbx.sipcore.message import Request
from pbx.sipcore.uri import Uri
from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import Exchange, Phone, play
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


def test_a_telephone_is_told_with_its_gruus() -> None:
    """RFC 5628: the public one, and a temporary one that leads there; both are gone with the contact."""

    async def scene(house: Exchange) -> None:
        watcher, phone = house.phone("alice"), house.phone("alice")
        await subscribe(watcher, "reg", "alice")
        await watcher.next_request(1)
        contact = ("Contact", f'<sip:alice@{phone.local[0]}>;+sip.instance="<urn:uuid:1>"')
        await phone.register(contact)
        first = phone.cseq
        found = await gruus(watcher)
        assert found["pub-gruu"] == {"uri": f"sip:alice@{DOMAIN};gr=urn:uuid:1"}
        assert found["temp-gruu"]["first-cseq"] == str(first)
        route = house.registrar.one_phone(Uri.parse(found["temp-gruu"]["uri"]))
        assert isinstance(route, AccountRoute)
        assert route.instance == "<urn:uuid:1>"
        await house.crash()
        again = await gruus(watcher)
        assert again["temp-gruu"]["first-cseq"] == str(first)
        await phone.register(contact, ("Expires", "0"))
        assert await gruus(watcher) == {}

    simulate(play(scene))


async def gruus(watcher: Phone) -> dict[str, dict[str, str]]:
    """Of the next document: what it says of the GRUUs of its contacts."""
    root = xml.read((await watcher.next_request(6)).body)
    return {
        element.tag.rpartition("}")[2]: dict(element.attrib)
        for element in root.iter()
        if element.tag.startswith("{urn:ietf:params:xml:ns:gruuinfo}")
    }


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
