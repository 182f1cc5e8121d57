"""One call: a Signal, who placed it, and the branches that ring. It delegates; each feature has its own module.

Not here: audio (`media_bridge`), programs (`program_leg`), transfers (`referral`), SIP (`leg`). Its life ends with one
call record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from base.log import get_logger
from directory.model import Account, Address, Caller, CallRule, ForeignRoute, Route, UnknownRoute
from directory.rules.occasion import Occasion
from pbx.b2bua.asserted import recorded
from pbx.b2bua.call_log import logged
from pbx.b2bua.diversion import times
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.leg import Leg
from pbx.b2bua.lookup_branch import LookUpBranch
from pbx.b2bua.outside import Outside
from pbx.b2bua.refused_branch import RefusedBranch
from pbx.b2bua.trunk_line import best_way
from pbx.b2bua.watching import tell_lines
from pbx.records.record import CallEvent, LiveRecord
from pbx.registrar.bindings import Binding
from pbx.signal.answer import Answer
from pbx.signal.branch import Branch, Device, Foreign, Program, Target
from pbx.signal.signal import Signal
from pbx.sipcore.breadth import Shares
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.section_guard import MediaSecurity
from pbx.sipcore.transactions import ServerTransaction

_log = get_logger("pbx.calls")

_MOST_EVENTS = 200
"""Limit: events of one call in its record."""


class BranchRunner(Protocol):
    """What carries one branch."""

    def start(self) -> None: ...

    def cancel(self, reason: str | None) -> None:
        """Stop; a final answer must still be told to the Signal."""

    def discard(self) -> None: ...


class CallOrigin(Protocol):
    """Who placed the call: a SIP caller, a program, or a transfer."""

    @property
    def caller(self) -> Caller: ...

    @property
    def hops(self) -> int:
        """Max-Forwards of what we send on."""

    @property
    def breadth(self) -> int | None:
        """In how many places it may ring at once (RFC 5393 §5.3.3); None: as many as we like."""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Headers that go on to the callee."""

    @property
    def earlier(self) -> tuple[tuple[str, str], ...]:
        """Where the call has been before it came to us (`diversion`)."""

    @property
    def security(self) -> MediaSecurity:
        """The setting of the caller."""

    @property
    def can_encrypt(self) -> bool:
        """Whether the caller's own media can be encrypted, as far as he has said."""

    @property
    def asked(self) -> SessionDescription | None:
        """What the caller has offered, as far as it is known before a callee's leg is there."""

    def offer(self, leg: Leg) -> SessionDescription | None:
        """What to offer to a callee; None makes him offer."""

    @property
    def reliable(self) -> bool:
        """Whether callees are told that we take reliable provisional responses (RFC 3262): what they say early is of
        use."""

    def early_offer(self, leg: Leg, transaction: ServerTransaction) -> None:
        """A callee that still rings offers other media (RFC 3311 §5.1)."""

    def ring(self, call: Call, branch: Branch) -> BranchRunner:
        """The runner of a branch to a phone or to an address elsewhere."""

    def run_program(self, call: Call, branch: Branch, target: Program) -> BranchRunner: ...

    def progress(self, call: Call, answer: Answer, runner: BranchRunner) -> None: ...

    def connect(self, call: Call, runner: BranchRunner) -> None:
        """A phone has answered: acknowledge it and join it with whoever placed the call."""

    def refuse(self, call: Call, answer: Answer) -> None: ...


class Call:
    """Made by `new_call`; `begin` it. It leaves the table of calls when nobody is connected any more."""

    def __init__(self, exchange: Exchange, origin: CallOrigin, record: LiveRecord) -> None:
        self.exchange = exchange
        self.origin = origin
        self.record = record
        self.signal = Signal(exchange.clock, self, exchange.settings.signal)
        self.ended = False
        self.limited_for: int | None = None
        """The account whose number of calls this one counts for."""
        self.urgent = False
        """It is for help: no limit keeps it out."""
        self.parties: list[Leg] = []
        self.tapes = 0
        """How many recordings were begun for it, by whichever talk."""
        self.hang_up_all: Callable[[int], None] | None = None
        self.byes_seen: frozenset[str] = frozenset()
        self.rung: set[Branch] = set()
        """Branches that have said they ring."""
        self._runners: dict[Branch, BranchRunner] = {}
        self.shares = Shares[Branch]()
        """What each branch says of how often it may be forked again."""
        self.offered: set[int] = set()
        """Accounts whom it was for: whose rules or telephones were asked."""
        self.wanted = False
        """Who is called has asked for it: it rings even where nobody wants to be disturbed."""
        self.too_open = False
        """Telephones were passed over because they did not register by TLS."""
        self._broken_off: tuple[str, str] | None = None
        self.outside = Outside(self)
        self.signal.on_change = lambda: tell_lines(self)

    @property
    def id(self) -> str:
        return self.record.id

    def begin(self, route: Route, expires: float | None = None) -> None:
        self.signal.begin(route, expires=expires, diverted=times(self.origin.earlier))

    # --- asked by the Signal

    def resolve(self, target: str, account: Account | None) -> Route:
        if account is not None:
            return self.exchange.people.resolve_target(target, account).route
        local, at, domain = target.rpartition("@")
        if not at:
            return UnknownRoute(Address(target, self.exchange.people.main_domain))
        return self.exchange.people.resolve(Address(local, domain), caller=self.origin.caller).route

    def devices(self, account: Account) -> Sequence[str]:
        self.offered.add(account.id)
        if not self.wanted and self.exchange.people.setting(account.id, "DoNotDisturb") == "YES":
            return ()  # a group's call does not ask its rules
        return [binding.contact for binding in self._fit(self.exchange.phones.ringable(account.id))]

    def device(self, account: Account, instance: str) -> Sequence[str]:
        self.offered.add(account.id)
        found = (*self.exchange.phones.ringable(account.id), *self.exchange.phones.contacts(account.id))
        return [binding.contact for binding in self._fit(found) if binding.instance == instance][:1]

    def _fit(self, bindings: Sequence[Binding]) -> Sequence[Binding]:
        """RFC 5630 §5.3: a call to a `sips:` address rings telephones that registered by TLS only."""
        fit = [binding for binding in bindings if binding.fits(self.record.dialled)]
        self.too_open = self.too_open or len(fit) < len(bindings)
        return fit

    def rules(self, account: Account) -> Sequence[CallRule]:
        self.offered.add(account.id)
        return self.exchange.people.call_rules(account.id, self._occasion(account))

    def _occasion(self, callee: Account) -> Occasion:
        """The call as the rules of who is called see it."""
        caller, record = self.origin.caller, self.record
        return Occasion(
            sender=caller.uri,
            sender_name=caller.name,
            uri=record.dialled,
            to=record.dialled,
            proved="" if caller.account is None else caller.account.address,
            private=caller.private,
            engaged=self.exchange.lines.busy(callee.id),
            wall=self.exchange.clock.wall(),
        )

    def best_way(self, route: ForeignRoute) -> ForeignRoute:
        return best_way(self.exchange.trunks, route)

    def start_branch(self, branch: Branch) -> None:
        runner = self._runner(branch)
        self._runners[branch] = runner
        _log.debug("branch started", call=self.id, branch=branch.number, target=str(branch.target))
        if branch.instead:
            self.exchange.metrics.count("calls.other-ways")
            _log.info("call goes another way", call=self.id, target=_named(branch.target))
        runner.start()

    def _runner(self, branch: Branch) -> BranchRunner:
        match branch.target:
            case Program():
                return self.origin.run_program(self, branch, branch.target)
            case Foreign(route) if not self.outside.allows(branch, route):
                return RefusedBranch(self, branch, 403)
            case Foreign(route) if (lookups := self.exchange.lookups) is not None and lookups.serves(route):
                return LookUpBranch(self, branch, lookups, route)
            case Device() | Foreign() if not self.shares.take(branch, self.origin.breadth, self.signal.open):
                return RefusedBranch(self, branch, 440)
            case Device() | Foreign():
                return self.origin.ring(self, branch)

    def runner(self, branch: Branch) -> BranchRunner | None:
        """What carries a branch, once it has started."""
        return self._runners.get(branch)

    @property
    def branches(self) -> Sequence[Branch]:
        """All that were tried, in their order."""
        return list(self._runners)

    def cancel_branch(self, branch: Branch, reason: str | None) -> None:
        if (runner := self._runners.get(branch)) is not None:  # none when starting it was what failed
            runner.cancel(reason)

    def discard(self, branch: Branch) -> None:
        self._runners[branch].discard()

    def provisional(self, branch: Branch, answer: Answer) -> None:
        if not self.rung:  # so that a kill of the server leaves a record of it
            self.exchange.records.opened(self.record.close(self.exchange.clock.wall()))
        self.rung.add(branch)
        self.origin.progress(self, answer, self._runners[branch])

    def answered(self, branch: Branch, answer: Answer) -> None:
        record = self.record
        record.answered = self.exchange.clock.wall()
        record.status = answer.status
        self.talks_with(branch)
        _log.info("call answered", call=self.id, caller=record.caller, callee=record.callee, program=record.program)
        if not isinstance(branch.target, Program):
            self.origin.connect(self, self._runners[branch])

    def talks_with(self, branch: Branch) -> None:
        """The record says that this branch is the one that has answered."""
        record = self.record
        match branch.target:
            case Program(route):
                record.program, record.callee = route.program, route.account.address
                record.callee_account = route.account.id
            case Device(account):
                record.callee, record.callee_account = account.address, account.id
            case Foreign(route=abroad):
                record.callee = str(abroad.address)
                self.outside.connected(branch, abroad)
        self.exchange.records.opened(record.close(self.exchange.clock.wall()))
        tell_lines(self)

    def failed(self, answer: Answer) -> None:
        self.record.status = answer.status
        self.origin.refuse(self, answer)
        by, cause = self._broken_off or ("caller" if answer.status == 487 else "", answer.reason)
        self.end(by, cause)

    def warning(self, answer: Answer) -> tuple[tuple[str, str], ...]:
        """What the caller is told beside his refusal (RFC 5630 §5.3, §7.2)."""
        return (("Warning", '380 tandem "SIPS Not Allowed"'),) if self.too_open and answer.status == 480 else ()

    @property
    def ringing_phones(self) -> int:
        """How many phones ring: early audio passes only from a single one."""
        return sum(1 for branch in self.signal.open if not isinstance(branch.target, Program))

    def note(self, what: str, about: str = "") -> None:
        """Something has happened that belongs into the record, also when the server is killed now."""
        if self.ended or len(self.record.events) >= _MOST_EVENTS:
            return
        now = self.exchange.clock.wall()
        self.record.events.append(CallEvent(now, what, about))
        if self.record.answered is not None:
            self.exchange.records.opened(self.record.close(now))

    # --- the end

    def hang_up(self, status: int = 0, cause: str = "shutdown") -> None:
        """End it, whatever its state (shutdown, an administrator, a limit)."""
        self.break_off(status or 480, cause)
        if self.hang_up_all is not None:
            self.hang_up_all(status)
        self.end("server", cause)

    def break_off(self, status: int, cause: str) -> None:
        """We end a call that nobody has answered yet."""
        self._broken_off = ("server", cause)
        self.signal.cancel(status)

    def end(self, by: str, cause: str) -> None:
        """Nobody is connected any more: close the record."""
        if self.ended:
            return
        self.ended = True
        if self.parties and (refused := self.parties[0].refused):
            # a phone has answered, and the call was over before the caller could be told
            self.record.answered, self.record.status = None, refused
        self.outside.close()
        self.record.ended_by, self.record.cause = self._broken_off or (by, cause)
        ended = self.exchange.clock.wall()
        self.exchange.leave(self)
        tell_lines(self)
        self.exchange.spawn(self._write(ended), f"record {self.id}")

    async def _write(self, ended: float) -> None:
        record = self.record
        if self.parties:
            record.near = await self.parties[0].side()
            record.codec = self.parties[0].codec
        if len(self.parties) > 1:
            record.far = await self.parties[1].side()
        closed = record.close(ended)
        self.exchange.records.write(closed, logged(self, closed))
        _log.info(
            "call",
            id=closed.id,
            call_id=closed.call_id,
            caller=closed.caller,
            dialled=closed.dialled,
            callee=closed.callee,
            program=closed.program,
            outcome=closed.outcome,
            status=closed.status,
            seconds=round(closed.duration, 1),
            ended_by=closed.ended_by,
            cause=closed.cause,
        )


def _named(target: Target) -> str:
    """Where a branch leads, for the log."""
    return str(target.route.address) if isinstance(target, Foreign) else type(target).__name__.lower()


def new_call(
    exchange: Exchange, origin: CallOrigin, call_id: str, dialled: str, *, counted: bool = False, urgent: bool = False
) -> Call:
    """A call within the limits; `counted` among those of its caller's account, `urgent`: one for help, which no limit
    keeps out. Raises Failure("full")."""
    caller = origin.caller
    account = None if caller.account is None else caller.account.id
    started = exchange.clock.wall()
    record = LiveRecord(exchange.entropy.token(8), call_id, started, recorded(caller), account, dialled)
    call = Call(exchange, origin, record)
    call.limited_for = account if counted and not urgent else None
    call.urgent = urgent
    exchange.enter(call)
    return call
