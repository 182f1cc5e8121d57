"""The caller's leg: an INVITE that came to us, and the session that grows out of it."""

from __future__ import annotations

from collections.abc import Callable

from directory.model import Caller
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.leg import Leg, LegOwner
from pbx.sipcore.message import Request
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.session import Session
from pbx.sipcore.session_ports import SUPPORTED
from pbx.sipcore.session_uas import IncomingInvite
from pbx.sipcore.transactions import ServerTransaction
from pbx.sipcore.uri import Uri, wants_tls
from pbx.workarounds.kinds import Workaround

NO_PRACK = "no PRACK"
"""The cause when a reliable provisional response was not acknowledged."""


class IncomingLeg(Leg):
    """Raises SipSyntaxError when the offer cannot be read."""

    def __init__(self, exchange: Exchange, transaction: ServerTransaction, caller: Caller, owner: LegOwner) -> None:
        request = transaction.request
        security = exchange.security_of(None if caller.account is None else caller.account.id)
        agent = request.get("User-Agent") or ""
        super().__init__(exchange, (request.call_id, transaction.local_tag), transaction.flow, owner, security, agent)
        self.person = caller
        self.believed = caller.trusted
        self.trusted = caller.trusted and not caller.trunk
        self.knows_from_change = "from-change" in request.tokens("Supported")
        self.introduced: tuple[tuple[str, str], ...] = ()
        """What the 200 says of who has answered."""
        self.history: Callable[[], tuple[tuple[str, str], ...]] = tuple
        """What responses tell of where the call has been (RFC 7044 §9.4)."""
        self.theirs = self.read_offer(request)
        done = self.workarounds
        user = Uri.parse(request.uri).user if Workaround.CONTACT_NUMBER in done else ""
        contact = exchange.contact(transaction.flow, user, secure=_asks_for_security(request))
        timers = exchange.session_timers(done)
        self.invite = IncomingInvite(exchange.clock, exchange.stack, transaction, contact, self, timers)
        if Workaround.NO_100REL in done:
            self.invite.reliable = False
        self.session = self.invite.session
        self.line = exchange.trunks.leading_to(caller.trunk) if caller.trunk else None
        self.session.prover = None if self.line is None else self.line.credentials()
        self.told: SessionDescription | None = None
        """What we have described while it rang."""
        self.heard: SessionDescription | None = None
        """The callee's description that `told` stands for."""
        self._owed: SessionDescription | None = None
        exchange.register(self)

    @property
    def request(self) -> Request:
        return self.invite.request

    @property
    def pending(self) -> bool:
        return self.invite.pending

    @property
    def refused(self) -> int:
        return self.invite.refused

    @property
    def settled(self) -> bool:
        """Descriptions were exchanged while it rang (RFC 3262 §5): what is said now is an offer, no answer."""
        return self.invite.settled

    def studio_answer(self) -> SessionDescription:
        return self.studio_offer() if self.settled else super().studio_answer()

    def provision(self, status: int, reason: str = "", description: SessionDescription | None = None) -> None:
        if Workaround.PLAIN_RINGING in self.workarounds:
            status, reason, description = 180, "", None
        if description is not None and not self.settled:
            self.told = description
        self.invite.provisional(status, reason, b"" if description is None else description.encode(), self._headers())

    def accept(self, description: SessionDescription) -> None:
        """Send the 200; the owner hears of the ACK by `leg_acknowledged`. What a settled caller does not know yet
        follows in a re-INVITE."""
        if not self.invite.pending:
            super().accept(description)
            return
        if self.settled and description is not self.told:
            self._owed = description
        self.invite.accept(description.encode(), (*self._headers(), ("Supported", SUPPORTED), *self.introduced))

    def session_acknowledged(self, session: Session, request: Request) -> None:
        owed, self._owed = self._owed, None
        if owed is None:
            super().session_acknowledged(session, request)
        else:
            super().accept(owed)

    def refuse(self, status: int, reason: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Send the final refusal."""
        self.invite.reject(status, reason, (*headers, *self._headers()))
        self.finish()

    def _headers(self) -> tuple[tuple[str, str], ...]:
        return (("Server", self.exchange.settings.agent), *self.history())

    def hang_up(self, status: int = 0, reason: str = "") -> None:
        if self.ended:
            return
        if self.invite.pending:
            self.refuse(status or 480, reason)
            return
        self.finish()
        self.invite.session.bye(_reason(status, reason))

    def invite_cancelled(self, invite: IncomingInvite) -> None:
        self._lost("cancelled")

    def invite_unheard(self, invite: IncomingInvite) -> None:
        self._lost(NO_PRACK)


def _asks_for_security(request: Request) -> bool:
    """RFC 3261 §12.1.1: by its Request-URI, its topmost Record-Route, or its Contact."""
    routes = request.get_all("Record-Route")
    said = (request.uri, routes[0] if routes else "", "" if routes else request.get("Contact") or "")
    return any(wants_tls(value.partition("<")[2] or value) for value in said)


def _reason(status: int, text: str) -> str | None:
    """A Reason header for BYE (RFC 3326)."""
    return f'SIP;cause={status};text="{text}"' if status and text else (f"SIP;cause={status}" if status else None)
