"""The way to others: a flow to a SIP address, over a connection that is open or a new one.

Where an address leads, `locate` says; what is sent is the stack's business. RFC 3263 §4.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from base.failures import Failure
from pbx.nat.detection import beside
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Response
from pbx.sipcore.transactions import Cause, ClientUser
from pbx.sipcore.uri import Uri
from pbx.transport import tls
from pbx.transport.connections import Connections
from pbx.transport.doors import SECURE, Doors
from pbx.transport.locate import Locator, Place
from pbx.transport.network import Network, Stream

ANYWHERE = ("0.0.0.0", "::")


class Reach:
    """Of one stack. Without `client_tls` nobody is reached over TLS."""

    def __init__(
        self,
        network: Network,
        locator: Locator,
        doors: Doors,
        connections: Connections,
        client_tls: ssl.SSLContext | None,
    ) -> None:
        self._network = network
        self._locator = locator
        self._doors = doors
        self._connections = connections
        self._client_tls = client_tls
        self.known: Callable[[str], bool] = lambda _host: False
        """Whether the administrator has named an address beside us as one of a peer."""

    async def flow_to(self, uri: Uri, *, configured: bool = False) -> Flow:
        """A flow to a SIP address: an open connection, a new one, or a datagram flow; the first place that takes one
        (RFC 3263 §4). A place that fails later is avoided for a while, so that asking again gives the next.

        What somebody dialled, or a name that he has put into the DNS, shall not reach the other services of this
        machine: an address beside us is none, unless it is `configured` or `known`, or we stand on such an address.

        Raises Failure("unavailable") when the host is unknown or none of its places answers.
        """
        places = await self._locator.places(uri, self._able)
        tried: list[str] = []
        for place in places:
            try:
                if not configured:
                    self._protect(place.remote[0])
                return await self._flow_at(place)
            except OSError as error:
                tried.append(f"{place.transport} {place.remote}: {error}")
                self._locator.avoid(place.transport, place.remote)
        raise Failure("unavailable", "No connection", private="; ".join(tried), temporary=True)

    @property
    def _able(self) -> tuple[str, ...]:
        """The transports by which we can reach others, the preferred first."""
        return ("udp", "tcp", "tls") if self._client_tls is not None else ("udp", "tcp")

    def _protect(self, host: str) -> None:
        if beside(host) and not self.known(host) and not self._stands_beside:
            raise OSError("beside us, and no known peer")

    @property
    def _stands_beside(self) -> bool:
        """We ourselves are reached only from this machine or link."""
        return all(beside(local[0]) and local[0] not in ANYWHERE for _, local in self._doors.addresses)

    async def _flow_at(self, place: Place) -> Flow:
        if place.transport != "udp":
            return await self.stream_flow(place)
        socket = self._doors.socket_for(place.remote[0])
        if socket is None:
            raise OSError("address family not supported")
        return Flow("udp", socket.local, place.remote)

    async def stream_flow(self, place: Place) -> Flow:
        """An open connection to that place, or a new one. Raises OSError."""
        name = place.name if place.transport in SECURE else ""
        flow = self._connections.flow_to(place.transport, place.remote, name)
        if flow is not None:
            return flow
        stream = await self._connect(place, name)
        opened = self._connections.flow_to(place.transport, stream.remote, name)
        if opened is None:
            raise OSError("connection lost")
        return opened

    async def _connect(self, place: Place, name: str) -> Stream:
        accept = self._connections.opener(place.transport, name)
        here = self._doors.stream_host(place.transport, place.remote[0])
        if place.transport not in SECURE:
            return await self._network.connect(place.remote, accept, local_host=here)
        if self._client_tls is None:
            raise OSError("TLS is not set up")
        return await tls.connect(self._network, place.remote, self._client_tls, name, accept, local_host=here)

    def watched(self, user: ClientUser, flow: Flow) -> ClientUser:
        """Requests to hosts found by DNS are watched, so that the next one does not go where one has failed."""
        return Watch(user, self._locator, flow) if self._locator.located(flow.transport, flow.remote) else user

    def avoid(self, flow: Flow) -> None:
        """Its host keeps silent: for a while others of its domain are tried first."""
        self._locator.avoid(flow.transport, flow.remote)


class Watch:
    """The user of a request to a host that DNS named: what becomes of it is told to the locator (RFC 3263 §4.3)."""

    def __init__(self, user: ClientUser, locator: Locator, flow: Flow) -> None:
        self._user = user
        self._locator = locator
        self._place = (flow.transport, flow.remote)

    def on_response(self, response: Response) -> None:
        if response.status == 503:
            self._locator.avoid(*self._place)
        else:
            self._locator.forgive(*self._place)
        self._user.on_response(response)

    def on_failure(self, cause: Cause) -> None:
        self._locator.avoid(*self._place)
        self._user.on_failure(cause)
