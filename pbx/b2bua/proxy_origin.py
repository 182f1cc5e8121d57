"""A call that is proxied: one dialog from end to end, in which we take part only by a sealed Route (decision 3).

The Signal, its rules and the call record are those of every call. A rule may still send it to a program, which then
answers as one more user agent. What is lost: hold, transfer and limits at the server, and the figures of the audio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from directory.model import Caller
from pbx.b2bua import diversion
from pbx.b2bua.incoming import IncomingLeg
from pbx.b2bua.leg import Leg
from pbx.b2bua.proxied_talk import ProxiedTalk
from pbx.b2bua.proxy_branch import Forwarder, ProxyBranch
from pbx.b2bua.refused_branch import RefusedBranch
from pbx.b2bua.sip_origin import SipOrigin
from pbx.proxy.context import with_all_challenges
from pbx.signal.answer import Answer
from pbx.signal.branch import Branch, Program
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.section_guard import MediaSecurity
from pbx.sipcore.session_ports import unknown_extensions
from pbx.sipcore.transactions import ServerTransaction

if TYPE_CHECKING:
    from pbx.b2bua.call import BranchRunner, Call


class ProxyOrigin:
    """Owns the caller's transaction until it is answered."""

    headers: tuple[tuple[str, str], ...] = ()
    hops = 70
    reliable = False
    security = MediaSecurity.OPTIONAL
    can_encrypt = True

    def __init__(self, caller: Caller, transaction: ServerTransaction, forwarder: Forwarder) -> None:
        self._caller = caller
        self._transaction = transaction
        self._forwarder = forwarder
        self._runners: list[ProxyBranch] = []
        self._program: SipOrigin | None = None
        self._leg: IncomingLeg | None = None

    def attach(self, call: Call) -> None:
        self._transaction.on_cancel = lambda cancel: call.signal.cancel(reason=cancel.get("Reason"))

    @property
    def caller(self) -> Caller:
        return self._caller

    @property
    def earlier(self) -> tuple[tuple[str, str], ...]:
        return diversion.earlier(self._transaction.request, self._caller)

    @property
    def asked(self) -> SessionDescription | None:
        return None

    def offer(self, leg: Leg) -> SessionDescription | None:
        return None

    def early_offer(self, leg: Leg, transaction: ServerTransaction) -> None:
        """Never told: the callees' phones offer to the caller himself."""

    def ring(self, call: Call, branch: Branch) -> BranchRunner:
        runner = ProxyBranch(call, branch, self._transaction, self._forwarder)
        self._runners.append(runner)
        return runner

    def run_program(self, call: Call, branch: Branch, target: Program) -> BranchRunner:
        """The program needs a leg: from here on we are a user agent server beside the proxy."""
        if unknown_extensions(self._transaction.request):
            return RefusedBranch(call, branch, 420)
        origin = SipOrigin(self._caller)
        try:
            leg = IncomingLeg(call.exchange, self._transaction, self._caller, origin)
        except SipSyntaxError:
            return RefusedBranch(call, branch, 400)
        origin.attach(call, leg)
        self._program, self._leg = origin, leg
        return origin.run_program(call, branch, target)

    def progress(self, call: Call, answer: Answer, runner: BranchRunner) -> None:
        if isinstance(runner, ProxyBranch):
            runner.pass_back()
        elif self._program is not None:
            self._program.progress(call, answer, runner)

    def connect(self, call: Call, runner: BranchRunner) -> None:
        if isinstance(runner, ProxyBranch):
            runner.pass_back()
            if self._leg is not None:  # a program was about to answer; the telephone was first
                self._leg.finish()
            ProxiedTalk(call, self._runners, runner).start()

    def refuse(self, call: Call, answer: Answer) -> None:
        if self._program is not None:
            self._program.refuse(call, answer)
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
