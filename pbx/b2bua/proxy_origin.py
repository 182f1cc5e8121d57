"""A call that is proxied: one dialog from end to end, in which we take part only by a sealed Route (decision 3).

The Signal, its rules and the call record are those of every call. A rule may still send it to a program, or by a
trunk, where the login is ours: then we answer as one more user agent, beside the proxy. What is lost: hold, transfer
and limits at the server, and the figures of the audio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from directory.model import Caller
from pbx.b2bua import diversion
from pbx.b2bua.incoming import IncomingLeg
from pbx.b2bua.leg import Leg
from pbx.b2bua.phone_branch import PhoneBranch
from pbx.b2bua.proxied_talk import ProxiedTalk
from pbx.b2bua.proxy_branch import Forwarder, ProxyBranch
from pbx.b2bua.refused_branch import RefusedBranch
from pbx.b2bua.sip_origin import SipOrigin
from pbx.b2bua.trunk_line import leaves_by_trunk
from pbx.proxy.context import with_all_challenges
from pbx.signal.answer import Answer
from pbx.signal.branch import Branch, Foreign, Program
from pbx.sipcore.breadth import breadth
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.section_guard import MediaSecurity
from pbx.sipcore.session_ports import unknown_extensions
from pbx.sipcore.transactions import ServerTransaction

if TYPE_CHECKING:
    from pbx.b2bua.call import BranchRunner, Call


class ProxyOrigin:
    """Owns the caller's transaction until it is answered."""

    def __init__(self, caller: Caller, transaction: ServerTransaction, forwarder: Forwarder) -> None:
        self._caller = caller
        self._transaction = transaction
        self._forwarder = forwarder
        self._runners: list[ProxyBranch] = []
        self._server: SipOrigin | None = None
        """Ourselves as the caller's peer, since a program or a trunk has needed us."""

    def attach(self, call: Call) -> None:
        self._transaction.on_cancel = lambda cancel: call.signal.cancel(reason=cancel.get("Reason"))

    @property
    def caller(self) -> Caller:
        return self._caller

    @property
    def earlier(self) -> tuple[tuple[str, str], ...]:
        return diversion.earlier(self._transaction.request, self._caller)

    # --- asked for what we send ourselves

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return () if self._server is None else self._server.headers

    @property
    def hops(self) -> int:
        return 70 if self._server is None else self._server.hops

    @property
    def breadth(self) -> int | None:
        return breadth(self._transaction.request)

    @property
    def reliable(self) -> bool:
        return self._server is not None and self._server.reliable

    @property
    def security(self) -> MediaSecurity:
        return MediaSecurity.OPTIONAL if self._server is None else self._server.security

    @property
    def can_encrypt(self) -> bool:
        return self._server is None or self._server.can_encrypt

    @property
    def asked(self) -> SessionDescription | None:
        return None if self._server is None else self._server.asked

    def offer(self, leg: Leg) -> SessionDescription | None:
        return None if self._server is None else self._server.offer(leg)

    def early_offer(self, leg: Leg, transaction: ServerTransaction) -> None:
        """Callees that are reached by proxy offer to the caller himself."""
        if self._server is not None:
            self._server.early_offer(leg, transaction)

    # --- branches

    def ring(self, call: Call, branch: Branch) -> BranchRunner:
        if isinstance(branch.target, Foreign) and leaves_by_trunk(call.exchange.trunks, branch.target.route):
            server = self._serve(call)
            if isinstance(server, int):
                return RefusedBranch(call, branch, server)
            return PhoneBranch(call, branch, server.leg)
        runner = ProxyBranch(call, branch, self._transaction, self._forwarder)
        self._runners.append(runner)
        return runner

    def run_program(self, call: Call, branch: Branch, target: Program) -> BranchRunner:
        server = self._serve(call)
        if isinstance(server, int):
            return RefusedBranch(call, branch, server)
        return server.run_program(call, branch, target)

    def _serve(self, call: Call) -> SipOrigin | int:
        """From here on we are a user agent server beside the proxy; a status when we cannot be."""
        if self._server is not None:
            return self._server
        if unknown_extensions(self._transaction.request):
            return 420
        server = SipOrigin(self._caller)
        try:
            leg = IncomingLeg(call.exchange, self._transaction, self._caller, server)
        except SipSyntaxError:
            return 400
        server.attach(call, leg)
        self._server = server
        return server

    def progress(self, call: Call, answer: Answer, runner: BranchRunner) -> None:
        if isinstance(runner, ProxyBranch):
            runner.pass_back()
        elif self._server is not None:
            self._server.progress(call, answer, runner)

    def connect(self, call: Call, runner: BranchRunner) -> None:
        if isinstance(runner, ProxyBranch):
            runner.pass_back()
            if self._server is not None:  # a program was about to answer, or a trunk; the telephone was first
                self._server.leg.finish()
            ProxiedTalk(call, self._runners, runner).start()
        elif self._server is not None:
            self._server.connect(call, runner)

    def refuse(self, call: Call, answer: Answer) -> None:
        if self._server is not None:
            self._server.refuse(call, answer)
            return
        finals = [runner.response for runner in self._runners if runner.response is not None]
        for runner in self._runners:
            if runner.response is not None and runner.response.status == answer.status:
                runner.response = with_all_challenges(runner.response, finals)
                runner.pass_back()
                return
        unknown = unknown_extensions(self._transaction.request) if answer.status == 420 else ""
        headers = (("Unsupported", unknown),) if unknown else call.warning(answer)
        self._transaction.reply(answer.status, answer.reason, headers)
