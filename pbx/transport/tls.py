"""TLS over any stream of `pbx.transport.network`: to who uses it one more `Stream`, below it the user of another.

It chooses no certificate (`base.certificates` does) and knows no SIP. RFC 8446, RFC 5246; RFC 3261 §26.3.1, RFC 5922
(whose certificate: the name that was looked for).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from base.metrics import Metrics
from pbx.transport.handshakes import Handshake, Handshakes
from pbx.transport.network import Accept, Endpoint, Network, Stream, StreamUser

_CHUNK = 65_536


class Nobody:
    """The user of a stream that is not wanted."""

    def received(self, data: bytes) -> None: ...

    def ended(self) -> None: ...


class TlsStream:
    """One encrypted connection. `shaken` is told once: with None when the handshake is done and the user is there,
    else with the reason."""

    def __init__(
        self,
        below: Stream,
        context: ssl.SSLContext,
        accept: Accept,
        shaken: Callable[[str | None], None],
        *,
        name: str | None = None,
        client: bool = False,
    ) -> None:
        self._below = below
        self._accept = accept
        self._shaken: Callable[[str | None], None] | None = shaken
        self._user: StreamUser | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=not client, server_hostname=name)
        self._closing = False

    # --- as the stream of its user

    @property
    def local(self) -> Endpoint:
        return self._below.local

    @property
    def remote(self) -> Endpoint:
        return self._below.remote

    @property
    def unsent(self) -> int:
        return self._below.unsent

    def write(self, data: bytes) -> None:
        if self._closing:
            return
        try:
            self._object.write(data)
        except ssl.SSLError:
            self.abort()
        self._flush()

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            try:
                self._object.unwrap()  # RFC 8446 §6.1: close_notify; the peer's is not waited for
            except (ssl.SSLError, ValueError):
                pass
            self._flush()
        self._below.close()

    def abort(self) -> None:
        self._closing = True
        self._below.abort()

    # --- as the user of the stream below

    def start(self) -> None:
        """A client begins the handshake."""
        self._shake()

    def received(self, data: bytes) -> None:
        if self._closing:
            return
        self._incoming.write(data)
        if self._shaken is not None:
            self._shake()
        if self._shaken is None:
            self._read()

    def ended(self) -> None:
        self._closing = True
        self._tell("connection lost")
        user, self._user = self._user, None
        if user is not None:
            user.ended()

    # --- inside

    def _shake(self) -> None:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._flush()  # the alert
            self._tell(str(getattr(error, "verify_message", "") or error.reason or error))
            self._closing = True
            self._below.close()
        else:
            self._flush()
            self._user = self._accept(self)
            self._tell(None)

    def _tell(self, reason: str | None) -> None:
        shaken, self._shaken = self._shaken, None
        if shaken is not None:
            shaken(reason)

    def _read(self) -> None:
        while not self._closing:
            try:
                data = self._object.read(_CHUNK)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                data = b""
            except ssl.SSLError:
                self.abort()
                return
            if not data:
                self.close()
                return
            if self._user is not None:
                self._user.received(data)
        self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._below.write(self._outgoing.read())


class TlsDoor:
    """What a listener needs to accept TLS: `accept` goes to the network, `inner` gets each connection that is ready."""

    def __init__(self, context: ssl.SSLContext, handshakes: Handshakes, metrics: Metrics, inner: Accept) -> None:
        self._context = context
        self._handshakes = handshakes
        self._metrics = metrics
        self._inner = inner

    def accept(self, below: Stream) -> StreamUser:
        under_way = self._handshakes.begin(below.remote[0], below.abort)
        if under_way is None:
            below.abort()
            return Nobody()
        return TlsStream(below, self._context, self._inner, lambda reason: self._done(under_way, reason))

    def _done(self, under_way: Handshake, reason: str | None) -> None:
        under_way.end()
        self._metrics.count("pbx.transport.tls.accepted" if reason is None else "pbx.transport.tls.failed")


async def connect(
    network: Network,
    remote: Endpoint,
    context: ssl.SSLContext,
    name: str,
    accept: Accept,
    *,
    local_host: str = "",
    seconds: float = 10.0,
) -> Stream:
    """Open a connection to `remote` and shake hands with who must be `name`. Raises OSError."""
    ready: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def shaken(reason: str | None) -> None:
        if not ready.done():
            ready.set_result(reason)

    made: list[Stream] = []

    def keep(stream: Stream) -> StreamUser:
        made.append(stream)
        return accept(stream)

    user: list[TlsStream] = []

    def begin(below: Stream) -> StreamUser:
        wrapped = TlsStream(below, context, keep, shaken, name=name, client=True)
        user.append(wrapped)
        return wrapped

    below = await network.connect(remote, begin, local_host=local_host)
    user[0].start()
    try:
        async with asyncio.timeout(seconds):
            reason = await ready
    except TimeoutError as error:
        below.abort()
        raise OSError(f"no TLS handshake with {remote[0]}:{remote[1]} in {seconds:.0f} s") from error
    except asyncio.CancelledError:
        below.abort()
        raise
    if reason is not None:
        below.abort()
        raise OSError(f"TLS with {remote[0]}:{remote[1]} as {name}: {reason}")
    return made[0]
