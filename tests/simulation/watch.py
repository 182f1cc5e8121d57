"""What the wire shows of a server's promises, message by message: one final answer, no ring without a call, and which
registrations it has acknowledged.

It reads the octets and knows no object of the server. RFC 3261 §8.2.6, §10.3, §16.7, §17.2.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from base.clock import Clock
from pbx.transport.network import Endpoint
from tests.simulation.network import SERVER

WRITTEN_BEHIND = 3.3
"""A refresh that moves only the expiry may be lost in a crash for so long (decision 16), with the store's latency."""
FORGOTTEN = 30.0
"""Seconds after which a server transaction may have ended (64*T1, RFC 3261 §17.2)."""
STRETCH = 0.9
"""Seconds that a datagram may travel."""

_START = re.compile(rb"SIP/2\.0 (\d{3})|([A-Z]+) \S+ SIP/2\.0\r")
_BRANCH = re.compile(rb"\r\nVia: [^\r]*?;branch=([^;,\s]+)")
_CSEQ = re.compile(rb"\r\nCSeq: \d+ (\w+)")
_CALL_ID = re.compile(rb"\r\nCall-ID: (\S+)")
_FROM = re.compile(rb"\r\nFrom: [^\r]*?sips?:([^@;>]+)@")
_TO_USER = re.compile(rb"\r\nTo: [^\r]*?sips?:([^@;>]+)@")
_TO_TAG = re.compile(rb"\r\nTo: [^\r]*?;tag=([^;\s]+)")
_CONTACT = re.compile(rb"\r\nContact: <([^>]+)>[^\r]*?;expires=(\d+)")
_PROVED = re.compile(rb"\r\n(?:Proxy-)?Authorization: ")

Key = tuple[int, bytes, bytes]
"""Life of the server, branch, method: a server transaction (RFC 3261 §17.2.3)."""


@dataclass(frozen=True, slots=True)
class Sent:
    """Something on the wire; told in words only when somebody asks."""

    when: float
    source: Endpoint
    destination: Endpoint
    copies: int
    data: bytes

    def __str__(self) -> str:
        if self.data[:1] == b"\x80":
            said = f"voice {int.from_bytes(self.data[8:12], 'big'):08x}"
        else:
            first = self.data.partition(b"\r\n")[0].decode()
            cseq, call_id = _CSEQ.search(self.data), _CALL_ID.search(self.data)
            number = b"" if cseq is None else cseq[0].partition(b": ")[2]
            said = f"{first} [{number.decode()} {'' if call_id is None else call_id[1][:8].decode()}]"
        fate = {0: "lost ", 1: ""}.get(self.copies, "doubled ")
        return f"{self.when:9.3f} {_place(self.source)} > {_place(self.destination)} {fate}{said}"


def _place(endpoint: Endpoint) -> str:
    return "server" if endpoint == SERVER else f"{endpoint[0]}:{endpoint[1]}"


@dataclass(slots=True)
class Acknowledged:
    """One contact as 200s to REGISTER have told it: when, and until when it holds."""

    told: list[tuple[float, float]] = field(default_factory=list)

    def safe(self, now: float) -> float:
        """Until when it holds though the server be killed now: the first at once, refreshes a little later."""
        return next((until for when, until in reversed(self.told) if now - when > WRITTEN_BEHIND), self.told[0][1])


class Watch:
    """`may_ring` says whether a caller's INVITE may reach an account now; `faults` are told in words."""

    def __init__(self, clock: Clock, may_ring: Callable[[str, Endpoint], str]) -> None:
        self.story: list[Sent | str] = []
        self.faults: list[str] = []
        self.life = 0
        self.server_up = True
        self.proved: dict[str, set[int]] = defaultdict(set)
        """Call-IDs of INVITEs that came with an answer to a challenge, and the lives of the server that saw them."""
        self.contacts: dict[str, dict[str, Acknowledged]] = {}
        """By account, as the last 200 to a REGISTER of it lists them."""
        self._clock = clock
        self._may_ring = may_ring
        self._began: dict[Key, float] = {}
        self._arrived: dict[Key, float] = {}
        self._asked: set[tuple[bytes, bytes]] = set()
        self._finals: dict[Key, set[tuple[bytes, bytes]]] = defaultdict(set)
        self._listings: set[bytes] = set()  # the 200s to REGISTERs; one that is sent again is true no more
        self._rung: set[bytes] = set()

    def note(self, what: str) -> None:
        """Something happens in town."""
        self.story.append(f"{self._clock.now():9.3f} --- {what}")

    def fault(self, what: str) -> None:
        if what not in self.faults:
            self.note(f"FAULT {what}")
            self.faults.append(what)

    def server_gone(self, exempt: float) -> None:
        """The server is killed or has closed: what came in its last `exempt` seconds need not have been answered."""
        self.check_answered(self._clock.now() - exempt)
        self._arrived.clear()
        self.life += 1
        self.server_up = False

    def see(self, data: bytes, source: Endpoint, destination: Endpoint, copies: int) -> None:
        self.story.append(Sent(self._clock.now(), source, destination, copies, data))
        start = _START.match(data)
        if start is None:
            return
        method, branch = _CSEQ.search(data), _BRANCH.search(data)
        if method is None or branch is None:
            self.fault(f"a message without CSeq or Via: {data[:80]!r}")
            return
        key = (self.life, branch[1], method[1])
        if destination == SERVER:
            if start[2] is not None and copies:
                self._request(key, data)
        elif start[1] is not None and start[1] >= b"200":
            self._final(key, start[1], data)
        elif start[2] == b"INVITE" and branch[1] not in self._rung and _TO_TAG.search(data) is None:
            self._rung.add(branch[1])
            self._ring(data, destination)

    def _request(self, key: Key, data: bytes) -> None:
        self._asked.add(key[1:])
        if self._clock.now() - self._began.setdefault(key, self._clock.now()) > FORGOTTEN:
            self._finals.pop(key, None)  # what comes so late may be another transaction, or be absorbed
            self._began[key], self._arrived[key] = self._clock.now(), float("inf")
        if key[2] in (b"INVITE", b"REGISTER") and self.server_up and b"\r\nVia: SIP/2.0/UDP " in data:
            # (what came by a connection that is gone may find no way back)
            self._arrived.setdefault(key, self._clock.now())
        if key[2] == b"INVITE" and _PROVED.search(data) is not None:
            self.proved[_text(_CALL_ID, data)].add(self.life)

    def _final(self, key: Key, status: bytes, data: bytes) -> None:
        """RFC 3261 §17.2: one final answer; but a proxy passes the 2xx of each phone that answered (§16.7 step 5)."""
        finals = self._finals[key]
        if key[2] == b"REGISTER" and status == b"200" and data not in self._listings:
            self._listings.add(data)
            self._acknowledge(_text(_TO_USER, data), data)
        finals.add((status, _text(_TO_TAG, data).encode()))
        if key[1:] not in self._asked:
            self.fault(f"a final {status.decode()} to a {key[2].decode()} that never came, {_text(_CALL_ID, data)[:8]}")
        forked = key[2] == b"INVITE" and all(each == b"200" for each, _ in finals)
        if len(finals) > 1 and not forked:
            told = sorted(each.decode() for each, _ in finals)
            self.fault(f"{key[2].decode()} {_text(_CALL_ID, data)[:8]} got several finals: {told}")

    def _ring(self, data: bytes, destination: Endpoint) -> None:
        wrong = self._may_ring(_text(_FROM, data), destination)
        if wrong:
            self.fault(f"INVITE {_text(_CALL_ID, data)[:8]}: {wrong}")

    def check_answered(self, before: float) -> None:
        """Each INVITE and REGISTER that came before that moment has its final (RFC 4320: others may get none)."""
        for key, when in self._arrived.items():
            if when < before and not self._finals.get(key):
                self.fault(f"{key[2].decode()} of {when:.3f}, branch {key[1].decode()}, never got a final answer")

    # --- registrations

    def _acknowledge(self, account: str, data: bytes) -> None:
        now, known = self._clock.now(), self.contacts.get(account, {})
        listed = {}
        for contact, seconds in _CONTACT.findall(data):
            entry = listed[contact.decode()] = known.get(contact.decode()) or Acknowledged()
            until = now + int(seconds)
            if not entry.told or abs(entry.told[-1][1] - until) > 1.5:
                entry.told.append((now, until))
        self.contacts[account] = listed

    def crashed(self) -> None:
        """Refreshes of the last seconds may be forgotten; an unregistration never, for it was stored before its 200."""
        now = self._clock.now()
        for listed in self.contacts.values():
            for entry in listed.values():
                entry.told = [(now - WRITTEN_BEHIND - 1, entry.safe(now))]


def _text(pattern: re.Pattern[bytes], data: bytes) -> str:
    found = pattern.search(data)
    return "" if found is None else found[1].decode()
