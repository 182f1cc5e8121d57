"""The doors by which telephones fetch their files: HTTP, HTTPS, TFTP. A port that cannot be had is told, not fatal."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from base.config import PORTS, Config, ProvisioningConfig
from base.failures import Failure
from directory.directory import Change
from gateways.provisioning.administration import PhoneAdministration
from gateways.provisioning.desk import Ports, ProvisioningDesk
from gateways.provisioning.http import HttpEndpoint, ProvisioningHttp
from gateways.provisioning.phones import Phones
from gateways.provisioning.tftp import ProvisioningTftp
from pbx.presence.check_sync import CheckSync
from server.house import House


class PhoneDoors:
    """`open` gives what an administrator works with. `bound` and `notes` are for the banner."""

    def __init__(self, house: House, config: ProvisioningConfig, tls: ssl.SSLContext | None) -> None:
        self._house = house
        self._config = config
        self._tls = tls
        self._closing = AsyncExitStack()
        self.bound: list[str] = []
        self.notes: list[str] = []

    async def open(self) -> PhoneAdministration:
        house, config, ground = self._house, self._config, self._house.ground
        phones = Phones(ground.clock, ground.entropy, house.database, ground.key)
        await phones.start()
        self._forgetting(phones)
        desk = ProvisioningDesk(
            phones,
            house.directory,
            lambda address: house.stack.surroundings.inside(address),
            _ports(house.config, config),
            ground.clock,
            house.metrics,
        )
        http, tftp = ProvisioningHttp(desk, self._tls), ProvisioningTftp(desk)
        self._closing.push_async_callback(http.close)
        self._closing.push_async_callback(tftp.close)
        await self._try("http", config.http, lambda port: http.start(HttpEndpoint(config.address, port, tls=False)))
        if self._tls is not None:
            await self._try(
                "https", config.https, lambda port: http.start(HttpEndpoint(config.address, port, tls=True))
            )
        await self._try("tftp", config.tftp, lambda port: tftp.start(config.address, port))
        teller = CheckSync(ground.entropy, house.metrics, house.stack, house.bindings)
        return PhoneAdministration(phones, desk, house.directory, teller, ground.entropy)

    async def close(self) -> None:
        await self._closing.aclose()

    def _forgetting(self, phones: Phones) -> None:
        """Telephones of accounts that end get their files no more."""
        tasks: set[asyncio.Task[None]] = set()

        def changed(change: Change) -> None:
            if change.what == "removed" and change.account_id is not None:
                task = asyncio.get_running_loop().create_task(phones.forget(change.account_id))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

        self._closing.callback(self._house.directory.subscribe(changed))

    async def _try(self, way: str, port: int | None, start: Callable[[int], Awaitable[int]]) -> None:
        if port is None:
            return
        try:
            self.bound.append(f"{way} {self._config.address}:{await start(port)}")
        except (OSError, Failure) as problem:
            self.notes.append(f"telephones cannot fetch their files by {way}: port {port} is not to be had ({problem})")


def _ports(config: Config, provisioning: ProvisioningConfig) -> Ports:
    """Of the first listener of each kind."""
    listens = {listen.transport: listen.port or PORTS[listen.transport] for listen in reversed(config.sip.listen)}
    return Ports(listens.get("udp", PORTS["udp"]), listens.get("tls", PORTS["tls"]), provisioning.https or 0)
