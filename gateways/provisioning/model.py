"""A telephone to be set up, and all that its files may say. Plain values."""

from __future__ import annotations

import re
from dataclasses import dataclass

from base.failures import Failure

MOST_KEYS = 100  # Limit: keys of one telephone, with its side cars.
_MAC = re.compile(r"[0-9a-f]{12}")
_KEY = re.compile(r"(?:(?P<label>[^=]{1,32})=)?(?:(?P<kind>lamp|speed|line):)?(?P<number>[\w.*#+@-]{1,64})")
_NAMED = "lamp"


@dataclass(frozen=True, slots=True)
class Key:
    """One key beside the display. `kind`: lamp (shows a line and picks its calls up), speed, line."""

    kind: str
    number: str
    label: str


@dataclass(frozen=True, slots=True)
class Phone:
    """`mac` in 12 lower-case digits; `lan`: whether it may fetch its files by its MAC alone, inside our network."""

    mac: str
    family: str
    account_id: int
    lan: bool = True

    @property
    def shown(self) -> str:
        """`00:15:65:ab:cd:ef`"""
        return ":".join(self.mac[place : place + 2] for place in range(0, 12, 2))


@dataclass(frozen=True, slots=True)
class Facts:
    """What a template may use. `host` and `port` are where the telephone sends to, `domain` is what it registers at;
    `next_url` is where it asks for its files from now on."""

    mac: str
    host: str
    port: int
    transport: str  # udp, tcp, tls
    domain: str
    user: str
    login: str
    password: str
    ha1: str
    name: str
    label: str
    voicemail: str
    pickup: str
    keys: tuple[Key, ...]
    next_url: str
    expires: int = 600
    time_zone: str = ""
    utc_offset: int = 0  # seconds
    gateway: str = "gw0"

    @property
    def secure(self) -> bool:
        return self.transport == "tls"


def mac_of(text: str) -> str:
    """As it is kept, from any way of writing it. Raises Failure("invalid")."""
    mac = re.sub(r"[^0-9a-z]", "", text.strip().lower())
    if not _MAC.fullmatch(mac) or mac == "0" * 12:
        raise Failure("invalid", f"{text!r} is no MAC address: 12 digits and letters from a to f")
    return mac


def keys_of(entries: tuple[str, ...]) -> tuple[Key, ...]:
    """Keys as the setting `PhoneKeys` has them: `202`, `Bob=202`, `Park=lamp:701`, `Home=speed:+4930123`."""
    found = []
    for entry in entries[:MOST_KEYS]:
        match = _KEY.fullmatch(entry.strip())
        if match is not None:
            found.append(Key(match["kind"] or _NAMED, match["number"], (match["label"] or match["number"]).strip()))
    return tuple(found)
