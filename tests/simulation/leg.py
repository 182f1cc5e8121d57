"""One end of a call in a simulated telephone: its dialog, its audio, and how it ends.

What both ends share; placing a call is in `calling`, being called in `answering`. It follows the standards closely (2xx
repeated until the ACK, no BYE before it), so that what is lost on the way is made good as real telephones do.
RFC 3261 §13-§15, RFC 3264, RFC 3515.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from base.clock import Timer
from pbx.sipcore.dialog import Dialog
from pbx.sipcore.message import Message, Request, Response, response_to
from pbx.sipcore.transactions import Cause, ServerTransaction
from pbx.transport.network import Endpoint

if TYPE_CHECKING:
    from tests.simulation.phones import SimPhone

T1, T2 = 0.5, 4.0
SPEECH = (0.05, 0.4, 1.0, 2.5, 5.0)
"""Seconds after the answer at which a person says something; then each `pause`."""
REFUSED_OFFER = frozenset({488, 491, 500, 503})
ANSWERED = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
"""RFC 3264 §6.1."""

_RTP = struct.Struct("!BBHII")
_AUDIO = re.compile(rb"m=audio (\d+) ")
_VIDEO = re.compile(rb"m=video (\d+) ")
_PLACE = re.compile(rb"c=IN IP4 ([\d.]+)")
_DIRECTION = re.compile(rb"a=(sendonly|recvonly|inactive)")


class User:
    """Answers to one request, as callbacks."""

    def __init__(self, response: Callable[[Response], None], failure: Callable[[Cause], None]) -> None:
        self.on_response = response
        self.on_failure = failure


class Leg:
    """`ssrc` tells its voice from all others."""

    def __init__(self, phone: SimPhone, call_id: str) -> None:
        self.phone = phone
        self.call_id = call_id
        self.dialog: Dialog | None = None
        self.began = phone.clock.now()
        self.answered_at: float | None = None
        self.ended_at: float | None = None
        self.hung_up = False
        """We sent the BYE before any came."""
        self.bye_received = False
        self.unheard = False
        """A re-INVITE of ours had no answer from the other side, so we hang up (RFC 3261 §12.2.1.2)."""
        self.direction = "sendrecv"
        self.referred: int | None = None
        """The outcome of a REFER of ours; 0 while it is open."""
        self.heard: set[int] = set()
        self.heard_at = 0.0
        self.ssrc = phone.entropy.number(1, 0xFFFF_FFFF)
        self._sequence = 0
        self._target: Endpoint | None = None
        self._timers: list[Timer] = []
        self._unacknowledged: dict[int, Callable[[], None] | None] = {}
        self._offering = False
        self._versions = 0
        self.socket = phone.network.open((phone.home, 0), self._hear)
        self.port = self.socket.local[1]
        phone.legs.append(self)
        phone.town.voice(self)

    @property
    def ended(self) -> bool:
        return self.ended_at is not None

    @property
    def talked(self) -> float:
        """Seconds from the answer to the end."""
        return 0.0 if self.answered_at is None or self.ended_at is None else self.ended_at - self.answered_at

    def later(self, delay: float, action: Callable[[], None]) -> None:
        """Unless the call is over by then."""
        self._timers.append(self.phone.clock.call_later(delay, lambda: None if self.ended else action()))

    def over(self) -> None:
        if self.ended_at is None:
            self.ended_at = self.phone.clock.now()
            for timer in self._timers:
                timer.cancel()
            self._timers.clear()
            self.phone.ended(self)

    # --- descriptions

    def offer(self, direction: str = "sendrecv", video: bool = False) -> bytes:
        self.direction = direction
        return self._describe(direction, self.port + 200 if video else None)

    def answer_to(self, message: Message) -> bytes:
        """The answer to its offer, or an offer when it has none."""
        found = _DIRECTION.search(message.body)
        self.direction = "sendrecv" if found is None else ANSWERED[found[1].decode()]
        video = _VIDEO.search(message.body)
        wanted = None if video is None else self.port + 200 if int(video[1]) else 0
        return self._describe(self.direction, wanted)

    def _describe(self, direction: str, video: int | None) -> bytes:
        self._versions += 1
        home = self.phone.home
        seen = "" if video is None else f"m=video {video} RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
        return (
            f"v=0\r\no=- 1 {self._versions} IN IP4 {home}\r\ns=-\r\nc=IN IP4 {home}\r\nt=0 0\r\n"
            f"m=audio {self.port} RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n{seen}"
        ).encode()

    def take(self, body: bytes) -> None:
        """What the peer says of where it listens."""
        port, place = _AUDIO.search(body), _PLACE.search(body)
        if port is not None and place is not None:
            self._target = (place[1].decode(), int(port[1]))

    # --- talking

    def talk(self) -> None:
        """The call is answered: speak now and then."""
        self.answered_at = self.phone.clock.now()
        for at in SPEECH:
            self.later(at, self.speak)
        self.later(SPEECH[-1], self._go_on)

    def _go_on(self) -> None:
        self.later(self.phone.network.weather.pause, self._go_on)
        self.speak()

    def speak(self) -> None:
        self.send(0)

    def send(self, payload_type: int, payload: bytes = b"") -> None:
        """A packet of our audio, where it is wanted."""
        if self._target is not None and self._target[1] and self.direction in ("sendrecv", "sendonly"):
            self._sequence += 1
            head = _RTP.pack(0x80, payload_type, self._sequence & 0xFFFF, 160 * self._sequence & 0xFFFF_FFFF, self.ssrc)
            self.socket.send(head + payload, self._target)

    def _hear(self, data: bytes, source: Endpoint) -> None:
        if not self.ended and len(data) == _RTP.size:
            self.heard_at = self.phone.clock.now()
            ssrc = _RTP.unpack(data)[4]
            if ssrc not in self.heard:
                self.heard.add(ssrc)
                self.phone.town.heard(self, ssrc)

    # --- requests inside the call

    def receive(self, transaction: ServerTransaction) -> None:
        dialog, request = self.dialog, transaction.request
        if dialog is None or not dialog.accepts(request):
            transaction.reply(500)
        elif request.method == "BYE":
            transaction.reply(200)
            self.bye_received = True
            self.over()
        elif request.method == "INVITE":
            self._reinvited(transaction)
        elif request.method == "NOTIFY":
            transaction.reply(200)
            self._referral(request)
        else:
            transaction.reply(405)

    def _reinvited(self, transaction: ServerTransaction) -> None:
        if self._offering or any(waits is not None for waits in self._unacknowledged.values()):
            transaction.reply(491)  # RFC 3261 §14.2
            return
        self.take(transaction.request.body)
        self.succeed(transaction, self.answer_to(transaction.request), lambda: None)

    def succeed(self, transaction: ServerTransaction, body: bytes, lost: Callable[[], None]) -> None:
        """Send a 200 again and again until its ACK comes (RFC 3261 §13.3.1.4)."""
        response = response_to(transaction.request, 200, to_tag=transaction.local_tag)
        response.set("Contact", self.phone.contact)
        for route in transaction.request.get_all("Record-Route"):
            if not response.has("Record-Route"):
                response.add("Record-Route", route)
        if body:
            response.set_body(body, "application/sdp")
        self._unacknowledged[transaction.request.cseq.number] = lost
        self._repeat(transaction, response, T1, 0.0)

    def _repeat(self, transaction: ServerTransaction, response: Response, interval: float, spent: float) -> None:
        number = transaction.request.cseq.number
        if self._unacknowledged.get(number) is None or self.ended:
            return
        if spent >= 64 * T1:
            self._unacknowledged[number] = None
            self.hang_up()
            return
        transaction.respond(response)
        again = lambda: self._repeat(transaction, response, min(2 * interval, T2), spent + interval)  # noqa: E731
        self.phone.clock.call_later(interval, again)

    def acknowledged(self, request: Request) -> None:
        waited = self._unacknowledged.get(request.cseq.number)
        if waited is not None:
            self._unacknowledged[request.cseq.number] = None
            if request.body:
                self.take(request.body)
            if self.hung_up:
                self.hang_up()

    # --- requests of ours

    def send_ack(self, number: int, body: bytes = b"") -> bytes:
        """The ACK of a 2xx; returned, so that it can be sent again."""
        assert self.dialog is not None
        return self.phone.send_ack(self.dialog, number, body)

    def reinvite(self, direction: str, video: bool = False) -> None:
        """Offer again; what is refused is left as it was."""
        dialog = self.dialog
        if dialog is None or self._offering or any(self._unacknowledged.values()):
            return
        request = dialog.new_request("INVITE")
        before = self.direction
        request.set_body(self.offer(direction, video), "application/sdp")
        number, self._offering = request.cseq.number, True

        def answered(response: Response) -> None:
            if not response.is_final:
                return
            self._offering = False
            if response.is_success:
                self.take(response.body)
                self.phone.send_ack(dialog, number)
            else:
                self.direction = before
                if response.status in (408, 481):
                    self.unheard = response.status == 408
                    self.hang_up()
                elif response.status not in (*REFUSED_OFFER, 487):
                    self.phone.faults.append(f"re-INVITE got {response.status}")

        def failed(cause: Cause) -> None:
            self._offering = False
            self.unheard = True
            self.hang_up()

        self.phone.ask(request, answered, failed)

    def refer(self, target: str) -> None:
        """Send the other party elsewhere (RFC 3515)."""
        if self.dialog is None:
            return
        self.referred = 0
        request = self.dialog.new_request("REFER")
        request.add("Refer-To", f"<{target}>")

        def answered(response: Response) -> None:
            if response.is_final and not response.is_success:
                self.referred = response.status

        def failed(cause: Cause) -> None:
            self.referred = 408

        self.phone.ask(request, answered, failed)

    def _referral(self, request: Request) -> None:
        status = request.body.split(b" ")[1:2]
        if status and int(status[0]) >= 200:
            self.referred = int(status[0])
            if self.referred < 300:  # the other one is well, and we may go
                self.later(5.0, self.hang_up)

    def miss(self, seconds: float) -> None:
        """Who hears nobody for so long from now on hangs up: a BYE may have been lost on the way."""
        since = self.phone.clock.now()
        self.later(seconds, lambda: self.hang_up() if self.heard_at <= since else None)

    def give_up(self) -> None:
        """End it, whatever its state."""
        self.hang_up()

    def hang_up(self) -> None:
        """Not before the ACK or the end of the wait for it (RFC 3261 §15)."""
        if self.ended or self.dialog is None:
            return
        self.hung_up = not self.bye_received
        if not any(waits is not None for waits in self._unacknowledged.values()):
            self.over()
            self.phone.bye(self.dialog)
