"""Which source do we believe, and where do we send? Symmetric RTP with protection against hijack (RFC 4961).

A machine: it is told each packet's source with the time. Not here: sockets, and whether the packet is sound RTP.

    SEEKING --packet from the SDP address, its host, or the guessed one--> LATCHED
            --any other source, and the SDP address silent for WINDOW----> LATCHED
    LATCHED --the SDP address speaks within SETTLING---------------------> LATCHED (to it)
            --latched source silent for STALE, same SSRC elsewhere-------> LATCHED (to that)
"""

from __future__ import annotations

import enum

Address = tuple[str, int]

# Limit: how long a stranger must go on speaking, with the SDP address silent, before a first latch.
WINDOW = 0.25
# Limit: until then after the first packet the address that signalling named may still take over.
SETTLING = 3.0
# Limit: silence of the latched source after which the same SSRC may come from elsewhere (a NAT binding that moved).
STALE = 2.0


class LatchState(enum.Enum):
    """SEEKING: nobody believed yet."""

    SEEKING = "seeking"
    LATCHED = "latched"


class Latch:
    """The latch of one stream. `source` is believed in (None: nobody yet); `strangers` counts what was refused, but
    not what came from a source that waits to be believed and then is."""

    __slots__ = (
        "_candidate", "_first", "_guess", "_heard", "_remote", "_since", "_ssrc", "_waiting", "source", "strangers",
    )  # fmt: skip

    def __init__(self) -> None:
        self._remote: Address | None = None
        self._guess: Address | None = None
        self._candidate: Address | None = None
        self._since = 0.0
        self._first = 0.0
        self._heard = 0.0
        self._ssrc = 0
        self._waiting = 0  # refused packets of the candidate
        self.source: Address | None = None
        self.strangers = 0

    @property
    def state(self) -> LatchState:
        return LatchState.SEEKING if self.source is None else LatchState.LATCHED

    def configure(self, remote: Address | None, guess: Address | None = None) -> None:
        """Signalling names the peer's address; a new one starts the search anew, the same one changes nothing."""
        if remote != self._remote:
            self.source = self._candidate = None
        self._remote, self._guess = remote, guess

    def accept(self, source: Address, ssrc: int, now: float) -> bool:
        """Believe a packet that is not from `source`, or the first one? Counts it as a stranger when not."""
        if source == self.source:
            self._heard, self._ssrc = now, ssrc
            return True
        if self._may_latch(source, ssrc, now):
            if self.source is None:
                self._first = now
            if source == self._candidate:
                self.strangers -= self._waiting  # it was the peer all along, behind a router
            self.source, self._candidate, self._waiting = source, None, 0
            self._heard, self._ssrc = now, ssrc
            return True
        self.strangers += 1
        self._waiting += source == self._candidate
        return False

    def _may_latch(self, source: Address, ssrc: int, now: float) -> bool:
        if self._remote is None:
            return False
        if self.source is None:
            return self.expected(source) or self._waited(source, ssrc, now)
        if source == self._remote and now - self._first < SETTLING:
            return True
        return now - self._heard > STALE and ssrc == self._ssrc

    def waits(self, source: Address) -> bool:
        """Whether the one that was just refused may yet turn out to be the peer."""
        return self.source is None and source == self._candidate

    def believe(self, source: Address) -> None:
        """Somebody who knows better (a connectivity check) says that this is the peer."""
        self.source, self._candidate = source, None

    def belongs(self, source: Address) -> bool:
        """Whether RTCP from there is the peer's: from the host of the latched source, or from where one is expected.
        What is sent to whom does not matter: a peer on hold reports as well."""
        return (self.source is not None and source[0] == self.source[0]) or self.expected(source)

    def expected(self, source: Address) -> bool:
        """The SDP address, another port of the same host (symmetric NAT), or where the signalling came from."""
        named = self._remote
        if named is None:
            return False
        return source[0] == named[0] or (self._guess is not None and source[0] == self._guess[0])

    def _waited(self, source: Address, ssrc: int, now: float) -> bool:
        if self._candidate is None or (source != self._candidate and now - self._heard > STALE):
            self._candidate, self._since, self._ssrc, self._waiting = source, now, ssrc, 0
        if source != self._candidate or ssrc != self._ssrc:
            return False
        self._heard = now
        return now - self._since >= WINDOW

    def targets(self) -> tuple[Address, ...]:
        """Where to send: the latched source, else the SDP address and the guessed one, so that two silent phones
        behind NAT never wait for each other."""
        if self.source is not None:
            return (self.source,)
        return tuple(address for address in dict.fromkeys((self._remote, self._guess)) if address is not None)
