"""A callee's leg: the INVITE that we send to a phone or to an address elsewhere, and its session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pbx.b2bua.bodies import read_description
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.leg import Leg, LegOwner
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.sdp import CONTENT_TYPE, SessionDescription
from pbx.sipcore.session import ALLOW, Session
from pbx.sipcore.session_uac import OutgoingInvite
from pbx.sipcore.uri import NameAddress
from pbx.workarounds.kinds import Workaround


@dataclass(frozen=True, slots=True)
class Invitation:
    """What an INVITE of ours says. `from_` and `to` are header values without tags."""

    uri: str
    from_: str
    to: str
    routes: tuple[str, ...] = ()
    hops: int = 70
    call_id: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    account: int | None = None  # whose phone it is
    agent: str = ""  # which phone it is, as it has said when it registered


class OutgoingOwner(LegOwner, Protocol):
    """Who waits for the answer."""

    def leg_progress(self, leg: OutgoingLeg, response: Response) -> None: ...

    def leg_answered(self, leg: OutgoingLeg, response: Response) -> None:
        """A 2xx; `theirs` is its description. Call `acknowledge` or `discard`."""

    def leg_failed(self, leg: OutgoingLeg, status: int, response: Response | None) -> None: ...


class OutgoingLeg(Leg):
    """`open` it, set what to offer, then `send`."""

    def __init__(self, exchange: Exchange, flow: Flow, invitation: Invitation, owner: OutgoingOwner) -> None:
        tag = exchange.entropy.token(8)
        call_id = invitation.call_id or exchange.entropy.token(16)
        security = exchange.security_of(invitation.account)
        super().__init__(exchange, (call_id, tag), flow, owner, security, invitation.agent)
        self._waiting: OutgoingOwner | None = owner
        self._invitation = invitation
        self._invite: OutgoingInvite | None = None
        exchange.register(self)

    @property
    def invitation(self) -> Invitation:
        return self._invitation

    @property
    def remote_uri(self) -> str:
        return self._invitation.to

    def send(self, offer: SessionDescription | None) -> None:
        done = self.workarounds
        number = NameAddress.parse(self._invitation.from_).uri.user if Workaround.CONTACT_NUMBER in done else ""
        secure = self._invitation.uri[:5].lower() == "sips:"
        contact = self.exchange.contact(self.flow, number, secure=secure)
        request = self._request(contact)
        if offer is not None:
            request.set_body(offer.encode(), CONTENT_TYPE)
        exchange = self.exchange
        timers = exchange.session_timers(done)
        self._invite = OutgoingInvite(exchange.clock, exchange.stack, request, self.flow, contact, self, timers)
        self._invite.start()

    def _request(self, contact: str) -> Request:
        said = self._invitation
        request = Request("INVITE", said.uri)
        for route in said.routes:
            request.add("Route", route)
        request.add("Max-Forwards", str(said.hops))
        request.add("From", f"{said.from_};tag={self.key[1]}")
        request.add("To", said.to)
        request.add("Call-ID", self.call_id)
        request.add("CSeq", "1 INVITE")
        request.add("Contact", contact)
        request.add("Allow", ALLOW)
        request.add("User-Agent", self.exchange.settings.agent)
        for name, value in said.headers if Workaround.FEW_HEADERS not in self.workarounds else ():
            request.add(name, value)
        return request

    def find_session(self, remote_tag: str) -> Session | None:
        sessions = [] if self._invite is None else self._invite.sessions
        return next((each for each in sessions if each.dialog.remote_tag == remote_tag), None)

    def acknowledge(self, description: SessionDescription | None = None) -> None:
        """ACK the 2xx; with our answer when it carried an offer."""
        if self.session is not None and self._invite is not None:
            body = b"" if description is None else description.encode()
            self.session.acknowledge(self._invite.number, body, CONTENT_TYPE)

    def cancel(self, reason: str | None) -> None:
        """Stop ringing; the final answer is still reported."""
        if self._invite is not None:
            self._invite.cancel(reason)

    def discard(self) -> None:
        """It was answered too late."""
        self.acknowledge()
        self.hang_up()

    def stray_response(self, response: Response) -> None:
        """A response that came when its transaction had gone."""
        if self._invite is not None and response.is_success:
            self._invite.on_response(response)

    def hang_up(self, status: int = 0, reason: str = "") -> None:
        if self.ended:
            return
        self._waiting = None
        self.finish()
        if self.session is not None:
            self.session.bye(f"SIP;cause={status}" if status else None)
        else:
            self.cancel(None)

    # --- told by the INVITE

    def invite_progress(self, invite: OutgoingInvite, response: Response) -> None:
        if self._waiting is not None:
            self._waiting.leg_progress(self, response)

    def invite_answered(self, invite: OutgoingInvite, session: Session, response: Response) -> None:
        self.session = session
        self.user_agent = response.get("User-Agent") or response.get("Server") or self.user_agent
        if (waiting := self._waiting) is None:
            self.acknowledge()
            session.bye()
            return
        self._waiting = None
        try:
            self.theirs = read_description(response) or self.theirs
        except SipSyntaxError:
            self.theirs = None
        waiting.leg_answered(self, response)

    def invite_failed(self, invite: OutgoingInvite, status: int, response: Response | None) -> None:
        waiting, self._waiting = self._waiting, None
        self.finish()
        if waiting is not None:
            waiting.leg_failed(self, status, response)
