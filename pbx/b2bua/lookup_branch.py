"""A branch to an address that must be looked up first: it leads to what is found, or its call goes another way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from base.log import get_logger
from directory.model import ForeignRoute
from pbx.lookup.lookups import LookUps
from pbx.signal.answer import Answer
from pbx.signal.branch import Branch

if TYPE_CHECKING:
    from pbx.b2bua.call import Call

_log = get_logger("pbx.calls")


class LookUpBranch:
    """It rings nobody, so there is never an answer to discard."""

    def __init__(self, call: Call, branch: Branch, lookups: LookUps, route: ForeignRoute) -> None:
        self._call = call
        self._branch = branch
        self._lookups = lookups
        self._route = route
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._looking = self._call.exchange.spawn(self._run(), f"look-up {self._branch.number} of {self._call.id}")

    async def _run(self) -> None:
        found = await self._lookups.follow(self._route)
        _log.info("looked up", call=self._call.id, address=str(self._route.address), steps="; ".join(found.steps))
        if found.routes:
            self._call.signal.lead(self._branch, found.routes)
        else:
            self._call.signal.answer(self._branch, Answer(404, elsewhere=True))

    def cancel(self, reason: str | None) -> None:
        if self._looking is not None and self._looking.cancel():
            self._call.signal.answer(self._branch, Answer(487))

    def discard(self) -> None: ...
