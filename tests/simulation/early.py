"""What simulated telephones do about reliable provisional responses when they know them (RFC 3262).

The caller's PRACKs, and the 183 of a called one that holds its answer back until it is acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable

from base.clock import Clock
from pbx.sipcore.dialog import Dialog
from pbx.sipcore.headers import RAck
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.reliable import EXTENSION, ReliableOrder, ReliableResponses, is_reliable
from pbx.sipcore.session_ports import SessionTimers
from pbx.sipcore.transactions import ServerTransaction

KNOWN = "INVITE, ACK, CANCEL, BYE, PRACK"


class EarlyDialogs:
    """A caller's, by the tags of those who ring."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._found: dict[str, tuple[Dialog, ReliableOrder]] = {}
        self.answered: set[str] = set()
        """Tags of those whose offer a PRACK has answered."""

    def acknowledgement(self, response: Response, answer: Callable[[], bytes]) -> Request | None:
        """The PRACK of a provisional response; None when it wants none. An offer in it is answered."""
        if not is_reliable(response):
            return None
        tag = response.to_tag
        dialog, order = self._found.setdefault(tag, (Dialog.uac(self._request, response), ReliableOrder()))
        if not order.accepts(response):
            return None
        prack = dialog.new_request("PRACK")
        prack.set("RAck", str(RAck(response.number("RSeq") or 0, response.cseq)))
        if response.body and not self._request.body and tag not in self.answered:
            self.answered.add(tag)
            prack.set_body(answer(), "application/sdp")
        return prack

    def confirmed(self, response: Response) -> Dialog:
        """The dialog of a 2xx: numbers go on where the PRACKs have left them."""
        dialog, _ = self._found.get(response.to_tag, (Dialog.uac(self._request, response), None))
        dialog.take(response)
        return dialog


class EarlyAnswer:
    """A called telephone's 183 with its description."""

    def __init__(
        self, clock: Clock, transaction: ServerTransaction, contact: str, body: bytes, given_up: Callable[[], None]
    ) -> None:
        self._transaction = transaction
        self._then: Callable[[], None] | None = None
        self.dialog = Dialog.uas(transaction.request, transaction.local_tag, contact)
        self._responses = ReliableResponses(
            clock, SessionTimers(), transaction.local_tag, transaction.respond, given_up, self._heard
        )
        response = response_to(transaction.request, 183, to_tag=transaction.local_tag)
        response.set("Contact", contact)
        response.set("Allow", KNOWN)
        response.set_body(body, "application/sdp")
        self._responses.send(response)

    def when_heard(self, then: Callable[[], None]) -> None:
        """Now, or after the PRACK."""
        if self._responses.describing:
            self._then = then
        else:
            then()

    def _heard(self) -> None:
        then, self._then = self._then, None
        if then is not None:
            then()

    def finish(self) -> None:
        self._then = None
        self._responses.finish()

    def prack(self, transaction: ServerTransaction) -> None:
        if not self.dialog.accepts(transaction.request):
            transaction.reply(500)
        elif self._responses.acknowledged(RAck.parse(transaction.request.get("RAck") or "")):
            transaction.reply(200)
            self._responses.go_on()
        else:
            transaction.reply(481)


def wanted(request: Request) -> bool:
    """Whether a caller takes reliable provisional responses."""
    return EXTENSION in request.tokens("Supported")
