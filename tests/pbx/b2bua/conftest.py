"""The calls of these tests run in virtual time: waiting for a timer costs nothing, and a busy machine changes nothing.

Those with SIPp have sockets and need the clock on the wall.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests.simulation.virtual import VirtualLoop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if "sipp" in item.path.stem:
        return {"real": asyncio.new_event_loop}
    return {"virtual": VirtualLoop}
