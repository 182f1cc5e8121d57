"""One trunk in use: the driver of its registration, and what calls need of it.

Which trunks there are is `trunks`' business; when to register is decided by `registration`.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from base.clock import Clock
from base.entropy import Entropy
from base.failures import Failure
from base.log import get_logger
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.transaction_ports import Cause, ClientUser
from pbx.sipcore.uri import Uri
from pbx.trunk.credentials import Credentials, Login
from pbx.trunk.model import Trunk
from pbx.trunk.registration import Registration, State, Status

_log = get_logger("pbx.trunk")


class Stack(Protocol):
    """What is needed of the SIP stack."""

    async def flow_to(self, uri: Uri, *, configured: bool = False) -> Flow:
        """Raises Failure("unavailable")."""

    def request(self, request: Request, flow: Flow, user: ClientUser) -> object: ...

    def contact_for(self, flow: Flow, user: str = "") -> Uri: ...


class Line:
    """It is the registration's port and hears the answers to its requests."""

    def __init__(
        self, clock: Clock, entropy: Entropy, stack: Stack, trunk: Trunk, login: Login, contact_user: str
    ) -> None:
        self._entropy = entropy
        self._stack = stack
        self._login = login
        self._way: asyncio.Task[None] | None = None
        self._outcome: asyncio.Future[None] | None = None
        self._flow: Flow | None = None
        self.trunk = trunk
        self.contact_user = contact_user
        self.named = False
        """A call has named our contact."""
        self.registration = Registration(clock, entropy, trunk, login, contact_user, self)

    @property
    def up(self) -> bool:
        """Whether calls may be tried by it; those for help may always."""
        return not self.trunk.registers or self.registration.status.state is State.REGISTERED

    @property
    def sound(self) -> bool:
        """Whether it is up, and answers as far as is known."""
        return self.up

    @property
    def routes(self) -> tuple[str, ...]:
        """RFC 3608 §5: the way that the provider wants requests to take."""
        return self.registration.service_route

    @property
    def server(self) -> tuple[str, int] | None:
        """Address and port of the provider's server that we registered with; None before."""
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

    def start(self) -> None:
        if self.trunk.registers:
            self.registration.start()

    async def test(self, patience: float) -> list[str]:
        """Register now and tell each step in words; `patience` in seconds."""
        if not self.trunk.registers:
            return [f"{self.trunk.name} does not register: place a call by it to test it"]
        self._outcome = asyncio.get_running_loop().create_future()
        self.registration.start()
        try:
            async with asyncio.timeout(patience):
                await self._outcome
        except TimeoutError:
            return [*self.registration.steps, f"nothing was decided within {patience:.0f} seconds"]
        finally:
            self._outcome = None
        said = self.registration.status.said
        return [*self.registration.steps, *([said] if said and said not in self.registration.steps[-1] else [])]

    def abandon(self) -> None:
        """The server stops: the provider is told nothing, so that calls find us again after a restart."""
        self.registration.abandon()
        if self._way is not None:
            self._way.cancel()

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
        if self._outcome is not None and status.state is not State.TRYING and not self._outcome.done():
            self._outcome.set_result(None)
        if status.state is State.REGISTERED:
            _log.info("trunk registered", trunk=self.trunk.name, seconds=round(status.until - status.since))
        elif status.said:
            _log.warning("trunk not registered", trunk=self.trunk.name, state=status.state.value, cause=status.said)

    # --- told by the transaction

    def on_response(self, response: Response) -> None:
        if response.is_final:
            self.registration.answered(response)

    def on_failure(self, cause: Cause) -> None:
        self.registration.unreachable(cause)
