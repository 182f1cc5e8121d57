"""Plain telephones for benches that need audio or a look at single messages: one SIP socket, many calls, no threads.

They answer whatever they must (ring and accept, 200 to the rest) while `until` waits. They never retransmit: loopback
loses nothing. RFC 3261, as little as is needed.
"""

from __future__ import annotations

import itertools
import secrets
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from bench.site import DOMAIN, PASSWORD
from pbx.sipcore import digest
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.parser import parse
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.uri import NameAddress

Endpoint = tuple[str, int]
_numbers = itertools.count(1)


@dataclass(slots=True)
class Call:
    """One call as its telephone sees it. `sound` is our socket, `peer` where our packets go."""

    call_id: str
    number: str
    sound: socket.socket
    tag: str = field(default_factory=lambda: secrets.token_hex(6))
    cseq: int = 1
    to: str = ""
    target: str = ""
    peer: Endpoint | None = None
    status: int = 0
    ended: bool = False


class Telephones:
    """`with Telephones(host, server) as phones:`; `calls` are those we made, `taken` those we answered."""

    def __init__(self, host: str, server: Endpoint) -> None:
        self._host = host
        self._server = server
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind((host, 0))
        self.address: Endpoint = self._socket.getsockname()
        self.calls: dict[str, Call] = {}
        self.taken: dict[str, Call] = {}
        self._answers: dict[str, Response] = {}

    def __enter__(self) -> Telephones:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for call in (*self.calls.values(), *self.taken.values()):
            call.sound.close()
        self._socket.close()

    # --- what a telephone does

    def register(self, name: str, contact: Endpoint | None = None) -> None:
        """Log in; `contact` when another program shall take the calls."""
        host, port = contact or self.address
        call_id, own = secrets.token_hex(8), f"sip:{name}@{DOMAIN}"
        rest = [("Contact", f"<sip:{name}@{host}:{port}>"), ("Expires", "3600")]
        challenge = self._ask(self._request("REGISTER", f"sip:{DOMAIN}", own, f"<{own}>", call_id, 1, rest))
        asked = digest.parse_challenge(challenge.get("WWW-Authenticate") or "")
        login = digest.respond(
            asked, username=name, password=PASSWORD, method="REGISTER", uri=f"sip:{DOMAIN}", cnonce="c"
        )
        rest.append(("Authorization", login))
        answer = self._ask(self._request("REGISTER", f"sip:{DOMAIN}", own, f"<{own}>", call_id, 2, rest))
        if answer.status != 200:
            raise RuntimeError(f"{name} could not register: {answer.status} {answer.reason}")

    def call(self, number: str) -> Call:
        """INVITE; wait with `until(lambda: call.status)`."""
        call = Call(secrets.token_hex(8), number, self._sound())
        self.calls[call.call_id] = call
        call.target, call.to = f"sip:{number}@{DOMAIN}", f"<sip:{number}@{DOMAIN}>"
        invite = self._inside(call, "INVITE", (("Contact", f"<sip:bench@{self._where()}>"),))
        invite.set_body(self._description(call.sound), "application/sdp")
        self._send(invite)
        return call

    def digit(self, call: Call, digit: str) -> None:
        """A key, by INFO."""
        call.cseq += 1
        info = self._inside(call, "INFO")
        info.set_body(f"Signal={digit}\r\nDuration=120\r\n".encode(), "application/dtmf-relay")
        self._send(info)

    def hang_up(self, call: Call) -> None:
        call.cseq += 1
        self._send(self._inside(call, "BYE"))

    def until(self, done: Callable[[], object], limit: float = 15.0) -> None:
        """Do what telephones do until `done()`. Raises TimeoutError."""
        end = time.monotonic() + limit
        while not done():
            if time.monotonic() > end:
                raise TimeoutError("the server did not do what was waited for")
            ready, _, _ = select.select([self._socket], [], [], 0.02)
            if ready:
                self._received(self._socket.recv(65_535))

    # --- messages

    def _where(self) -> str:
        return f"{self.address[0]}:{self.address[1]}"

    def _sound(self) -> socket.socket:
        sound = socket.socket(type=socket.SOCK_DGRAM)
        sound.bind((self._host, 0))
        sound.setblocking(False)
        return sound

    def _description(self, sound: socket.socket) -> bytes:
        return (
            f"v=0\r\no=bench 1 1 IN IP4 {self._host}\r\ns=-\r\nc=IN IP4 {self._host}\r\nt=0 0\r\n"
            f"m=audio {sound.getsockname()[1]} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
            "a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n"
        ).encode()

    def _request(
        self,
        method: str,
        uri: str,
        sender: str,
        to: str,
        call_id: str,
        cseq: int,
        rest: list[tuple[str, str]],
        tag: str = "1",
    ) -> Request:
        request = Request(method, uri)
        request.add("Via", f"SIP/2.0/UDP {self._where()};branch=z9hG4bK{next(_numbers)}{secrets.token_hex(4)}")
        request.add("Max-Forwards", "70")
        request.add("From", f"<{sender}>;tag={tag}")
        request.add("To", to)
        request.add("Call-ID", call_id)
        request.add("CSeq", f"{cseq} {method}")
        for name, value in rest:
            request.add(name, value)
        return request

    def _inside(self, call: Call, method: str, rest: tuple[tuple[str, str], ...] = ()) -> Request:
        sender = f"sip:bench@{self._where()}"
        return self._request(method, call.target, sender, call.to, call.call_id, call.cseq, list(rest), call.tag)

    def _send(self, message: Request | Response) -> None:
        self._socket.sendto(message.encode(), self._server)

    def _ask(self, request: Request) -> Response:
        self._send(request)
        self.until(lambda: request.call_id in self._answers)
        return self._answers.pop(request.call_id)

    def _received(self, data: bytes) -> None:
        message = parse(data)
        if isinstance(message, Response):
            self._response(message)
        elif message.method == "INVITE":
            self._take(message)
        elif message.method != "ACK":
            self._send(response_to(message, 200))
            call = self.calls.get(message.call_id) or self.taken.get(message.call_id)
            if call is not None and message.method == "BYE":
                call.ended = True

    def _response(self, response: Response) -> None:
        call = self.calls.get(response.call_id)
        if response.status < 200:
            return
        if call is None:
            self._answers[response.call_id] = response
        elif response.method == "INVITE":
            self._answered(call, response)
        elif response.method == "BYE":
            call.ended = True

    def _answered(self, call: Call, response: Response) -> None:
        call.status, call.to = response.status, response.get("To") or ""
        if response.status == 200:
            call.target = str(NameAddress.parse(response.get_all("Contact")[0]).uri)
            call.peer = _audio(response.body)
        self._send(self._inside(call, "ACK"))

    def _take(self, invite: Request) -> None:
        call = Call(invite.call_id, "", self._sound(), peer=_audio(invite.body), status=200)
        self.taken[call.call_id] = call
        contact = (("Contact", f"<sip:taker@{self._where()}>"),)
        self._send(response_to(invite, 180, to_tag=call.tag, headers=contact))
        answer = response_to(invite, 200, to_tag=call.tag, headers=contact)
        answer.set_body(self._description(call.sound), "application/sdp")
        self._send(answer)


def _audio(body: bytes) -> Endpoint | None:
    """Where the other side wants its audio."""
    if not body:
        return None
    description = SessionDescription.parse(body.decode())
    media = description.media[0]
    connection = next(line for line in body.decode().splitlines() if line.startswith("c="))
    return connection.split()[-1], media.port
