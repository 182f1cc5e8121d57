"""What the tests of event packages share: subscribing, and reading the documents."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from pbx.presence import xml
from pbx.presence.lines import Line, LineState
from pbx.sipcore.message import Request, Response
from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import Exchange, Phone

DIALOG = "{urn:ietf:params:xml:ns:dialog-info}"
PIDF = "{urn:ietf:params:xml:ns:pidf}"
REG = "{urn:ietf:params:xml:ns:reginfo}"
RLMI = "{urn:ietf:params:xml:ns:rlmi}"


async def subscribe(phone: Phone, event: str, target: str, *headers: tuple[str, str]) -> tuple[Request, Response]:
    request = phone.request("SUBSCRIBE", f"sip:{target}@{DOMAIN}", ("Event", event), *headers)
    return request, await phone.prove(request)


def again(phone: Phone, request: Request, response: Response, event: str, *headers: tuple[str, str]) -> Request:
    """A refresh in the dialog."""
    refresh = phone.request("SUBSCRIBE", f"sip:{DOMAIN}", ("Event", event), *headers)
    refresh.set("From", request.get("From") or "")
    refresh.set("To", response.get("To") or "")
    return refresh


def state(notify: Request) -> str:
    return (notify.get("Subscription-State") or "").partition(";expires")[0]


def calls(notify: Request) -> list[tuple[str, str, str]]:
    """(direction, state, event) of each dialog."""
    found = []
    for dialog in xml.read(notify.body).findall(f"{DIALOG}dialog"):
        made = dialog.find(f"{DIALOG}state")
        assert made is not None
        found.append((dialog.get("direction", ""), made.text or "", made.get("event", "")))
    return found


def version(notify: Request) -> tuple[int, str]:
    root = xml.read(notify.body)
    return int(root.get("version", "-1")), root.get("state", "")


def basic(root: Element) -> list[str]:
    return [found.text or "" for found in root.iter(f"{PIDF}basic")]


def line(house: Exchange, name: str, made: LineState, call: str = "c1", *, peer: str = "sip:carol@x") -> Line:
    return Line(f"{call}-{name}", house.account_id(name), "recipient", made, peer, "Carol", "call-1")
