"""What each source fails at: counted, told to the log once or always, answered late, and in the end shut out.

A request without credentials is no failure: honest phones begin with one. Who asks again and again and never answers
the challenge looks for names that exist, and is told of. Right passwords forgive a source what failed before.
"""

from __future__ import annotations

from collections.abc import Callable

from base.clock import Clock
from base.log import get_logger
from base.logins import tell_failure
from base.metrics import Metrics
from directory.addresses import source_of
from directory.network import Network
from directory.pace import Pace
from pbx.policy.blocks import Blocks
from pbx.policy.settings import PolicySettings
from pbx.policy.slowdown import Slowdown
from pbx.policy.tally import Tally
from pbx.sipcore.flow import Flow
from pbx.transport.limiter import Recent

_log = get_logger("pbx.policy")

UNANSWERED = (Pace(100, 300.0),)
"""Limit: challenges of one source without a right password in between, in five minutes; an office that starts all its
phones at once stays below it or succeeds in between."""


class Watch:
    """`close` drops answers that are held back."""

    def __init__(
        self, clock: Clock, metrics: Metrics, settings: PolicySettings, network: Callable[[], Network]
    ) -> None:
        self._metrics = metrics
        self._slowdown = Slowdown(clock, metrics, settings)
        self._challenges: Tally[str] = Tally(clock)
        self._told: Recent[str] = Recent(clock, window=60.0)
        self.blocks = Blocks(clock, metrics, network)

    def close(self) -> None:
        self._slowdown.close()

    def challenged(self, flow: Flow) -> None:
        """A request without credentials, or with such as are too old to count."""
        if self._challenges.passes(source_of(flow.remote[0]), UNANSWERED):
            self._metrics.count("sip.auth.unanswered-challenges")
            self.suspicious(flow, "-", "scan")

    def succeeded(self, flow: Flow) -> None:
        """A right password: what failed before was a mistyped one, or another phone behind the same router."""
        source = source_of(flow.remote[0])
        self._slowdown.succeeded(source)
        self._challenges.forget(source)
        self.blocks.succeeded(flow.remote[0])

    def failed(self, flow: Flow, user: str, reason: str, answer: Callable[[], None]) -> None:
        """Credentials that do not hold: `answer` now, later or not at all."""
        self._metrics.count("sip.auth.failures")
        tell_failure(_log, "sip", flow.remote, user, reason)
        self.blocks.failed(flow.remote[0])
        self._slowdown.refuse(source_of(flow.remote[0]), answer)

    def suspicious(self, flow: Flow, user: str, reason: str) -> None:
        """What proves no guess, and over UDP may bear a forged source: told once a minute."""
        if self._told.first(f"{reason} {flow.remote[0]}"):
            tell_failure(_log, "sip", flow.remote, user, reason)
