"""A dialog: what two user agents must remember to go on talking.

It makes requests and judges those of the peer; it sends nothing and knows no session.

RFC 3261 §12 (dialogs), §13.2.2.4 (route set of the 2xx), §16.12 (loose and strict routes), RFC 3891 (dialog ids).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.headers import CSeq
from pbx.sipcore.message import Message, Request, Response
from pbx.sipcore.uri import NameAddress, Uri

DialogId = tuple[str, str, str]
"""Call-ID, local tag, remote tag."""

_RENAMING = ("INVITE", "UPDATE")
"""Methods whose From may be another one than before (RFC 4916 §4)."""
_REFRESHING = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})
"""Methods whose Contact is a new remote target (RFC 3261 §12.2, RFC 3311, RFC 6665 §4.4.1)."""


def id_of_request(request: Request) -> DialogId:
    """The id of the dialog that a request from the peer claims to be in."""
    return request.call_id, request.to_tag, request.from_tag


def id_of_response(response: Response) -> DialogId:
    """The id of the dialog that a response to a request of ours is in."""
    return response.call_id, response.from_tag, response.to_tag


@dataclass(slots=True, eq=False)
class Dialog:
    """One side of a dialog, early while `confirmed` is False. Route set and target are texts, as they were sent."""

    call_id: str
    local_tag: str
    remote_tag: str
    local: NameAddress
    """Our address without tag, as it stands in From of our requests."""
    remote: NameAddress
    remote_target: str
    route_set: tuple[str, ...] = ()
    local_cseq: int = 0
    remote_cseq: int | None = None
    contact: str | None = None
    """Our Contact value (`<sip:…>`), put on requests that refresh the target."""
    confirmed: bool = False
    is_caller: bool = field(default=True)

    @classmethod
    def uac(cls, request: Request, response: Response) -> Dialog:
        """The caller's side, from our request and a response with a To-tag (RFC 3261 §12.1.2)."""
        return cls(
            call_id=request.call_id,
            local_tag=request.from_tag,
            remote_tag=response.to_tag,
            local=request.from_.with_tag(None),
            remote=response.to.with_tag(None),
            remote_target=_target(response) or request.uri,
            route_set=tuple(reversed(response.get_all("Record-Route"))),
            local_cseq=request.cseq.number,
            contact=request.get("Contact"),
            confirmed=response.is_success,
        )

    @classmethod
    def uas(cls, request: Request, local_tag: str, contact: str | None = None) -> Dialog:
        """The called side, from a request that passed `screen` (RFC 3261 §12.1.1)."""
        return cls(
            call_id=request.call_id,
            local_tag=local_tag,
            remote_tag=request.from_tag,
            local=request.to.with_tag(None),
            remote=request.from_.with_tag(None),
            remote_target=_target(request) or request.from_.text,
            route_set=tuple(request.get_all("Record-Route")),
            remote_cseq=request.cseq.number,
            contact=contact,
            is_caller=False,
        )

    @property
    def id(self) -> DialogId:
        return self.call_id, self.local_tag, self.remote_tag

    @property
    def local_uri(self) -> Uri:
        return self.local.uri

    @property
    def remote_uri(self) -> Uri:
        return self.remote.uri

    def new_request(self, method: str) -> Request:
        """A request in this dialog without Via; its CSeq is the next one (RFC 3261 §12.2.1.1)."""
        self.local_cseq += 1
        return self._request(method, self.local_cseq)

    def renumber(self, request: Request) -> None:
        """Give a request that is sent again the next CSeq (RFC 3261 §22.1)."""
        self.local_cseq += 1
        request.set("CSeq", str(CSeq(self.local_cseq, request.method)))

    def ack(self, invite_cseq: int | None = None) -> Request:
        """The ACK of a 2xx: the CSeq number of its INVITE, by default our last request's (RFC 3261 §13.2.2.4)."""
        return self._request("ACK", self.local_cseq if invite_cseq is None else invite_cseq)

    def accepts(self, request: Request) -> bool:
        """Judge a request of the peer: False when it is out of order and wants a 500 (RFC 3261 §12.2.2).

        What is accepted moves the peer's CSeq on and, where the method says so, the remote target and his address.
        """
        if request.method in ("ACK", "CANCEL"):
            return True
        number = request.cseq.number
        if self.remote_cseq is not None and number <= self.remote_cseq:
            return False
        self.remote_cseq = number
        self._retarget(request)
        self._rename(request)
        return True

    def matches(self, request: Request) -> bool:
        """Whether a request of the peer is in this dialog (RFC 3261 §12.2.2)."""
        return id_of_request(request) == self.id

    def take(self, response: Response) -> None:
        """A response to a request of ours: a 2xx refreshes the target, and confirms the dialog (RFC 3261 §12.2.1.2).

        The 2xx that confirms an early dialog also fixes the route set anew (§13.2.2.4).
        """
        if response.is_success:
            if not self.confirmed and self.is_caller:
                self.route_set = tuple(reversed(response.get_all("Record-Route")))
            self.confirmed = True
            self._retarget(response)

    def confirm(self) -> None:
        """The called side has sent its 2xx."""
        self.confirmed = True

    def _rename(self, request: Request) -> None:
        """RFC 4916 §4.4.2: what the peer calls himself is whom our requests are for."""
        if request.method in _RENAMING:
            self.remote = request.from_.with_tag(None)

    def _retarget(self, message: Request | Response) -> None:
        if message.method in _REFRESHING:
            self.remote_target = _target(message) or self.remote_target

    def _request(self, method: str, number: int) -> Request:
        target, routes = _route(self.remote_target, self.route_set)
        request = Request(method, target)
        for route in routes:
            request.add("Route", route)
        request.add("Max-Forwards", "70")
        request.add("From", str(self.local.with_tag(self.local_tag or None)))
        request.add("To", str(self.remote.with_tag(self.remote_tag or None)))
        request.add("Call-ID", self.call_id)
        request.add("CSeq", str(CSeq(number, method)))
        if self.contact and method in _REFRESHING:
            request.add("Contact", self.contact)
        return request


def next_hop(request: Request) -> Uri:
    """Where a request goes: its first Route, else its Request-URI (RFC 3261 §8.1.2, §16.6 step 6).

    A strict router is already in the Request-URI and its Route is not looked at. Raises SipSyntaxError.
    """
    routes = request.get_all("Route")
    if routes:
        first = NameAddress.parse(routes[0]).uri
        if first.loose:
            return first
    return Uri.parse(request.uri)


def _route(target: str, route_set: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Request-URI and Route values (RFC 3261 §12.2.1.1)."""
    if not route_set:
        return target, ()
    try:
        first = NameAddress.parse(route_set[0])
    except SipSyntaxError:
        return target, ()  # not routable at all: the target is the best that is left
    if first.uri.loose:
        return target, route_set
    return str(first.uri.replace(headers={})), (*route_set[1:], f"<{target}>")


def _target(message: Message) -> str | None:
    try:
        contacts = message.contacts
    except SipSyntaxError:
        return None
    return contacts[0].text if contacts and contacts[0].uri.is_sip else None
