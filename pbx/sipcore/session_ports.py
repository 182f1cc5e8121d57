"""What a session needs from below and whom it tells: contracts and times, no behaviour. RFC 3261 §12-§15, RFC 3311."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.transactions import ClientTransaction, ClientUser, ServerTransaction

if TYPE_CHECKING:
    from pbx.sipcore.session import Session

ALLOW = "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, OPTIONS, INFO, REFER, NOTIFY, MESSAGE"

SUPPORTED = "replaces, norefersub, histinfo, from-change"
"""Option tags of what we do besides timers and reliable provisionals (RFC 3891 §6.2, RFC 4488 §5, RFC 7044 §6,
RFC 4916 §4.2)."""


EXTENSIONS = frozenset({"100rel", "timer"})
"""Option tags that a request to us may require (RFC 3261 §8.2.2.3)."""


def unknown_extensions(request: Request) -> str:
    """What a request requires and we do not know: the Unsupported of its 420; empty when there is nothing."""
    return ", ".join(sorted(request.tokens("Require") - EXTENSIONS))


class SessionState(enum.Enum):
    """See the head of `session`."""

    EARLY = "early"
    CONFIRMED = "confirmed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class SessionTimers:
    """Seconds; T1 and T2 of RFC 3261 §17.1.1.1, and how often a long ringing is told again (§13.3.1.1).
    `expires`: the session interval that we ask for (RFC 4028 §4); 0: no session timer of ours."""

    t1: float = 0.5
    t2: float = 4.0
    ringing: float = 60.0
    expires: int = 1800

    @property
    def patience(self) -> float:
        """64*T1: how long an ACK or a PRACK may take (RFC 3261 §13.3.1.4, RFC 3262 §3)."""
        return 64 * self.t1


class SessionPort(Protocol):
    """The way out (`pbx.transport.stack.SipStack`)."""

    def request(self, request: Request, flow: Flow, user: ClientUser) -> ClientTransaction: ...

    def send_message(self, message: Request | Response, flow: Flow) -> None:
        """Send an ACK of a 2xx, outside any transaction."""


class SessionUser(Protocol):
    """Who is told what the peer does."""

    def session_offer(self, session: Session, transaction: ServerTransaction) -> None:
        """A re-INVITE, or an UPDATE or a PRACK with an offer; answer it with `Session.answer_offer`."""

    def session_refreshed(self, session: Session, request: Request) -> None:
        """An UPDATE without an offer, which has been answered: it may say who the peer is."""

    def session_request(self, session: Session, transaction: ServerTransaction) -> None:
        """INFO, REFER, NOTIFY, MESSAGE, OPTIONS; answer it with `Session.answer`."""

    def session_acknowledged(self, session: Session, request: Request) -> None:
        """The ACK of the last 2xx; it carries the answer when the 2xx carried an offer."""

    def session_answered(self, session: Session, request: Request) -> None:
        """A PRACK with the answer to the offer in a reliable provisional response of ours."""

    def session_ended(self, session: Session, cause: str) -> None:
        """The peer has hung up or is lost; told once, never after `bye`."""


class ChangeUser(Protocol):
    """Who waits for the outcome of our re-INVITE or UPDATE."""

    def change_answered(self, session: Session, response: Response) -> None:
        """A 2xx: call `Session.acknowledge_change`."""

    def change_refused(self, session: Session, status: int) -> None: ...
