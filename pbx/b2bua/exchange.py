"""What all calls share: the rooms they use, the table of their legs, and the tasks they run.

It knows no call; `switchboard` does. RFC 3261 §12 (a dialog is found by Call-ID and tags).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from base.clock import Clock
from base.entropy import Entropy
from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from directory.model import Account, Address, Caller, CallRule, Resolution
from directory.rules.occasion import Occasion
from pbx.b2bua.trunk_line import NoTrunks, TrunkLines
from pbx.lookup.lookups import LookUps
from pbx.mediaproxy.engine import Clip, MediaEngine
from pbx.nat.surroundings import Surroundings
from pbx.policy.relaying import People as Rights
from pbx.policy.relaying import is_gateway
from pbx.presence.lines import Lines
from pbx.programs import Programs
from pbx.proxy.anchors import Anchors
from pbx.records.book import Records
from pbx.registrar.bindings import Binding
from pbx.registrar.gruu import Gruus
from pbx.signal.port import Limits
from pbx.sipcore.flow import Flow
from pbx.sipcore.section_guard import MediaSecurity, media_security
from pbx.sipcore.session_ports import SessionPort, SessionTimers
from pbx.sipcore.uri import Uri
from pbx.toll.guard import TollGuard
from pbx.workarounds.kinds import Workaround
from pbx.workarounds.rows import Workarounds

if TYPE_CHECKING:
    from pbx.b2bua.call import Call
    from pbx.b2bua.leg import Leg
    from pbx.b2bua.proxied_talk import ProxiedTalk
    from pbx.b2bua.proxy_branch import Forwarder
    from pbx.b2bua.recording import Recordings
    from pbx.b2bua.talk import Talk

_log = get_logger("pbx.calls")


class Stack(SessionPort, Protocol):
    """The part of `pbx.transport.stack.SipStack` that calls use."""

    def contact_for(self, flow: Flow, user: str = "") -> Uri: ...

    def ours(self, host: str, port: int | None) -> bool: ...

    def advertised_host(self, flow: Flow) -> str: ...

    @property
    def surroundings(self) -> Surroundings: ...

    async def flow_to(self, uri: Uri, *, configured: bool = False) -> Flow:
        """Raises Failure("unavailable")."""

    def avoid(self, flow: Flow) -> None:
        """Who is there keeps silent: another host of its domain is tried next."""


class People(Rights, Protocol):
    """The part of the directory that calls use; all of it answers from memory."""

    @property
    def main_domain(self) -> str: ...

    def account(self, account_id: int) -> Account | None: ...

    def call_rules(self, account_id: int, occasion: Occasion) -> Sequence[CallRule]: ...

    def resolve(self, address: Address, *, caller: Caller | None, services: bool = True) -> Resolution: ...

    def resolve_target(
        self, target: str, account: Account, *, caller: Caller | None = None, services: bool = True
    ) -> Resolution: ...


class Phones(Protocol):
    """The part of `pbx.registrar.bindings.Bindings` that calls use."""

    def contacts(self, account_id: int) -> Sequence[Binding]: ...

    def ringable(self, account_id: int) -> Sequence[Binding]:
        """Those that answer, or all when none does."""

    async def reach(self, account_id: int, contact: str) -> Binding | None:
        """The binding of a contact; for a phone that has lost its connection, once it is back, or None."""

    def other_flow(self, account_id: int, tried: Collection[Flow], instance: str) -> Binding | None:
        """Another way to the same phone."""


@dataclass(frozen=True, slots=True)
class CallSettings:
    """Bounds and times of calls, in numbers and seconds.

    Limit: calls at once, `calls` in all and `calls_per_account`; each has few legs. What is more is refused.
    """

    calls: int = 5_000
    calls_per_account: int = 40
    silence: float = 60.0  # without RTP from either side, and nobody on hold
    agent: str = "Tandem"
    security: MediaSecurity = MediaSecurity.OPTIONAL  # of parties that are no account's
    signal: Limits = field(default_factory=Limits)
    timers: SessionTimers = field(default_factory=SessionTimers)


@dataclass(slots=True, eq=False)
class Exchange:
    """Handed to every call, leg and branch."""

    clock: Clock
    entropy: Entropy
    metrics: Metrics
    stack: Stack
    people: People
    phones: Phones
    media: MediaEngine
    records: Records
    settings: CallSettings = field(default_factory=CallSettings)
    lines: Lines = field(default_factory=Lines)
    """Who is on the phone, for those who watch."""
    workarounds: Workarounds = field(default_factory=Workarounds)
    gruus: Gruus | None = None
    programs: Programs | None = None
    forwarder: Forwarder | None = None
    toll: TollGuard | None = None
    """What accounts may spend outside; None: no limits."""
    trunks: TrunkLines = field(default_factory=NoTrunks)
    lookups: LookUps | None = None
    """Who finds where numbers lead that must be looked up."""
    anchors: Anchors | None = None
    """Who relays the media of proxied calls where it must be."""
    recordings: Recordings | None = None
    """Where recorded calls are kept; None: none is recorded."""
    may_monitor: Callable[[Caller, Account], bool] = lambda caller, account: False
    """Whether a caller may listen to an account's calls."""
    may_pick_up: Callable[[Caller, Account], bool] = lambda caller, account: caller.account == account
    """Whether a caller may take the calls that ring at an account's telephones."""
    sound: Callable[[str, Account | None], Clip | None] = lambda name, account: None
    """A prompt by its name, as an account hears it."""
    proxied: dict[str, ProxiedTalk] = field(default_factory=dict)
    """Proxied calls that were answered, by Call-ID: all that is seen of their end is a BYE that passes."""
    calls: dict[str, Call] = field(default_factory=dict)
    talks: dict[Talk, None] = field(default_factory=dict)
    """Those who talk to each other now, in the order in which they began."""
    _calls_of: Counter[int] = field(default_factory=Counter)
    _legs: dict[tuple[str, str], Leg] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def security_of(self, account_id: int | None) -> MediaSecurity:
        """How the media of an account's phones are to be protected; of anybody else's, without a number."""
        if account_id is None:
            return self.settings.security
        return media_security(self.people.setting(account_id, "MediaSecurity"))

    def contact(self, flow: Flow, user: str = "", *, secure: bool) -> str:
        """A Contact value of our own on that flow, the user part by chance if none is given; `sips:` where the peer
        asked for it (RFC 3261 §8.1.1.8, §12.1.1)."""
        uri = self.stack.contact_for(flow, user or self.entropy.token(6))
        return f"<{uri.secured() if secure and flow.transport in ('tls', 'wss') else uri}>"

    def trusts(self, flow: Flow, account: Account | None = None) -> bool:
        """Whether the peer there is in our trust domain (RFC 3325 §2.3): by its address, or by its login as that
        account, a gateway's."""
        return flow.remote[0] in self.people.network.trusted or (
            account is not None and is_gateway(self.people, account)
        )

    def session_timers(self, done: frozenset[Workaround]) -> SessionTimers:
        """The times of a session with a party for whom that is done."""
        timers = self.settings.timers
        return replace(timers, expires=-1) if Workaround.NO_SESSION_TIMER in done else timers

    def enter(self, call: Call) -> None:
        """A call begins. Raises Failure("full") beyond the limits."""
        account = call.limited_for
        if len(self.calls) >= self.settings.calls and not call.urgent:
            raise Failure("full", "Too many calls", temporary=True)
        if account is not None and self._calls_of[account] >= self._calls_limit(account):
            raise Failure("full", "Too many calls of one account", private=str(account), temporary=True)
        self.calls[call.id] = call
        if account is not None:
            self._calls_of[account] += 1

    def _calls_limit(self, account_id: int) -> int:
        limit = self.people.setting(account_id, "CallsLimit")
        return limit if isinstance(limit, int) else self.settings.calls_per_account

    def leave(self, call: Call) -> None:
        """A call is over."""
        account = call.limited_for
        if self.calls.pop(call.id, None) is not None and account is not None:
            self._calls_of[account] -= 1
            if self._calls_of[account] <= 0:
                del self._calls_of[account]

    def register(self, leg: Leg) -> None:
        """Let requests of the peer find this leg."""
        self._legs[leg.key] = leg

    def retire(self, leg: Leg) -> None:
        """The leg has ended; late ACKs and 2xx still find it for 64*T1."""
        self.clock.call_later(self.settings.timers.patience, lambda: self._forget(leg))

    def _forget(self, leg: Leg) -> None:
        if self._legs.get(leg.key) is leg:
            del self._legs[leg.key]

    def find(self, call_id: str, local_tag: str) -> Leg | None:
        return self._legs.get((call_id, local_tag))

    @property
    def legs(self) -> int:
        return len(self._legs)

    @property
    def translated(self) -> int:
        """How many legs may have a codec that the other party has not."""
        return sum(leg.media.asking.translating and not leg.ended for leg in self._legs.values())

    def spawn(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Run in the background; a fault is logged, and all end with the exchange."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.metrics.count("calls.faults")
            _log.error("call task failed", task=task.get_name(), exc_info=error)

    async def settle(self, seconds: float) -> None:
        """Wait for what is under way and what follows from it, but no longer than this; then cancel it."""
        until = self.clock.now() + seconds
        while self._tasks and (left := until - self.clock.now()) > 0:
            await asyncio.wait(set(self._tasks), timeout=left)
        for task in set(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
