"""A telephone is told to fetch its settings again: a NOTIFY outside any dialog, with an event that its maker chose.

No RFC has it; the makers' guides do (`check-sync`, `resync`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from base.entropy import Entropy
from base.metrics import Metrics
from directory.model import Account
from pbx.presence.notifier import Stack
from pbx.presence.unsolicited import outside_dialog
from pbx.registrar.bindings import Binding, Bindings
from pbx.sipcore.message import Response
from pbx.sipcore.questions import Final


class CheckSync:
    """Knows telephones by what they say when they register."""

    def __init__(self, entropy: Entropy, metrics: Metrics, stack: Stack, bindings: Bindings) -> None:
        self._entropy = entropy
        self._metrics = metrics
        self._stack = stack
        self._bindings = bindings

    async def tell(self, account: Account, event: str, mac: str, agents: Collection[str]) -> Sequence[int]:
        """What each telephone has answered; 408 for nothing. `mac` in 12 lower-case digits, `agents` are words of its
        family's User-Agents: those that name the MAC address are meant, and where none does, all of the family."""
        known = self._bindings.contacts(account.id)
        meant = [each for each in known if mac in _digits(each)] or [
            each for each in known if any(word in each.user_agent.lower() for word in agents)
        ]
        return await asyncio.gather(*(self._ask(account, each, event) for each in meant))

    async def _ask(self, account: Account, binding: Binding, event: str) -> int:
        request = outside_dialog(self._entropy, self._stack, account, binding)
        request.add("Event", event)
        request.add("Subscription-State", "terminated")
        self._metrics.count("pbx.presence.check-syncs")
        status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def told(response: Response | None) -> None:
            if not status.done():  # who waits may have gone
                status.set_result(408 if response is None else response.status)

        self._stack.request(request, binding.flow, Final(told))
        return await status


def _digits(binding: Binding) -> str:
    """What may name the MAC address, without its separators."""
    told = f"{binding.instance} {binding.user_agent} {binding.contact}".lower()
    return told.replace(":", "").replace("-", "")
