"""The proxy way of a branch: the caller's own INVITE goes on, and the callee's responses go back, in one dialog.

Where the request goes and the sealed Record-Route on it are `pbx.proxy`'s. RFC 3261 §16.6, §16.7; RFC 6026 (each 2xx
goes back).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from base.failures import Failure
from base.log import get_logger
from pbx.b2bua import diversion
from pbx.b2bua.asserted import screen
from pbx.b2bua.elsewhere import helps
from pbx.b2bua.failures import status_of
from pbx.b2bua.phone_branch import targets_of
from pbx.b2bua.places import Place, Places
from pbx.proxy.anchors import Anchor
from pbx.proxy.context import Outgoing
from pbx.proxy.proxy import Target
from pbx.signal.answer import Answer
from pbx.signal.branch import Branch
from pbx.sipcore.dialog import Dialog
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.message import Response
from pbx.sipcore.questions import Unheard
from pbx.sipcore.transactions import ClientTransaction, ServerTransaction
from pbx.sipcore.uri import NameAddress

if TYPE_CHECKING:
    from pbx.b2bua.call import Call

# Limit: answers of one place, when a server there forks.
_TAGS = 16

_log = get_logger("pbx.calls")

_LEAP = 1000
"""Added to the CSeq number of an INVITE, it is higher than any PRACK and UPDATE of its caller has had."""


class Forwarder(Protocol):
    """The part of `pbx.proxy.proxy.Proxy` that is needed."""

    def outgoing(self, transaction: ServerTransaction, target: Target) -> Outgoing:
        """The caller's request made ready for a target."""


class ProxyBranch:
    """One place to which the caller's INVITE is forwarded."""

    def __init__(self, call: Call, branch: Branch, transaction: ServerTransaction, forwarder: Forwarder) -> None:
        self._call = call
        self._branch = branch
        self._transaction = transaction
        self._forwarder = forwarder
        self._sent: ClientTransaction | None = None
        self._cancelled = False
        self._anchor: Anchor | None = None
        self._places = Places(call.exchange, branch.target, call.record.dialled)
        self.response: Response | None = None
        """The last one that came."""
        self.answers: dict[str, None] = {}
        """The tags of those who have answered, and whose answers went to the caller."""

    def start(self) -> None:
        self._call.exchange.spawn(self._run(), f"proxy branch {self._branch.number} of {self._call.id}")

    async def _run(self, said: Answer | None = None) -> None:
        """To its first place, or to the next one when the last has failed and `said` so."""
        try:
            outgoing = await self._made_for(await self._places.next())
        except Failure as failure:
            self._tell(said or Answer(status_of(failure), elsewhere=True))
        except SipSyntaxError:
            self._tell(said or Answer(480))
        else:
            if not self._given_up():
                self._sent = self._call.exchange.stack.request(outgoing.request, outgoing.flow, self)

    async def _made_for(self, place: Place) -> Outgoing:
        """The caller's INVITE as it leaves for that place. Raises Failure when it cannot."""
        outgoing = self._forwarder.outgoing(self._transaction, Target(place.uri, place.flow, place.routes, place.agent))
        trusted = self._call.exchange.trusts(outgoing.flow, place.person.account)
        screen(outgoing.request, self._call.origin.caller, trusted=trusted)
        self._tell_history(outgoing, place.uri, trusted=trusted)
        for name, value in self._call.shares.headers(self._branch):
            outgoing.request.set(name, value)
        await self._anchor_media(outgoing, place.uri)
        return outgoing

    def _tell_history(self, outgoing: Outgoing, uri: str, *, trusted: bool) -> None:
        call = self._call
        said = call.origin.earlier
        headers = diversion.headers_for(self._branch, uri, call.record.dialled, said, call.branches, trusted=trusted)
        diversion.put(outgoing.request, tuple((name, value) for name, value in headers if name != "Privacy"))

    def _given_up(self) -> bool:
        """Cancelled before it was sent."""
        if self._cancelled:
            self.drop_anchor()
            self._tell(Answer(487))
        return self._cancelled

    async def _anchor_media(self, outgoing: Outgoing, uri: str) -> None:
        """Relay the media where the parties cannot reach each other. Raises Failure."""
        anchors, near = self._call.exchange.anchors, self._transaction.flow
        because = "" if anchors is None else anchors.wanted(outgoing.request, near, uri, outgoing.flow)
        if anchors is not None and because:
            _log.info("media relayed", call=self._call.id, because=because)
            self._anchor = await anchors.begin(outgoing.request, near, outgoing.flow)

    def keep(self) -> None:
        """The caller keeps what has answered here, not what answered first."""
        self._call.talks_with(self._branch)

    def drop_anchor(self) -> None:
        """The media of this place pass through us no more."""
        anchor, self._anchor = self._anchor, None
        exchange, call_id = self._call.exchange, self._transaction.request.call_id
        if anchor is not None and exchange.anchors is not None:
            exchange.spawn(exchange.anchors.drop(call_id, anchor), f"drop anchor of {call_id}")

    def cancel(self, reason: str | None) -> None:
        self._cancelled = True
        if self._sent is not None:
            self._sent.cancel(reason)

    def discard(self) -> None:
        """RFC 3261 §16.7 step 5: a proxy passes on every 2xx; the caller ends the one too many. A caller who has had a
        refusal takes none any more: then we end it. Its audio keeps its places here until its BYE, for the caller may
        keep it; but not where a program was first, which knows nothing of other answers."""
        passes = self._transaction.takes_success
        if passes:
            self.pass_back()
        else:
            self._hang_up()
        if not passes or self._transaction.request.call_id not in self._call.exchange.proxied:
            self.drop_anchor()

    def _hang_up(self) -> None:
        """Accept the answer in the caller's place, and end the call (RFC 3261 §13.2.2.4)."""
        sent, response, stack = self._sent, self.response, self._call.exchange.stack
        if sent is None or response is None:
            return
        dialog = Dialog.uac(sent.request, response)
        dialog.route_set = tuple(route for route in dialog.route_set if not stack.ours(*_place(route)))
        stack.send_message(dialog.ack(), sent.flow)
        dialog.local_cseq += _LEAP  # RFC 3261 §12.2.1.1: it need not be the next one
        stack.request(dialog.new_request("BYE"), sent.flow, Unheard())
        talk = self._call.exchange.proxied.get(response.call_id)
        if talk is not None:  # the answer may be the one that counted: its caller is out of reach
            talk.bye_passed(frozenset((response.to_tag,)))

    def pass_back(self) -> None:
        """Send the last response to the caller, without our Via."""
        if self.response is not None:
            copy = self.response.copy()
            copy.remove_first("Via")
            if self._anchor is not None:
                self._anchor.response(copy, to_caller=True)
            self._tell_caller(copy)
            if copy.is_success and len(self.answers) < _TAGS:
                self.answers.setdefault(copy.to_tag)
            self._transaction.respond(copy)

    def _tell_caller(self, response: Response) -> None:
        """Where his call has been (RFC 7044 §9.4), unless it was told further on, or whoever answers hides himself."""
        call, caller = self._call, self._call.origin.caller
        wanted = "histinfo" in self._transaction.request.tokens("Supported") and response.status > 100
        if not wanted or response.has("History-Info") or response.has("Privacy"):
            return
        if caller.account is not None or caller.trusted:
            for name, value in diversion.for_caller(call.branches, call.record.dialled, call.origin.earlier):
                response.add(name, value)

    def _tell(self, answer: Answer) -> None:
        self._call.signal.answer(self._branch, answer)

    def on_response(self, response: Response) -> None:
        repeated = self.response is not None and self.response.is_success
        self.response = response
        if response.status >= 300:
            self.drop_anchor()
        if repeated:
            self.discard()
        elif response.is_provisional:
            self._places.heard(response)
            if response.status > 100:
                self._tell(Answer(response.status, response.reason))
        else:
            targets = targets_of(response, self._branch.target)
            self._ended(Answer(response.status, response.reason, targets, self._helps(response)), response)

    def on_failure(self, cause: str) -> None:
        self.drop_anchor()
        self._ended(Answer(408 if cause == "timeout" else 503, elsewhere=self._helps(None)), None)

    def _helps(self, response: Response | None) -> bool:
        return helps(response, heard=self._places.was_heard, urgent=self._branch.urgent)

    def _ended(self, answer: Answer, response: Response | None) -> None:
        """The last word of this place. Another one is tried where that may help."""
        if self._cancelled or not self._places.may_go_on(response):
            self._tell(answer)
        else:
            self._call.exchange.spawn(self._run(answer), f"proxy branch {self._branch.number} elsewhere")


def _place(route: str) -> tuple[str, int | None]:
    uri = NameAddress.parse(route).uri
    return uri.host, uri.port
