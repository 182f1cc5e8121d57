"""Who is asked where numbers lead: the DNS, and the program that `[router] helper` names."""

from __future__ import annotations

from contextlib import AsyncExitStack

from base.config import RouterConfig
from base.helper import HelperProgram
from base.metrics import Metrics
from directory.directory import Directory
from pbx.lookup.lookups import LookUps
from pbx.transport.names import NameService
from pbx.transport.network import Network

PATIENCE = 3.0
"""Seconds that the program has for an answer: a caller waits for it."""


async def look_ups(
    config: RouterConfig, metrics: Metrics, directory: Directory, network: Network, closing: AsyncExitStack
) -> LookUps:
    """`closing` ends the program, if there is one."""
    helper = None
    if config.helper:
        helper = HelperProgram("routing", config.helper, patience=PATIENCE)
        await helper.start()
        closing.push_async_callback(helper.close)
    zones = network if config.enum_server is None else NameService([config.enum_server[0]], config.enum_server[1])
    return LookUps(metrics, directory, zones, helper)
