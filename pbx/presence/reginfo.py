"""The package reg: the contacts that are registered for an account, told to that account only.

RFC 3680 §4 (the package), §4.10 (rate), §5 (reginfo; full and partial, versions); RFC 5628 (GRUUs of a contact).
"""

from __future__ import annotations

from collections.abc import Collection
from xml.etree.ElementTree import Element
from zlib import crc32

from base.clock import Clock
from directory.model import Account, AccountRoute, Caller, Resolution
from pbx.presence import xml
from pbx.presence.documents import Document, News
from pbx.presence.notifier import own
from pbx.registrar.bindings import Binding, Bindings
from pbx.registrar.gruu import Gruus

NAMESPACE = "urn:ietf:params:xml:ns:reginfo"
GRUU = "urn:ietf:params:xml:ns:gruuinfo"


class RegistrationPackage:
    """Implements `Package`."""

    event = "reg"
    content_type = "application/reginfo+xml"
    gap = 5.0  # RFC 3680 §4.10: no more often than once in five seconds
    lists = False

    def __init__(self, clock: Clock, bindings: Bindings, gruus: Gruus | None = None) -> None:
        self._clock = clock
        self._bindings = bindings
        self._gruus = gruus

    def attach(self, news: News) -> None:
        self._bindings.watch(lambda account_id: news.changed(self.event, account_id))

    def whose(self, caller: Caller, resolution: Resolution) -> Account | None:
        return resolution.route.account if isinstance(resolution.route, AccountRoute) else None

    def permits(self, caller: Caller, account: Account) -> bool:
        return own(caller, account)

    def open(self, caller: Caller, account: Account, version: int = 0) -> RegistrationView:
        return RegistrationView(self._clock, self._bindings, self._gruus, account, version)

    async def close(self) -> None: ...


class RegistrationView:
    """What one subscriber knows of the contacts. Implements `View`."""

    def __init__(self, clock: Clock, bindings: Bindings, gruus: Gruus | None, account: Account, version: int) -> None:
        self._clock = clock
        self._bindings = bindings
        self._gruus = gruus
        self._account = account
        self._version = version
        self._shown: dict[str, Binding] = {}

    @property
    def accounts(self) -> Collection[int]:
        return (self._account.id,)

    def prepare(self) -> None: ...

    def full(self) -> Document | None:
        self._shown = self._now()
        events = dict.fromkeys(self._shown, "registered")
        return self._document(self._shown, events, "full")

    def news(self) -> Document | None:
        before, now = self._shown, self._now()
        events = {key: _change(before.get(key), binding) for key, binding in now.items()}
        events = {key: event for key, event in events.items() if event}
        told = {key: now[key] for key in events}
        for key, binding in before.items():
            if key not in now:
                told[key] = binding
                events[key] = "expired" if binding.expires_at <= self._clock.wall() else "unregistered"
        self._shown = now
        return self._document(told, events, "partial") if told else None

    def _now(self) -> dict[str, Binding]:
        return {binding.key: binding for binding in self._bindings.contacts(self._account.id)}

    def _document(self, bindings: dict[str, Binding], events: dict[str, str], state: str) -> Document:
        spaces = {"xmlns": NAMESPACE, "xmlns:gr": GRUU}
        root = Element("reginfo", {**spaces, "version": str(self._version), "state": state})
        self._version += 1
        aor = f"sip:{self._account.address}"
        active = "active" if self._shown else "terminated" if bindings else "init"
        registration = xml.child(root, "registration", aor=aor, id=str(self._account.id), state=active)
        for key, binding in bindings.items():
            self._contact(registration, binding, events[key])
        return Document(RegistrationPackage.content_type, xml.write(root))

    def _contact(self, registration: Element, binding: Binding, event: str) -> None:
        gone = event in ("expired", "unregistered")
        contact = xml.child(
            registration, "contact", id=_id(binding), state="terminated" if gone else "active", event=event
        )
        now = self._clock.wall()
        contact.set("duration-registered", str(max(0, round(now - binding.registered_at))))
        if not gone:
            contact.set("expires", str(max(0, round(binding.expires_at - now))))
        contact.set("q", f"{binding.q:g}")
        contact.set("callid", xml.clean(binding.call_id))
        contact.set("cseq", str(binding.cseq))
        xml.child(contact, "uri", binding.contact)
        if not gone:
            self._add_gruus(contact, binding)

    def _add_gruus(self, contact: Element, binding: Binding) -> None:
        """RFC 5628 §5.2: the temporary ones of this Call-ID hold since its `first-cseq`."""
        found = None if self._gruus is None else self._gruus.of(self._account, binding)
        if found is not None:
            public, temporary = found
            xml.child(contact, "gr:pub-gruu", uri=str(public))
            xml.child(contact, "gr:temp-gruu", uri=str(temporary)).set("first-cseq", str(binding.first_cseq))


def _change(before: Binding | None, now: Binding) -> str:
    """The event of RFC 3680 §5 for a contact that is there; empty when it has nothing to tell."""
    if before is None or before.registered_at != now.registered_at:
        return "created"
    return "refreshed" if (before.contact, before.flow) != (now.contact, now.flow) else ""


def _id(binding: Binding) -> str:
    """An id for one contact, the same in all documents; the key itself tells where a phone is behind its NAT."""
    return f"{crc32(binding.key.encode()):08x}"
