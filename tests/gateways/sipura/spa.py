"""A simulated SPA-3000: a real user agent (pjsua2) that does with its PSTN line what the device does.

It does not register and calls with our domain in From, sends 30 ms packets, answers as soon as it seizes the line, and
plays what the line brings: at the end a busy tone, and no BYE. Behind its FXO port is the telephone network: the test.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from gateways.sipura.dialling import Action, dial
from gateways.sipura.dialplan import parse
from tests.nat.world import Host
from tests.phone import TestPhone
from tests.scenes.site import Site
from tests.tones import write_cadence

PACKET = 30
"""Milliseconds: the device's own default of RTP Packet Size."""
GUIDE: Mapping[str, str] = {
    "SIP Port": "5060",
    "Proxy": "{domain}",
    "Register": "no",
    "Display Name": "Sipura3000",
    "User ID": "Sipura3000",
    "Preferred Codec": "G711u",
    "Dial Plan 1": "S0<:pbx@{domain}>",
    "Dial Plan 2": "(xx.<:@gw0>)",
    "One Stage Dialing": "yes",
    "VoIP Caller Default DP": "2",
    "PSTN Caller Default DP": "1",
}
"""The PSTN Line page of the reviewed guide, section V.B."""


class Spa(TestPhone):
    """`async with Spa(machine) as spa: await spa.plug_in(site)`. It also plays and records, as a telephone does."""

    def __init__(self, machine: Host) -> None:
        super().__init__("spa", netns=machine.name)
        self.host = machine.address
        self._profile = GUIDE
        self._domain = ""

    async def __aenter__(self) -> Spa:
        return self

    def _set(self, field: str) -> str:
        return self._profile[field].format(domain=self._domain)

    async def plug_in(self, site: Site) -> None:
        self._domain = site.domain
        await self.start(
            f"{self._set('User ID')}@{self._set('Proxy')}", "", site.host, site.sip_port,
            register=self._set("Register") == "yes", bind=self.host, local_port=int(self._set("SIP Port")),
            codecs=[{"G711u": "PCMU", "G711a": "PCMA"}[self._set("Preferred Codec")]], ptime=PACKET,
            agent="Sipura/SPA3000-3.1.5(GWb)",
        )  # fmt: skip

    async def rings(self) -> int:
        """Somebody calls the line: it is answered, and the caller's plan says who gets it. Returns our call."""
        outcome = dial(parse(self._set(f"Dial Plan {self._set('PSTN Caller Default DP')}")), "")
        assert (outcome.action, outcome.after) == (Action.CALLS, 0.0)
        return await self.call(f"sip:{outcome.number}@{outcome.via}")

    async def seizes(self) -> tuple[int, str]:
        """A call for the line: it is answered at once, then dialled. Returns our call and the digits dialled."""
        call = await self.wait_incoming()
        asked = next(each for each in self.events if each["event"] == "incoming" and each["call"] == call)["message"]
        await self.answer(call)
        await self.wait_state("confirmed", call)
        number = re.match(r"INVITE sips?:([^@\s]*)@", asked)
        assert number is not None
        assert self._set("One Stage Dialing") == "yes"
        outcome = dial(parse(self._set(f"Dial Plan {self._set('VoIP Caller Default DP')}")), number[1])
        assert (outcome.action, outcome.via) == (Action.CALLS, "gw0"), outcome
        return call, outcome.number

    async def far_end_hangs_up(self, folder: Path, *frequencies: float, on: float = 0.5, off: float = 0.5) -> None:
        """All that the device knows of it: from here on the line brings the busy tone."""
        await self.play(write_cadence(folder / "busy.wav", *frequencies, on=on, off=off), loop=True)
