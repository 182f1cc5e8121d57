"""Our end of ICE for one stream, as a lite agent: it answers connectivity checks and learns the path. A machine.

It never sends a check of its own, so its only candidate is the stream's address (RFC 8445 §2.5). Not here: candidates
in session descriptions, and sockets. RFC 8445, RFC 8489.

Missing: the full agent (RFC 8445 §2) and TURN (RFC 8656), as a server with an address of its own needs neither.
"""

from __future__ import annotations

from pbx.mediaproxy.engine import IceKeys
from pbx.mediaproxy.latch import Address
from pbx.nat import stun

# Limit: paths that a peer may have checked at a time; a browser with a handful of interfaces has fewer.
MOST_PATHS = 32


class IceLite:
    """One stream's. `selected` is the path that the peer has nominated, before that the first one it has checked."""

    __slots__ = ("_nominated", "_paths", "_user", "keys", "selected")

    def __init__(self, keys: IceKeys) -> None:
        self.keys = keys
        self.selected: Address | None = None
        self._user = f"{keys.ufrag}:{keys.peer_ufrag}".encode()
        self._paths: dict[Address, None] = {}
        self._nominated = False

    def valid(self, source: Address) -> bool:
        """Whether a check with the right password has come from there."""
        return source in self._paths

    def receive(self, data: bytes, source: Address) -> bytes | None:
        """The answer to a check; None for what deserves none."""
        try:
            check = stun.parse(data)
        except stun.StunError:
            return None
        if check.kind is not stun.StunClass.REQUEST or check.method != stun.BINDING:
            return None
        key = self.keys.password.encode()
        # RFC 8489 §9.1.3: who does not know the password is told nothing (it says 401; silence gives no amplification)
        if check.get(stun.USERNAME) != self._user or not stun.intact(data, key):
            return None
        strange = stun.unknown(check)
        if strange:
            return stun.failure(check, 420, "Unknown Attribute", strange).encode(key, fingerprint=True)
        if check.get(stun.ICE_CONTROLLED) is not None:
            # RFC 8445 §7.3.1.1: a lite agent is controlled, so the other one has to control
            return stun.failure(check, 487, "Role Conflict").encode(key, fingerprint=True)
        self._believe(source, nominated=check.get(stun.USE_CANDIDATE) is not None)
        return stun.success(check, source).encode(key, fingerprint=True)

    def _believe(self, source: Address, *, nominated: bool) -> None:
        self._paths[source] = self._paths.pop(source, None)  # the newest last
        if nominated or (self.selected is None and not self._nominated):
            self.selected = source
        self._nominated = self._nominated or nominated
        for old in list(self._paths):
            if len(self._paths) > MOST_PATHS and old != self.selected:
                del self._paths[old]
