"""Acts that look at the running server, and the one that stops it."""

from __future__ import annotations

from dataclasses import asdict

from admin.acts import Act, Arguments, Desk
from admin.ports import Json
from admin.rights import Right


async def _calls(desk: Desk, arguments: Arguments) -> Json:
    return [asdict(row) for row in desk.monitor.calls()]


async def _registrations(desk: Desk, arguments: Arguments) -> Json:
    return [asdict(row) for row in desk.monitor.registrations()]


async def _status(desk: Desk, arguments: Arguments) -> Json:
    return dict(desk.monitor.status())


async def _shutdown(desk: Desk, arguments: Arguments) -> Json:
    desk.server.shutdown()
    return None


ACTS = (
    Act("calls", "calls in progress", Right.MONITOR, _calls),
    Act("registrations", "registered telephones", Right.MONITOR, _registrations),
    Act("status", "version, uptime and counters", Right.MONITOR, _status),
    Act("shutdown", "stop the server", Right.MASTER, _shutdown),
)
