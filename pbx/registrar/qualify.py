"""Asks registered phones now and then whether they are there: OPTIONS, spread over time, and what came of it.

A phone that does not answer stays registered: it is shown as unreachable, and others of the account are rung instead of
it. Any answer counts, also a refusal. Asked are UDP phones behind a NAT; a connection tells by itself that it is gone.

RFC 3261 §11 (OPTIONS), §17.1.2 (no answer within 32 seconds).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from base.clock import Clock, Timer
from base.entropy import Entropy
from base.log import get_logger
from base.metrics import Metrics
from pbx.nat.detection import behind_nat
from pbx.registrar.bindings import Binding, BindingKey, Bindings, Health
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.questions import Final, lone_request
from pbx.sipcore.transaction_ports import ClientUser
from pbx.sipcore.uri import Uri
from pbx.workarounds.kinds import Workaround
from pbx.workarounds.rows import Workarounds

_log = get_logger("pbx.registrar")


@dataclass(frozen=True, slots=True)
class Qualifying:
    """`seconds` from one question to the next, 0: never. `rate`: most questions a second.

    Limit: 50 a second are 3,000 phones a minute; beyond that a round takes longer than `seconds`.
    """

    seconds: int = 60
    failures: int = 2
    rate: int = 50


class Stack(Protocol):
    """What is needed of the SIP stack."""

    def request(self, request: Request, flow: Flow, user: ClientUser) -> object: ...

    def contact_for(self, flow: Flow, user: str = "") -> Uri: ...


class Qualifier:
    """`start` it when requests can be sent."""

    def __init__(
        self,
        clock: Clock,
        entropy: Entropy,
        metrics: Metrics,
        stack: Stack,
        bindings: Bindings,
        settings: Qualifying | None = None,
        workarounds: Workarounds | None = None,
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._metrics = metrics
        self._stack = stack
        self._bindings = bindings
        self._settings = settings or Qualifying()
        self._workarounds = workarounds or Workarounds()
        self._round: deque[BindingKey] = deque()
        self._each_second = 0
        self._asked: set[BindingKey] = set()
        self._timer: Timer | None = None
        metrics.gauge("pbx.registrar.unreachable", lambda: bindings.unreachable)

    def start(self) -> None:
        if self._settings.seconds:
            self._timer = self._clock.call_later(self._settings.seconds, self._begin)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        """A new round: all there are now, in an order of its own, spread evenly."""
        keys = [(binding.account_id, binding.key) for binding in self._bindings.all() if self._wanted(binding)]
        start = self._entropy.number(0, len(keys) - 1) if len(keys) > 1 else 0
        self._round.extend(keys[start:] + keys[:start])
        self._each_second = min(self._settings.rate, -(-len(keys) // self._settings.seconds))
        self._tick()

    def _wanted(self, binding: Binding) -> bool:
        done = self._workarounds.for_(binding.user_agent, binding.flow.remote[0])
        return Workaround.NO_OPTIONS not in done and _hidden(binding)

    def _tick(self) -> None:
        for _ in range(min(self._each_second, len(self._round))):
            self._ask(self._round.popleft())
        more = bool(self._round)
        self._timer = self._clock.call_later(
            1.0 if more else self._settings.seconds, self._tick if more else self._begin
        )

    def _ask(self, key: BindingKey) -> None:
        binding = self._bindings.find(*key)
        if binding is None or key in self._asked:
            return
        self._asked.add(key)
        self._metrics.count("pbx.registrar.qualified")
        began = self._clock.now()

        def told(response: Response | None) -> None:
            self._answered(key, binding, None if response is None else self._clock.now() - began)

        self._stack.request(self._options(binding), binding.flow, Final(told))

    def _options(self, binding: Binding) -> Request:
        contact = self._stack.contact_for(binding.flow)
        to, path = binding.contact, binding.path
        request = lone_request(self._entropy, "OPTIONS", to, sender=str(contact), to=to, contact=contact, path=path)
        request.add("Accept", "application/sdp")
        return request

    def _answered(self, key: BindingKey, asked: Binding, rtt: float | None) -> None:
        """`rtt` in seconds; None when no answer came."""
        self._asked.discard(key)
        binding = self._bindings.find(*key)
        if binding is None or binding.flow != asked.flow:
            return
        before = self._bindings.health(binding)
        failures = 0 if rtt is not None else 1 + (0 if before is None else before.failures)
        last = rtt if before is None or rtt is not None else before.rtt
        now = Health(failures, failures < self._settings.failures, last)
        self._bindings.judge(binding, now)
        was = before is None or before.reachable
        if was != now.reachable:
            _log.info("phone reachable" if now.reachable else "phone unreachable", contact=binding.contact,
                      source=f"{binding.flow.remote[0]}:{binding.flow.remote[1]}")  # fmt: skip
        if now.reachable and not was:
            self._bindings.announce(binding.account_id)


def _hidden(binding: Binding) -> bool:
    """UDP, and behind a NAT: what a phone says of itself is not where it sends from."""
    if binding.flow.reliable:
        return False
    try:
        uri = Uri.parse(binding.contact)
    except SipSyntaxError:
        return False
    host, port = binding.flow.remote
    return behind_nat(uri.host, host) or (uri.host == host and (uri.port or 5060) != port)
