"""Keeps the certificates in use those that are in the files: looks now and then, and when told to.

Which is shown to whom is `base.certificates`' business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from base.certificates import Certificates, Shown
from base.failures import Failure
from base.log import get_logger

PERIOD = 10.0
_log = get_logger("server.certificates")


class CertificateKeeper:
    """Implements `admin.ports.CertificateStore`."""

    def __init__(self, certificates: Certificates, period: float = PERIOD) -> None:
        self._certificates = certificates
        self._period = period
        self._task: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @property
    def shown(self) -> Sequence[Shown]:
        return self._certificates.shown

    async def reload(self) -> Sequence[Shown]:
        async with self._turn:
            shown = await asyncio.to_thread(self._certificates.reload)
        _log.info("certificates read", names=[name for each in shown for name in each.names][:20])
        return shown

    async def _watch(self) -> None:
        """A pair may be half written when it is seen first: what cannot be used is looked at again next time."""
        complaint = ""
        while True:
            await asyncio.sleep(self._period)
            if not await asyncio.to_thread(self._certificates.changed):
                continue
            try:
                await self.reload()
                complaint = ""
            except Failure as failure:
                if complaint != str(failure):
                    complaint = str(failure)
                    _log.warning("certificates not read; the old ones stay", cause=complaint)
