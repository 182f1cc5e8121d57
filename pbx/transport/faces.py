"""What we are called: the address of ours that a peer must use, and whether a name that comes back is our own.

It opens and sends nothing. RFC 3261 §18.1.1 (Via), §8.1.1.8 (Contact), RFC 7118 §5.2.
"""

from __future__ import annotations

from pbx.nat.detection import numeric
from pbx.nat.surroundings import Surroundings
from pbx.sipcore.flow import Flow
from pbx.sipcore.uri import Uri
from pbx.transport.doors import Doors
from pbx.transport.network import Network

FACES = 4096
"""Limit: hosts for which our address is remembered; a look-up opens a socket."""


class Faces:
    """Of one stack."""

    def __init__(self, network: Network, doors: Doors, surroundings: Surroundings, public: str) -> None:
        self._network = network
        self._doors = doors
        self.surroundings = surroundings
        self._hosts = {public, *surroundings.public}
        self._ports: frozenset[int] = frozenset()
        self._faces: dict[str, str] = {}

    def learn(self) -> None:
        """The doors are open: their names are ours."""
        bound = [local for _, local in self._doors.addresses]
        self._ports = frozenset(port for _, port in bound)
        self._hosts.update(host for host, _ in bound)

    def forget(self) -> None:
        """The machine's addresses have changed: the one that faces a peer is looked up anew."""
        self._hosts.difference_update(self._faces.values())
        self._faces.clear()
        self._hosts.update(self.surroundings.public)
        self.learn()

    def sent_by(self, flow: Flow) -> str:
        """host:port for a Via on that flow (RFC 3261 §18.1.1)."""
        host = self.advertised_host(flow)
        return f"[{host}]:{self._doors.port(flow)}" if ":" in host else f"{host}:{self._doors.port(flow)}"

    def contact_for(self, flow: Flow, user: str = "") -> Uri:
        """Where the peer on that flow reaches us: for Contact and Record-Route.

        Interop: `sip` with `transport=tls`, which RFC 3261 §26.2.2 calls obsolete: every phone understands it, while
        `sips` is not offered to peers that did not ask for it. WebSocket is `ws` with or without TLS (RFC 7118 §5.2).
        """
        named = "ws" if flow.transport == "wss" else flow.transport
        params = {} if named == "udp" else {"transport": named}
        return Uri("sip", user, None, self.advertised_host(flow), self._doors.port(flow), params)

    def advertised_host(self, flow: Flow) -> str:
        """Our address as the peer on that flow must use it, for signalling and for media."""
        public = self.surroundings.public_for(flow.remote[0])
        if public:
            return public
        if flow.local[0] not in ("0.0.0.0", "::", ""):
            return flow.local[0]
        known = self._faces.get(flow.remote[0])
        if known is None:
            if len(self._faces) >= FACES:
                self._faces.clear()
            known = self._faces[flow.remote[0]] = self._network.facing(flow.remote[0])
            self._hosts.add(known)
        return known

    def ours(self, host: str, port: int | None) -> bool:
        """True when host and port are one of our sockets: a message from there is our own that came back."""
        if (port or 5060) not in self._ports:
            return False
        return host in self._hosts or (":" in host and numeric(host) in self._hosts)
