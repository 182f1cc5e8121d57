"""Keeps a trunk registered with its provider: REGISTER, refresh, back-off. Pure; `RegistrationPort` carries it out.

    IDLE ──start──> TRYING ──2xx──> REGISTERED ──before it runs out──> TRYING
                      │ └─ no answer, 5xx, 4xx ──> WAITING ──later──> TRYING
                      └─ login refused ──> REFUSED ──much later──> TRYING

A provider that is down is asked again after 30 s, then 60, 120 … up to half an hour, each cut by chance, so that all
customers do not return at once (RFC 5626 §4.5). A refused login is not hammered: ten minutes, an hour, six hours.

RFC 3261 §10.2, RFC 5626 §4.5, RFC 3608 (Service-Route).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from base.clock import Clock, Timer
from base.entropy import Entropy
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.message import Request, Response
from pbx.sipcore.uri import NameAddress, Uri
from pbx.trunk import explain
from pbx.trunk.credentials import Attempt, Credentials, Login
from pbx.trunk.model import Trunk

FIRST_WAIT = 30.0
LONGEST_WAIT = 1800.0
REFUSED_WAITS = (600.0, 3600.0, 21_600.0)
SHORTEST = 60
"""Limit: seconds between two refreshes, whatever a provider grants."""
LONGEST = 86_400
REFRESH = 0.75
"""The part of a registration after which it is refreshed: a refresh that is lost has time for another."""


class State(enum.Enum):
    """See the head of the module."""

    IDLE = "idle"
    TRYING = "trying"
    REGISTERED = "registered"
    WAITING = "waiting"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Status:
    """For people: since when (clock of the machine) and what the provider has said."""

    state: State
    since: float
    said: str = ""
    until: float = 0.0


class RegistrationPort(Protocol):
    """The driver."""

    def connect(self) -> None:
        """Find a way to the provider, then tell `connected` or `unreachable`."""

    def send(self, request: Request) -> None:
        """Send on the way that was found, then tell `answered` or `unreachable`."""

    def changed(self, status: Status) -> None:
        """For the log and those who watch."""


class Registration:
    """One trunk's registration. `contact_user` is the secret name by which its calls are recognised."""

    def __init__(
        self,
        clock: Clock,
        entropy: Entropy,
        trunk: Trunk,
        login: Login,
        contact_user: str,
        port: RegistrationPort,
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._trunk = trunk
        self._contact_user = contact_user
        self._port = port
        self._credentials = Credentials(entropy, login)
        self._attempt = Attempt(self._credentials)
        self._call_id = entropy.token(16)
        self._tag = entropy.token(8)
        self._number = 0
        self._expires = trunk.expires
        self._lengthened = False
        self._request: Request | None = None
        self._timer: Timer | None = None
        self._failures = 0
        self._refusals = 0
        self._leaving = False
        self.status = Status(State.IDLE, clock.now())
        self.service_route: tuple[str, ...] = ()
        self.steps: list[str] = []
        """What happened since the last beginning, in words."""

    # --- from above

    def start(self) -> None:
        """Register now; also when it waits (an administrator's "try now")."""
        self._leaving = False
        self._try()

    def stop(self) -> None:
        """Take the registration back when there is one, and stay idle."""
        self._set_timer(None)
        registered = self.status.state is State.REGISTERED or self._number > 0
        self._leaving = True
        if registered and self.status.state is not State.REFUSED:
            self._port.connect()
        else:
            self._be(State.IDLE)

    def abandon(self) -> None:
        """Stop at once and tell the provider nothing."""
        self._set_timer(None)
        self._request = None

    # --- from the driver

    def connected(self, contact: Uri) -> None:
        """A way is there; `contact` is where the provider reaches us on it."""
        self.steps.append(f"a way is there; the provider reaches us at {contact.host_port}")
        self._number += 1
        self._lengthened = False
        expires = 0 if self._leaving else self._expires
        request = Request("REGISTER", str(self._trunk.registrar))
        request.add("Max-Forwards", "70")
        request.add("From", f"<{self._trunk.identity}>;tag={self._tag}")
        request.add("To", f"<{self._trunk.identity}>")
        request.add("Call-ID", self._call_id)
        request.add("CSeq", f"{self._number} REGISTER")
        request.add("Contact", f"<{contact.replace(user=self._contact_user)}>;expires={expires}")
        request.add("Expires", str(expires))
        request.add("Supported", "path, outbound")
        self._attempt = self._credentials.prove(request)
        self._request = request
        self._port.send(request)

    def answered(self, response: Response) -> None:
        """A final response to the request that was sent last."""
        request = self._request
        if request is None or response.cseq.number != self._number:
            return  # of an attempt that was given up for a newer one
        self.steps.append(f"the provider answered {explain.registering(response)}")
        if response.is_success:
            self._succeeded(response)
        elif response.status in (401, 407):
            self._challenged(request, response)
        elif response.status == 423 and self._longer(response):
            self._again(request)
        else:
            self._failed(response)

    def unreachable(self, cause: str) -> None:
        """No way, or no answer."""
        self._request = None
        self.steps.append(explain.unreachable(cause))
        if self._leaving:
            self._be(State.IDLE)
        else:
            self._wait(explain.unreachable(cause), self._backed_off())

    # --- inside

    def _try(self) -> None:
        self._set_timer(None)
        self.steps = [f"looking for {self._trunk.next_hop}"]
        if self.status.state is not State.REGISTERED:
            self._be(State.TRYING, self.status.said)
        self._port.connect()

    def _again(self, request: Request) -> None:
        """The same request with a higher CSeq (RFC 3261 §22.2)."""
        self._number += 1
        again = request.copy()
        again.set("CSeq", f"{self._number} REGISTER")
        again.remove("Via")
        self._request = again
        self._port.send(again)

    def _challenged(self, request: Request, response: Response) -> None:
        if self._attempt.answer(request, response):
            self.steps.append("sent again with the password")
            self._again(request)
        elif self._leaving:
            self._request = None
            self._be(State.IDLE)
        else:
            self._refused(explain.WRONG_LOGIN if self._attempt.wrong else explain.registering(response))

    def _longer(self, response: Response) -> bool:
        """RFC 3261 §10.2.8, once for each attempt. The request is changed for it."""
        least = response.number("Min-Expires")
        if least is None or not self._expires < least <= LONGEST or self._request is None or self._lengthened:
            return False
        self._expires, self._lengthened = least, True
        contact = (self._request.get("Contact") or "").rpartition(";expires=")[0]
        self._request.set("Contact", f"{contact};expires={least}")
        self._request.set("Expires", str(least))
        return True

    def _succeeded(self, response: Response) -> None:
        self._request = None
        self._failures = self._refusals = 0
        if self._leaving:
            self._be(State.IDLE)
            return
        granted = min(max(self._granted(response), SHORTEST), LONGEST)
        self.service_route = tuple(response.get_all("Service-Route"))[:5]
        self.steps.append(f"registered for {granted} seconds")
        self._be(State.REGISTERED, "", self._clock.now() + granted)
        self._set_timer(granted * REFRESH)

    def _granted(self, response: Response) -> int:
        """Seconds for our own contact among those listed (RFC 3261 §10.2.4)."""
        try:
            contacts = response.contacts
        except SipSyntaxError:
            contacts = []
        mine = next((each for each in contacts if each.uri.user == self._contact_user), None)
        given = None if mine is None else _seconds(mine)
        return given if given is not None else response.number("Expires") or self._expires

    def _failed(self, response: Response) -> None:
        self._request = None
        if self._leaving:
            self._be(State.IDLE)
        elif response.status in (403, 404, 405):
            self._refused(explain.registering(response))
        else:
            asked = response.number("Retry-After")  # RFC 3261 §20.33
            wait = self._backed_off()
            self._wait(
                explain.registering(response), wait if asked is None else min(max(wait, asked), 2 * LONGEST_WAIT)
            )

    def _refused(self, said: str) -> None:
        self._request = None
        wait = REFUSED_WAITS[min(self._refusals, len(REFUSED_WAITS) - 1)]
        self._refusals += 1
        self._be(State.REFUSED, said, self._clock.now() + wait)
        self._set_timer(wait)

    def _wait(self, said: str, seconds: float) -> None:
        self._be(State.WAITING, said, self._clock.now() + seconds)
        self._set_timer(seconds)

    def _backed_off(self) -> float:
        """RFC 5626 §4.5: twice as long each time, cut to between half and all of it by chance."""
        whole = min(FIRST_WAIT * (1 << self._failures), LONGEST_WAIT)
        self._failures = min(self._failures + 1, 10)
        return whole * self._entropy.number(500, 1000) / 1000

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self._clock.call_later(seconds, self._due)

    def _due(self) -> None:
        self._timer = None
        self._try()

    def _be(self, state: State, said: str = "", until: float = 0.0) -> None:
        now = self._clock.now()
        since = self.status.since if state is self.status.state else now
        self.status = Status(state, since, said, until)
        self._port.changed(self.status)


def _seconds(contact: NameAddress) -> int | None:
    value = contact.params.get("expires") or ""
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None
