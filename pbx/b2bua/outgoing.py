"""A callee's leg: the INVITE that we send to a phone or to an address elsewhere, and its session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from directory.model import Caller
from pbx.b2bua.asserted import NOBODY, replied
from pbx.b2bua.bodies import read_description
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.leg import Leg, LegOwner
from pbx.sipcore.failures import NotAcceptable, SipSyntaxError
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.proving import Prover
from pbx.sipcore.reliable import EXTENSION, is_reliable
from pbx.sipcore.sdp import CONTENT_TYPE, SessionDescription
from pbx.sipcore.session import Session
from pbx.sipcore.session_ports import ALLOW, SUPPORTED
from pbx.sipcore.session_uac import OutgoingInvite
from pbx.sipcore.uri import NameAddress, wants_tls
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
    person: Caller = NOBODY  # who is called
    agent: str = ""  # which phone it is, as it has said when it registered
    reliable: bool = False  # offer 100rel: who calls can make use of it
    prover: Prover | None = None  # answers challenges, where we have a login


class OutgoingOwner(LegOwner, Protocol):
    """Who waits for the answer."""

    def leg_progress(self, leg: OutgoingLeg, response: Response) -> None:
        """A provisional response; `theirs` is its description. When `leg.asked` is set it is an offer: call
        `answer_early`."""

    def leg_answered(self, leg: OutgoingLeg, response: Response) -> None:
        """A 2xx; `theirs` is its description. Call `acknowledge` or `discard`."""

    def leg_failed(self, leg: OutgoingLeg, status: int, response: Response | None) -> None: ...


class OutgoingLeg(Leg):
    """`open` it, set what to offer, then `send`."""

    def __init__(self, exchange: Exchange, flow: Flow, invitation: Invitation, owner: OutgoingOwner) -> None:
        tag = exchange.entropy.token(8)
        call_id = invitation.call_id or exchange.entropy.token(16)
        account = invitation.person.account
        security = exchange.security_of(None if account is None else account.id)
        super().__init__(exchange, (call_id, tag), flow, owner, security, invitation.agent)
        self.person = invitation.person
        self.trusted = exchange.trusts(flow, account)
        self.believed = self.trusted or invitation.prover is not None
        self._waiting: OutgoingOwner | None = owner
        self._invitation = invitation
        self._invite: OutgoingInvite | None = None
        self._early: dict[str, SessionDescription] = {}
        self.acknowledged = False
        """The 2xx has its ACK."""
        self.asked: Response | None = None
        """A reliable provisional response whose offer waits for our answer."""
        self.carried = False
        """The caller has been asked, and his answer will come."""
        self.answered_alone = False
        """That offer was answered by ourselves: the caller could not be asked."""
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
        secure = wants_tls(self._invitation.uri)
        contact = self.exchange.contact(self.flow, number, secure=secure)
        request = self._request(contact)
        if offer is not None:
            request.set_body(offer.encode(), CONTENT_TYPE)
        exchange = self.exchange
        timers, prover = exchange.session_timers(done), self._invitation.prover
        self._invite = OutgoingInvite(exchange.clock, exchange.stack, request, self.flow, contact, self, timers, prover)
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
        request.add("Supported", SUPPORTED)
        if said.reliable and Workaround.NO_100REL not in self.workarounds:
            request.add("Supported", EXTENSION)
        request.add("User-Agent", self.exchange.settings.agent)
        for name, value in said.headers if Workaround.FEW_HEADERS not in self.workarounds else ():
            request.add(name, value)
        return request

    @property
    def unheard(self) -> bool:
        """The peer has not said a word."""
        return self._invite is not None and self._invite.unheard

    def find_session(self, remote_tag: str) -> Session | None:
        sessions = [] if self._invite is None else self._invite.sessions
        return next((each for each in sessions if each.dialog.remote_tag == remote_tag), None)

    @property
    def tags(self) -> tuple[str, str]:
        """While it rings: those of the first early dialog."""
        sessions = [] if self._invite is None else self._invite.sessions
        if self.session is not None or not sessions:
            return super().tags
        return sessions[0].dialog.remote_tag, self.key[1]

    def acknowledge(self, description: SessionDescription | None = None) -> None:
        """ACK the 2xx, once; with our answer when it carried an offer."""
        if self.session is not None and self._invite is not None and not self.acknowledged:
            self.acknowledged = True
            body = b"" if description is None else description.encode()
            self.session.acknowledge(self._invite.number, body, CONTENT_TYPE)

    @property
    def settled(self) -> bool:
        """Descriptions were exchanged while it rang (RFC 3262 §5): those of the 2xx say nothing new."""
        return self.session is not None and self.session.dialog.remote_tag in self._early

    def answer_early(self, description: SessionDescription) -> None:
        """Answer the offer of a reliable provisional response, in its PRACK."""
        response, self.asked = self.asked, None
        if response is not None and (session := self.find_session(response.to_tag)) is not None:
            session.acknowledge_provisional(response, description.encode(), CONTENT_TYPE)

    def answer_early_alone(self) -> None:
        """The same, when there is nobody to ask: a PRACK must carry an answer (RFC 3262 §5)."""
        if self.asked is not None:
            self.answered_alone = True
            try:
                self.answer_early(self.studio_answer())
            except NotAcceptable:
                self.asked = None
                self.cancel(None)

    def cancel(self, reason: str | None) -> None:
        """Stop ringing; the final answer is still reported."""
        if self._invite is not None:
            self._invite.cancel(reason)

    def discard(self) -> None:
        """It was answered too late."""
        self.acknowledge()
        self.hang_up()

    def abandon(self, reason: str) -> None:
        """Stop ringing, with a Reason header's value; nobody waits for what comes of it."""
        self._waiting = None
        self.finish()
        self.cancel(reason)

    def stray_response(self, response: Response) -> None:
        """A response that came when its transaction had gone."""
        if self._invite is not None and response.is_success:
            self._invite.on_response(response)

    def hang_up(self, status: int = 0, reason: str = "") -> None:
        if self.ended:
            return
        self._waiting = None
        self.finish()
        if self.session is not None and self._invite is not None and self._invite.final:
            self.session.bye(f"SIP;cause={status}" if status else None)
        else:
            self.cancel(None)

    # --- told by the INVITE

    def invite_progress(self, invite: OutgoingInvite, response: Response) -> None:
        description = self._read(response)
        if is_reliable(response):
            self._adopt(response.to_tag, description)
        elif description is not None and not self.settled:
            self.theirs = description
        if self._waiting is not None:
            self._waiting.leg_progress(self, response)

    def invite_offered(self, invite: OutgoingInvite, session: Session, response: Response) -> None:
        self.asked = response
        self._adopt(response.to_tag, self._read(response))
        if self._waiting is not None:
            self._waiting.leg_progress(self, response)
        if self.asked is response and not self.carried:
            self.answer_early_alone()

    def _adopt(self, tag: str, description: SessionDescription | None) -> None:
        """An early dialog whose descriptions are exchanged is the one to talk to, until another one answers."""
        if description is not None and tag not in self._early:
            self._early[tag] = self.theirs = description
            self.session = self.find_session(tag)

    @staticmethod
    def _read(response: Response) -> SessionDescription | None:
        try:
            return read_description(response)
        except SipSyntaxError:
            return None

    def invite_answered(self, invite: OutgoingInvite, session: Session, response: Response) -> None:
        self._take(session, response)
        self.person = replied(self.person, response, trusted=self.believed)
        self.knows_from_change = "from-change" in response.tokens("Supported")
        self.user_agent = response.get("User-Agent") or response.get("Server") or self.user_agent
        if (waiting := self._waiting) is None:
            self.acknowledge()
            session.bye()
            return
        self._waiting = None
        waiting.leg_answered(self, response)

    def _take(self, session: Session, response: Response) -> None:
        """The dialog that stays, and what its phone has said of its media."""
        before, self.session = self.session, session
        if self.settled:
            if session is not before:
                self.theirs = self._early[session.dialog.remote_tag]
            return
        try:
            self.theirs = read_description(response) or self.theirs
        except SipSyntaxError:
            self.theirs = None

    def invite_failed(self, invite: OutgoingInvite, status: int, response: Response | None) -> None:
        waiting, self._waiting = self._waiting, None
        self.finish()
        if waiting is not None:
            waiting.leg_failed(self, status, response)
