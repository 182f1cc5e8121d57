"""What the relay makes of one side's payload numbers for the other side, and which addresses may be sent to. Pure.

RFC 3264 §5.1, §6.1; RFC 3551.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from pbx.mediaproxy import g711
from pbx.mediaproxy.codecs import CODECS
from pbx.mediaproxy.g711 import LAWS
from pbx.mediaproxy.latch import Address

DTMF = "TELEPHONE-EVENT/8000"
_NOT_SOUND = ("TELEPHONE-EVENT/", "CN/", "RED/")


@dataclass(frozen=True, slots=True)
class Translation:
    """How a payload number of one side is written for the other."""

    payload_type: int
    table: bytes | None = None


def translations(inward: dict[int, str], outward: dict[int, str], dtmf: int | None) -> dict[int, Translation]:
    """For each payload number that comes in on one side: what to send on the other; absent: not to be forwarded.
    `dtmf` is the far side's own number of telephone-events, of which `outward` may name several (RFC 3264 §5.1).
    The two laws of G.711 are turned into each other where the far side has but one of them."""
    plan: dict[int, Translation] = {}
    numbers: dict[str, int] = {}
    for number, name in outward.items():
        numbers.setdefault(name.upper(), number)
    if dtmf is not None:
        numbers[DTMF] = dtmf
    for number, spelled in inward.items():
        name = spelled.upper()
        if name != DTMF and outward.get(number, "").upper() == name:
            plan[number] = Translation(number)
        elif name in numbers:
            plan[number] = Translation(numbers[name])
        elif name in LAWS:
            law = LAWS[name]
            other = next((item for item, its in LAWS.items() if its is not law))
            if other in numbers:
                plan[number] = Translation(numbers[other], g711.across(law))
    return plan


def understood(
    inward: dict[int, str], outward: dict[int, str], sent: int, plan: dict[int, Translation]
) -> tuple[str, str] | None:
    """The last resort: the codecs to turn into each other, when the plan forwards no sound at all. None: not needed,
    or not possible."""
    target = outward.get(sent, "")
    if (
        any(not inward[number].startswith(_NOT_SOUND) for number in plan)
        or target not in CODECS
        or not CODECS[target].both_ways
    ):
        return None
    source = next((name for name in inward.values() if name in CODECS and name not in outward.values()), None)
    return None if source is None else (source, target)


def numeric(address: Address | None) -> Address | None:
    """An address that may be sent to: a unicast number and a port; else None (on hold, a name, a broadcast)."""
    if address is None or not 0 < address[1] < 65536:
        return None
    try:
        host = ipaddress.ip_address(address[0].partition("%")[0])
    except ValueError:
        return None
    if host.is_unspecified or host.is_multicast or str(host) == "255.255.255.255":
        return None
    return (str(host), address[1])
