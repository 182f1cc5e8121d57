"""Sources that failed to log in so often that nothing of theirs is read for a while. Never Client IPs or trusted peers.

A failure counts only with a nonce that the source itself was given, so that nobody has another one shut out by forging
his address (`pbx.sipcore.digest`). It does not see messages: the SIP stack asks `shut_out` before it reads one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from base.clock import Clock
from base.log import get_logger
from base.metrics import Metrics
from directory.addresses import source_of
from directory.network import Network
from pbx.policy.tally import Tally

_log = get_logger("pbx.policy")

MOST = 10_000
"""Limit: sources shut out at once; of more the oldest may come in again."""


@dataclass(slots=True)
class Block:
    """A source that is shut out until `ends`, in seconds of the clock."""

    source: str
    ends: float
    failures: int
    dropped: int = 0


class Blocks:
    """`failed` and `succeeded` are told of each login; `shut_out` is asked for each datagram and connection."""

    def __init__(self, clock: Clock, metrics: Metrics, network: Callable[[], Network]) -> None:
        self._clock = clock
        self._metrics = metrics
        self._network = network
        self._failures: Tally[str] = Tally(clock)
        self._blocks: OrderedDict[str, Block] = OrderedDict()
        metrics.gauge("sip.blocked.sources", lambda: len(self._blocks))

    def failed(self, host: str) -> None:
        """One more failed login from there."""
        network, source = self._network(), source_of(host)
        if host in network.clients or host in network.trusted:
            return
        if self._failures.passes(source, network.block_after):
            self._shut(source, network.block_time)

    def _shut(self, source: str, seconds: float) -> None:
        failures = self._failures.count(source)
        self._failures.forget(source)
        self._blocks[source] = Block(source, self._clock.now() + seconds, failures)
        if len(self._blocks) > MOST:
            self._blocks.popitem(last=False)
        self._metrics.count("sip.blocked")
        _log.warning("source blocked", source=source, failures=failures, seconds=seconds)

    def succeeded(self, host: str) -> None:
        """A right password: what failed before was mistyped, or another telephone behind the same router."""
        self._failures.forget(source_of(host))

    def shut_out(self, host: str) -> bool:
        """Whether nothing from there is to be read now."""
        if not self._blocks:
            return False
        block = self._blocks.get(source_of(host))
        if block is None:
            return False
        network = self._network()
        if self._clock.now() >= block.ends or host in network.clients or host in network.trusted:
            del self._blocks[block.source]
            return False
        block.dropped += 1
        self._metrics.count("sip.blocked.dropped")
        return True

    # --- for people

    def blocked(self) -> Sequence[tuple[Block, float]]:
        """Sources that are shut out, each with the seconds that are left."""
        now = self._clock.now()
        return [(block, block.ends - now) for block in self._blocks.values() if block.ends > now]

    def lift(self, address: str) -> bool:
        """Let a source in again; False when it was not shut out."""
        source = address if address in self._blocks else source_of(address)
        self._failures.forget(source)
        return self._blocks.pop(source, None) is not None
