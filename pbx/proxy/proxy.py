"""The proxy: requests that are not calls, and calls whose dialog runs from end to end, forwarded statefully.

It resolves nothing but hosts and authenticates nobody; policy did. What it sends carries a sealed Record-Route, and
only what comes back with that seal passes as in-dialog.

RFC 3261 §16; decisions 3, 4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, assert_never

from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from directory.model import (
    AccountRoute,
    Caller,
    ForeignRoute,
    GroupRoute,
    NullRoute,
    ProgramRoute,
    Resolution,
    UnknownRoute,
)
from pbx.proxy.anchors import Anchor, Anchors
from pbx.proxy.concealed import conceal, is_concealed, reveal
from pbx.proxy.context import Outgoing, Requests, ResponseContext
from pbx.proxy.seal import Ends, RouteSeal, first_route
from pbx.proxy.strict import loosen, tighten
from pbx.registrar.bindings import Bindings
from pbx.registrar.gruu import Gruus
from pbx.signal.foreign import foreign_uri
from pbx.sipcore.breadth import HEADER, breadth
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.server_transaction import ServerTransaction
from pbx.sipcore.uri import Uri, wants_tls
from pbx.workarounds.kinds import Workaround
from pbx.workarounds.rows import Workarounds

MAX_FORWARDS = 70
MAX_CONTEXTS = 20_000
_DIALOG_MAKERS = frozenset({"INVITE", "SUBSCRIBE", "REFER"})
_HOP_HEADERS = ("Proxy-Authorization", "Authorization")

_log = get_logger("pbx.proxy")


class Stack(Requests, Protocol):
    """What is needed of the SIP stack."""

    def send_message(self, message: Request, flow: Flow) -> None: ...

    def contact_for(self, flow: Flow, user: str = "") -> Uri: ...

    async def flow_to(self, uri: Uri) -> Flow: ...


@dataclass(frozen=True, slots=True)
class Target:
    """One place to forward to: the Request-URI as text, the flow, Route values to put on, and the User-Agent there."""

    uri: str
    flow: Flow
    route: tuple[str, ...] = ()
    agent: str = ""


class Proxy:
    """Forwards; owns the requests that are under way."""

    def __init__(
        self,
        stack: Stack,
        metrics: Metrics,
        bindings: Bindings,
        key: bytes,
        workarounds: Workarounds | None = None,
    ) -> None:
        self._stack = stack
        self._metrics = metrics
        self._bindings = bindings
        self._seal = RouteSeal(key)
        self._workarounds = workarounds or Workarounds()
        self._contexts: set[ResponseContext] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.anchors: Anchors | None = None
        """Who relays media of calls whose parties cannot reach each other."""
        self.gruus: Gruus | None = None
        self.on_passed: Callable[[Request, Flow], None] = lambda _request, _flow: None
        """Told each request that passes within a dialog that was set up through us, and whence it came."""
        metrics.gauge("pbx.proxy.requests", lambda: len(self._contexts))

    async def close(self) -> None:
        """Give up look-ups that still run."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- outside dialogs ---------------------------------------------------------------------------------------------

    def forward(self, transaction: ServerTransaction, caller: Caller, resolution: Resolution) -> None:
        """Send a request that is not a call where its address leads."""
        _unassert(transaction.request, caller)
        match resolution.route:
            case AccountRoute(account=account, instance=instance):
                found = self._bindings.ringable(account.id)
                if instance:
                    found = [binding for binding in found if binding.instance == instance]
                fit = [binding for binding in found if binding.fits(transaction.request.uri)]
                targets = [Target(binding.contact, binding.flow, binding.path, binding.user_agent) for binding in fit]
                self.fork(transaction, targets)
            case ForeignRoute(address):
                self._spawn(self._relay(transaction, foreign_uri(address, transaction.request.uri)))
            case ProgramRoute() | GroupRoute() | NullRoute():
                transaction.reply(480)
            case UnknownRoute():
                transaction.reply(404)
            case _:
                assert_never(resolution.route)

    def fork(self, transaction: ServerTransaction, targets: Sequence[Target]) -> None:
        """Forward to all targets at once, and the best answer back. For an INVITE: the way `proxy` of a Signal."""
        if not targets:
            transaction.reply(480)
        elif len(self._contexts) >= MAX_CONTEXTS:
            transaction.reply(503, headers=(("Retry-After", "10"),))
        elif len(targets) > (whole := breadth(transaction.request)):
            transaction.reply(440)
        else:
            original = transaction.request
            passing = (lambda response: reveal(response, original)) if is_concealed(original) else None
            outgoing = [self.outgoing(transaction, target) for target in targets]
            for one in outgoing:
                one.request.set(HEADER, str(whole // len(outgoing)))
            self._start(transaction, outgoing, passing)

    async def _relay(self, transaction: ServerTransaction, uri: str) -> None:
        """Transit."""
        try:
            flow = await self._stack.flow_to(Uri.parse(uri))
        except Failure as failure:
            _log.info("not relayed", target=uri, cause=str(failure), call_id=transaction.request.call_id)
            transaction.reply(480 if failure.temporary else 416)
            return
        if not transaction.is_answered:  # a CANCEL may have come meanwhile
            self.fork(transaction, [Target(uri, flow)])

    def outgoing(self, transaction: ServerTransaction, target: Target) -> Outgoing:
        """The request as it leaves for a target (RFC 3261 §16.6): copy, Request-URI, Max-Forwards, Record-Route, Route.

        For who forwards by himself, with one dialog from end to end: the proxy way of a call.
        """
        request = self._copied(transaction.request)
        if is_concealed(request):
            conceal(request)
        request.uri = target.uri
        request.remove("Route")
        for value in target.route:
            request.add("Route", value)
        if request.method in _DIALOG_MAKERS:
            self._record(request, Ends(transaction.flow, target.flow), target.agent)
        return Outgoing(request, target.flow)

    def _copied(self, original: Request) -> Request:
        request = original.copy()
        left = original.number("Max-Forwards")
        request.set("Max-Forwards", str(MAX_FORWARDS if left is None else max(0, left - 1)))
        for name in _HOP_HEADERS:  # our own challenge was answered; it is nobody else's business
            request.remove(name)
        return request

    def _record(self, request: Request, ends: Ends, agent: str = "") -> None:
        """One Record-Route, or one for each side when the sides do not reach us in the same way (RFC 5658)."""
        user = self._seal.make(ends, request)
        done = self._workarounds.for_(request.get("User-Agent") or "", ends.caller.remote[0])
        done |= self._workarounds.for_(agent, ends.callee.remote[0])
        loose = "on" if Workaround.FULL_LR in done else None
        secure = wants_tls(request.uri)  # RFC 3261 §16.6 step 4: then all of the way is
        reached = ((flow, self._stack.contact_for(flow, user)) for flow in (ends.caller, ends.callee))
        sides = dict.fromkeys(str(self._loose(uri, loose, secure=secure and flow.secure)) for flow, uri in reached)
        for side in sides:
            request.insert_first("Record-Route", f"<{side}>")

    @staticmethod
    def _loose(uri: Uri, value: str | None, *, secure: bool) -> Uri:
        uri = uri.secured() if secure else uri
        return uri.replace(params={**uri.params, "lr": value})

    # --- in dialogs --------------------------------------------------------------------------------------------------

    def in_dialog(self, transaction: ServerTransaction) -> bool:
        """Forward what carries our seal, to the other end of its dialog."""
        request = self._copied(transaction.request)
        flow = self._sealed_flow(request)
        if flow is None:
            return False
        if len(self._contexts) >= MAX_CONTEXTS:
            transaction.reply(503, headers=(("Retry-After", "10"),))
        else:
            self._onwards(transaction, Outgoing(request, flow))
        self.on_passed(transaction.request, transaction.flow)
        return True

    def _onwards(self, transaction: ServerTransaction, outgoing: Outgoing) -> None:
        """A request inside a dialog, with our places in its description where we relay the media."""
        found = self.anchors.in_dialog(outgoing.request) if self.anchors is not None else None
        if found is None:
            self._start(transaction, [outgoing])
            return
        anchor, passing = found
        if anchor.wide_enough(outgoing.request):
            anchor.request(outgoing.request)
            self._start(transaction, [outgoing], passing)
        else:
            self._spawn(self._widened(transaction, outgoing, anchor, passing))

    async def _widened(
        self,
        transaction: ServerTransaction,
        outgoing: Outgoing,
        anchor: Anchor,
        passing: Callable[[Response], None],
    ) -> None:
        """More media than before: ports first. Without any, what is new is refused and the rest goes on."""
        try:
            await anchor.widen_for(outgoing.request)
        except Failure as failure:
            _log.warning("no ports for more media", cause=str(failure), call_id=outgoing.request.call_id)
        if not transaction.is_answered:
            anchor.request(outgoing.request)
            self._start(transaction, [outgoing], passing)

    def ack(self, request: Request, flow: Flow) -> bool:
        """The ACK of a 2xx has no transaction: it is passed on as it is (RFC 3261 §16.11)."""
        copy = self._copied(request)
        try:
            onward = self._sealed_flow(copy)
        except SipSyntaxError:  # an ACK is not screened, for it could not be answered
            return False
        if onward is None or request.number("Max-Forwards") == 0:
            return False
        found = self.anchors.in_dialog(copy) if self.anchors is not None else None
        if found is not None:
            found[0].request(copy)  # the answer to an offer in the 2xx (RFC 3261 §13.2.1)
        self._stack.send_message(copy, onward)
        self.on_passed(request, flow)
        return True

    def _sealed_flow(self, request: Request) -> Flow | None:
        """Take our Route values off and open the seal (RFC 3261 §16.4)."""
        if request.has("Route") and self._seal.open(Uri.parse(request.uri).user, request) is not None:
            loosen(request)
        first = first_route(request)
        flow = self._seal.open(first.user, request) if first is not None else None
        if flow is None or first is None:
            return None
        request.remove_first("Route")
        second = first_route(request)
        if second is not None and second.user == first.user:
            request.remove_first("Route")
        self._translate(request, flow)
        tighten(request)
        return flow

    def _translate(self, request: Request, flow: Flow) -> None:
        """A telephone that gave its GRUU as Contact gets what it registered (RFC 5627 §6.1)."""
        route = None if self.gruus is None else self.gruus.route(Uri.parse(request.uri))
        if isinstance(route, AccountRoute):
            for binding in self._bindings.known(route.account.id):
                if (binding.instance, binding.flow) == (route.instance, flow):
                    request.uri = binding.contact

    # --- both --------------------------------------------------------------------------------------------------------

    def _start(
        self,
        transaction: ServerTransaction,
        outgoing: Sequence[Outgoing],
        passing: Callable[[Response], None] | None = None,
    ) -> None:
        context = ResponseContext(transaction, self._stack, lambda: self._contexts.discard(context), passing)
        self._contexts.add(context)
        self._metrics.count("pbx.proxy.forwarded", len(outgoing))
        context.start(outgoing)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _unassert(request: Request, caller: Caller) -> None:
    """RFC 3325 §5, §7: what a stranger asserts does not pass, nor does what its sender wants to be kept from others."""
    private = any("id" in value.lower().split(";") for value in request.get_all("Privacy"))
    if private or not caller.trusted:
        request.remove("P-Asserted-Identity")
    request.remove("P-Preferred-Identity")
