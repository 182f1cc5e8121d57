"""Presence documents: read from a PUBLISH, and written for watchers.

Of what is published, tuples, notes and activities are kept; other extensions are dropped.

RFC 3863 §4 (PIDF), RFC 4479 (person), RFC 4480 §3.2 (activities).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from pbx.presence import xml

CONTENT_TYPE = "application/pidf+xml"
PIDF = "urn:ietf:params:xml:ns:pidf"
MODEL = "urn:ietf:params:xml:ns:pidf:data-model"
RPID = "urn:ietf:params:xml:ns:pidf:rpid"

TUPLES, NOTES, LETTERS = 10, 5, 256
"""Limit: tuples, notes and the letters of each that are kept of one publication."""

_ACTIVITY = re.compile(r"[a-z-]{1,32}")


@dataclass(frozen=True, slots=True)
class Tuple:
    """One way to reach somebody. `basic` is "open", "closed" or not said."""

    id: str
    basic: str = ""
    contact: str = ""
    priority: str = ""
    notes: tuple[str, ...] = ()
    timestamp: str = ""


@dataclass(frozen=True, slots=True)
class Presence:
    """What one source says of somebody."""

    tuples: tuple[Tuple, ...] = ()
    notes: tuple[str, ...] = ()
    activities: tuple[str, ...] = ()


def read(body: bytes) -> Presence:
    """Raises XmlRefused when it is not a PIDF document."""
    root = xml.read(body)
    if root.tag != f"{{{PIDF}}}presence":
        raise xml.XmlRefused("not a presence document")
    persons = root.findall(f"{{{MODEL}}}person")
    # Interop: some write activities directly under presence, or in a tuple
    activities = [item.tag for block in root.iter(f"{{{RPID}}}activities") for item in block]
    return Presence(
        tuple(_tuple(element) for element in root.findall(f"{{{PIDF}}}tuple")[:TUPLES]),
        _notes([root, *persons]),
        tuple(dict.fromkeys(name for name in map(_activity, activities) if name))[:NOTES],
    )


def _tuple(element: Element) -> Tuple:
    basic = _text(element.find(f"{{{PIDF}}}status/{{{PIDF}}}basic")).lower()
    contact = element.find(f"{{{PIDF}}}contact")
    return Tuple(
        element.get("id", "")[:64],
        basic if basic in ("open", "closed") else "",
        _text(contact),
        "" if contact is None else contact.get("priority", "")[:5],
        _notes([element]),
        _text(element.find(f"{{{PIDF}}}timestamp"))[:40],
    )


def _notes(elements: Iterable[Element]) -> tuple[str, ...]:
    found = (_text(item) for element in elements for item in element if item.tag in _NOTES)
    return tuple(text for text in found if text)[:NOTES]


_NOTES = frozenset(f"{{{namespace}}}note" for namespace in (PIDF, MODEL, RPID))


def _text(element: Element | None) -> str:
    return "" if element is None or element.text is None else element.text.strip()[:LETTERS]


def _activity(tag: str) -> str:
    namespace, _, name = tag[1:].partition("}")
    return name if namespace == RPID and name != "note" and _ACTIVITY.fullmatch(name) else ""


def write(entity: str, presence: Presence) -> bytes:
    """The document of an account."""
    root = Element(
        "presence", {"xmlns": PIDF, "xmlns:dm": MODEL, "xmlns:rpid": RPID, "entity": xml.clean(entity)}
    )  # the order of children is that of the schema: tuples, notes, extensions
    for number, one in enumerate(presence.tuples):
        _write_tuple(root, one, number)
    for note in presence.notes:
        xml.child(root, "note", note)
    if presence.activities:
        person = xml.child(root, "dm:person", id="person")
        activities = xml.child(person, "rpid:activities")
        for activity in presence.activities:
            xml.child(activities, f"rpid:{activity}")
    return xml.write(root)


def _write_tuple(root: Element, one: Tuple, number: int) -> None:
    # ids are unique within a document, and come from several publications (RFC 3863 §4.1.2)
    made = xml.child(root, "tuple", id=f"t{number}-{one.id}" if number else one.id or "t0")
    status = xml.child(made, "status")
    if one.basic:
        xml.child(status, "basic", one.basic)
    if one.contact:
        contact = xml.child(made, "contact", one.contact)
        if one.priority:
            contact.set("priority", xml.clean(one.priority))
    for note in one.notes:
        xml.child(made, "note", note)
    if one.timestamp:
        xml.child(made, "timestamp", one.timestamp)


def joined(sources: Sequence[Presence]) -> Presence:
    """Several publications as one (RFC 3903 leaves the composition to us): each keeps its tuples."""
    return Presence(
        tuple(one for source in sources for one in source.tuples),
        tuple(dict.fromkeys(note for source in sources for note in source.notes)),
        tuple(dict.fromkeys(activity for source in sources for activity in source.activities)),
    )
