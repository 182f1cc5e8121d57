"""Whether a trunk answers: OPTIONS now and then, more seldom while it is down. Pure; `HealthPort` carries it out.

    UNKNOWN ──answered──> UP ──no answer, or 503──> DOWN ──answered──> UP

Any answer counts but those that tell of a server in need: who refuses OPTIONS is there. A trunk that is down is asked
again after 15 s, then 30, 60 … up to ten minutes, each cut by chance; where it is asked by hand only, it is UNKNOWN
then. Of a trunk that registers silence says nothing until it has answered once: some providers never do.

RFC 3261 §11 (OPTIONS), §20.33 (Retry-After), §21.5.4 (503).
"""

from __future__ import annotations

import enum
from typing import Protocol

from base.clock import Clock, Timer
from base.entropy import Entropy
from pbx.sipcore.message import Response
from pbx.trunk import explain
from pbx.trunk.model import Trunk

FIRST_WAIT = 15.0
LONGEST_WAIT = 600.0


class State(enum.Enum):
    """See the head of the module."""

    UNKNOWN = "not asked"
    UP = "up"
    DOWN = "down"


class HealthPort(Protocol):
    """The driver."""

    @property
    def trunk(self) -> Trunk: ...

    @property
    def ready(self) -> bool:
        """Whether it makes sense to ask: a trunk that registers is registered."""

    def ask(self) -> None:
        """Send OPTIONS, to its servers one after another, then tell `answered` or `unanswered`."""

    def judged(self, state: State, said: str, *, news: bool) -> None:
        """What an answer, or none, has meant; `news`: it was not so before."""


class Health:
    """Of one trunk. `said` is in words, `due` the time at which it is asked next."""

    def __init__(self, clock: Clock, entropy: Entropy, port: HealthPort) -> None:
        self._clock = clock
        self._entropy = entropy
        self._port = port
        self._timer: Timer | None = None
        self._failures = 0
        self._has_answered = False
        self._waiting = False
        self.state = State.UNKNOWN
        self.said = ""
        self.due = 0.0
        self.steps: list[str] = []
        """What happened since it was asked last, in words."""

    # --- from above

    def start(self) -> None:
        """From now on, as often as the trunk says."""
        self._due()

    def ask(self) -> None:
        """Now, whatever the trunk says."""
        self._set_timer(None)
        self._waiting = True
        self.steps = [f"looking for {self._port.trunk.next_hop}"]
        self._port.ask()

    def doubt(self) -> None:
        """A call got no answer: it is down until it says otherwise, and is asked at once."""
        if self._port.trunk.options and self._counts:
            self._be(State.DOWN, "a call got no answer")
            if not self._waiting:
                self.ask()

    def stop(self) -> None:
        """Ask no more."""
        self._set_timer(None)
        self._waiting = False
        self.state, self.said = State.UNKNOWN, ""

    # --- from the driver

    def answered(self, response: Response) -> None:
        """The final response of a server."""
        if not self._waiting:
            return
        self.steps.append(f"the provider answered {explain.asking(response)}")
        if response.status in explain.IN_NEED:
            self._failed(explain.asking(response), response.number("Retry-After"))
            return
        self._waiting, self._failures, self._has_answered = False, 0, True
        self._be(State.UP, "")
        self._again(self._port.trunk.options * self._entropy.number(900, 1000) / 1000)

    def unanswered(self, cause: str) -> None:
        """No server of it has answered."""
        if self._waiting:
            self.steps.append(explain.unreachable(cause))
            self._failed(explain.unreachable(cause), None)

    # --- inside

    @property
    def _counts(self) -> bool:
        """Whether its silence means that it is down."""
        return self._has_answered or not self._port.trunk.registers

    def _failed(self, said: str, retry_after: int | None) -> None:
        self._waiting = False
        if self._counts:
            self._be(State.DOWN, said)
        whole = min(FIRST_WAIT * (1 << self._failures), LONGEST_WAIT)
        self._failures = min(self._failures + 1, 10)
        wait = whole * self._entropy.number(500, 1000) / 1000
        self._set_timer(max(wait, min(retry_after or 0, LONGEST_WAIT)))

    def _again(self, seconds: float) -> None:
        """Not where it was asked by hand only."""
        self._set_timer(seconds if self._port.trunk.options else None)

    def _due(self) -> None:
        if self._port.trunk.options and self._port.ready:
            self.ask()
        else:
            self.stop()
            self._again(self._port.trunk.options)

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self._clock.call_later(seconds, self._due)
        self.due = 0.0 if seconds is None else self._clock.now() + seconds

    def _be(self, state: State, said: str) -> None:
        news, self.state, self.said = state is not self.state, state, said
        self._port.judged(state, said, news=news)
