"""Keeps the way open to UDP telephones behind routers: something small to each, now and then, from where it registered.

A router forgets an unused way after half a minute at worst, and the next call would not get in. What is sent is no
request and wants no answer; `pbx.registrar.qualify` asks whether somebody is there. RFC 5626 §4.4.1 has CRLF for
streams only; for datagrams it is what telephones and registrars in the field do, as is an empty datagram.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Literal, Protocol

from base.clock import Clock, Timer
from base.metrics import Metrics
from pbx.nat.surroundings import Surroundings
from pbx.registrar.bindings import Binding
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.flow import Flow
from pbx.sipcore.uri import Uri
from pbx.workarounds.kinds import Workaround
from pbx.workarounds.rows import Workarounds

Kind = Literal["off", "empty", "crlf"]
_WHAT = {"empty": b"", "crlf": b"\r\n\r\n"}
_SLICES = 20
"""Parts of a round, so that thousands of telephones do not make one burst."""


class Sender(Protocol):
    """The part of the SIP stack that is needed."""

    @property
    def surroundings(self) -> Surroundings: ...

    def send(self, flow: Flow, data: bytes) -> None: ...


class Registered(Protocol):
    """The part of `pbx.registrar.bindings.Bindings` that is needed."""

    def all(self) -> Sequence[Binding]: ...


class KeepAlive:
    """`start` it when datagrams can be sent, `close` it before the sockets."""

    def __init__(
        self,
        clock: Clock,
        metrics: Metrics,
        stack: Sender,
        phones: Registered,
        kind: Kind,
        interval: float,
        workarounds: Workarounds | None = None,
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._stack = stack
        self._phones = phones
        self._data = _WHAT.get(kind)
        self._interval = interval
        self._workarounds = workarounds or Workarounds()
        self._round: deque[Flow] = deque()
        self._portion = 0
        self._ticks = 0
        self._timer: Timer | None = None

    def start(self) -> None:
        if self._data is not None and self._timer is None:
            self._later()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _later(self) -> None:
        self._timer = self._clock.call_later(self._interval / _SLICES, self._tick)

    def _tick(self) -> None:
        if self._ticks % _SLICES == 0:
            self._round = deque(self._hidden())
            self._portion = -(-len(self._round) // _SLICES)
        self._ticks += 1
        for _ in range(min(self._portion, len(self._round))):
            self._stack.send(self._round.popleft(), self._data or b"")
            self._metrics.count("pbx.nat.keepalives")
        self._later()

    def _hidden(self) -> list[Flow]:
        """Where telephones behind routers are, each once."""
        flows = (each.flow for each in self._phones.all() if not each.flow.reliable and self._behind(each))
        return list(dict.fromkeys(flows))

    def _behind(self, binding: Binding) -> bool:
        if Workaround.NO_KEEPALIVE in self._workarounds.for_(binding.user_agent, binding.flow.remote[0]):
            return False
        try:
            said = Uri.parse(binding.contact).host
        except SipSyntaxError:
            return False
        return self._stack.surroundings.behind_nat(said, binding.flow.remote[0])
