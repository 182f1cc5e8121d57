"""One trunk in use: the driver of its registration and of its health, and what calls need of it.

Which trunks there are is `trunks`' business; when to register is decided by `registration`, when to ask by `health`.
"""

from __future__ import annotations

import asyncio

from base.clock import Clock
from base.entropy import Entropy
from base.failures import Failure
from base.log import get_logger
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.transaction_ports import Cause
from pbx.trunk import health
from pbx.trunk.credentials import Credentials, Login
from pbx.trunk.health import Health
from pbx.trunk.model import Trunk
from pbx.trunk.ports import Stack
from pbx.trunk.question import Question
from pbx.trunk.registration import Registration, State, Status

_log = get_logger("pbx.trunk")


class Line:
    """It is the port of its registration and of its health, and hears the answers to its REGISTERs."""

    def __init__(
        self, clock: Clock, entropy: Entropy, stack: Stack, trunk: Trunk, login: Login, contact_user: str
    ) -> None:
        self._entropy = entropy
        self._stack = stack
        self._login = login
        self._way: asyncio.Task[None] | None = None
        self._outcome: asyncio.Future[None] | None = None
        self._flow: Flow | None = None
        self._question: Question | None = None
        self._started = False
        self.trunk = trunk
        self.contact_user = contact_user
        self.named = False
        """A call has named our contact."""
        self.registration = Registration(clock, entropy, trunk, login, contact_user, self)
        self.health = Health(clock, entropy, self)

    # --- how it is

    @property
    def up(self) -> bool:
        """Whether calls may be tried by it; those for help may always."""
        return not self.trunk.registers or self.registration.status.state is State.REGISTERED

    @property
    def sound(self) -> bool:
        """Whether it is up, and answers as far as is known."""
        return self.up and self.health.state is not health.State.DOWN

    @property
    def condition(self) -> str:
        """In one or two words: that of its registration, `silent` where it is registered and answers no more; without
        one `up`, `down` or `not asked`."""
        if not self.trunk.registers:
            return self.health.state.value
        return "silent" if self.up and not self.sound else self.registration.status.state.value

    @property
    def said(self) -> str:
        """What the provider has said of it, in words."""
        return self.health.said if self.up else self.registration.status.said

    @property
    def due(self) -> float:
        """When the next thing happens, by the clock of the machines."""
        watched = not self.trunk.registers or (self.up and not self.sound)
        return self.health.due if watched else self.registration.status.until

    def doubt(self) -> None:
        """A call by it got no answer at all."""
        self.health.doubt()

    # --- for calls

    @property
    def routes(self) -> tuple[str, ...]:
        """RFC 3608 §5: the way that the provider wants requests to take."""
        return self.registration.service_route

    @property
    def server(self) -> tuple[str, int] | None:
        """Address and port of the provider's server that we registered with, or have asked; None before."""
        return None if self._flow is None else self._flow.remote

    def sends(self, flow: Flow) -> bool:
        """Whether a call on that flow is the provider's although it does not name our contact."""
        if self.trunk.inbound == "contact" or not self.up or self.server != flow.remote:
            return False
        return self.trunk.inbound == "address" or flow.reliable or not self.named

    @property
    def password(self) -> str:
        return self._login.password

    def credentials(self) -> Credentials:
        """For one call."""
        return Credentials(self._entropy, self._login)

    # --- its life

    def start(self) -> None:
        self._started = True
        if self.trunk.registers:
            self.registration.start()
        self.health.start()

    def change(self, trunk: Trunk) -> None:
        """The same line with other settings."""
        before, self.trunk = self.trunk, trunk
        if self._started and before.options != trunk.options:
            self.health.start()

    async def test(self, patience: float) -> list[str]:
        """Register now, or ask where it does not register, and tell each step in words; `patience` in seconds."""
        machine = self.registration if self.trunk.registers else self.health
        self._outcome = asyncio.get_running_loop().create_future()
        if self.trunk.registers:
            self.registration.start()
        else:
            self.health.ask()
        try:
            async with asyncio.timeout(patience):
                await self._outcome
        except TimeoutError:
            return [*machine.steps, f"nothing was decided within {patience:.0f} seconds"]
        finally:
            self._outcome = None
        return [*machine.steps, *([self.said] if self.said and self.said not in machine.steps[-1] else [])]

    def stop(self) -> None:
        """It is no more: its registration is taken back."""
        self._rest()
        self.registration.stop()

    def abandon(self) -> None:
        """The server stops: the provider is told nothing, so that calls find us again after a restart."""
        self._rest()
        self.registration.abandon()
        if self._way is not None:
            self._way.cancel()

    def _rest(self) -> None:
        self.health.stop()
        if self._question is not None:
            self._question.close()

    def _decided(self) -> None:
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_result(None)

    # --- the health's port

    @property
    def ready(self) -> bool:
        """Whether it makes sense to ask."""
        return self.up

    def ask(self) -> None:
        if self._question is not None:
            self._question.close()
        self._question = Question(self._entropy, self._stack, self.trunk, self.health, self._found)
        self._question.begin()

    def _found(self, flow: Flow) -> None:
        """A server that is asked: of a line that does not register it is where calls come from."""
        if not self.trunk.registers:
            self._flow = flow

    def judged(self, state: health.State, said: str, *, news: bool) -> None:
        if not self.trunk.registers:
            self._decided()
        if news and state is health.State.DOWN:
            _log.warning("trunk does not answer", trunk=self.trunk.name, cause=said)
        elif news:
            _log.info("trunk answers", trunk=self.trunk.name)

    # --- the registration's port

    def connect(self) -> None:
        if self._way is not None:
            self._way.cancel()
        self._way = asyncio.get_running_loop().create_task(self._find())

    async def _find(self) -> None:
        try:
            self._flow = await self._stack.flow_to(self.trunk.next_hop, configured=True)
        except Failure as failure:
            self.registration.unreachable(failure.public)
        else:
            self.registration.connected(self._stack.contact_for(self._flow))

    def send(self, request: Request) -> None:
        if self._flow is not None:
            self._stack.request(request, self._flow, self)

    def changed(self, status: Status) -> None:
        if status.state is not State.TRYING:
            self._decided()
        if status.state is State.REGISTERED:
            if self.health.state is health.State.UNKNOWN:
                self.health.start()
            _log.info("trunk registered", trunk=self.trunk.name, seconds=round(status.until - status.since))
        elif status.said:
            _log.warning("trunk not registered", trunk=self.trunk.name, state=status.state.value, cause=status.said)

    # --- told by the transaction

    def on_response(self, response: Response) -> None:
        if response.is_final:
            self.registration.answered(response)

    def on_failure(self, cause: Cause) -> None:
        self.registration.unreachable(cause)
