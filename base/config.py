"""One TOML file for what needs a restart; every key has a default, so that no file is needed at all.

Not for people and numbers: those are in the directory. An unknown key or a wrong value is refused with file, line and
a suggestion. TOML 1.0.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from base import config_values as read
from base.config_values import Network

_T = TypeVar("_T")


class ConfigError(Exception):
    """The file is refused; the text says where and why, for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class Listen:
    """A socket to open: `udp`, `tcp`, `tls`, `ws` or `wss`, a numeric address, a port (0: any free one)."""

    transport: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}:{host}:{self.port}"


PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 8088, "wss": 8089}
"""Ports where an entry names none. Those of WebSocket are what people know from other servers."""

LISTEN = (
    *(Listen(kind, host, PORTS[kind]) for host in ("0.0.0.0", "::") for kind in ("udp", "tcp", "tls", "wss")),
    Listen("ws", "127.0.0.1", PORTS["ws"]),
)
"""Without a setting: everything, the `::` ones where the machine has IPv6; unencrypted WebSocket from this machine
only, for a web server in front of it."""


@dataclass(frozen=True, slots=True)
class SipConfig:
    """`[sip]`"""

    listen: tuple[Listen, ...] = LISTEN
    advertised: str = ""  # our address as the outside sees it; empty: the local address that faces the peer
    trusted: tuple[Network, ...] = ()  # peers that need no password (decision 9: none)
    qualify: int = 60  # seconds between two OPTIONS to UDP telephones behind a NAT; 0: off
    tls_verify: bool = True  # whether servers that we call over TLS must prove their name
    admission: int | Literal["auto", "off"] = "auto"  # new requests a second let in; auto: as many as can be served
    origins: tuple[str, ...] = ()  # web pages that may connect by WebSocket besides our own; "*": all
    tls_authorities: str = ""  # a PEM file of authorities to trust besides the system's


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """`[media]`"""

    ports: tuple[int, int] = (61000, 64999)  # decision 14: above the ephemeral range
    address: str = "0.0.0.0"
    advertised: str = ""
    security: str = "optional"  # of calls from and to those who are no accounts; accounts have MediaSecurity


@dataclass(frozen=True, slots=True)
class NatConfig:
    """`[nat]`"""

    lan: tuple[Network, ...] = ()  # networks without a router between them and us; none: all private ones
    nated: tuple[Network, ...] = ()  # networks whose telephones always count as behind a router
    public: tuple[str, ...] = ()  # our addresses as those outside see them, one of each family
    keepalive: Literal["off", "empty", "crlf"] = "crlf"  # what keeps the way to UDP telephones behind routers open
    interval: int = 20  # seconds between these
    media: str = "needed"  # whether audio of proxied calls passes through us: needed, always


@dataclass(frozen=True, slots=True)
class ImapConfig:
    """`[imap]`"""

    address: str = "0.0.0.0"
    port: int = 143
    tls_port: int = 993


@dataclass(frozen=True, slots=True)
class ProvisioningConfig:
    """`[provisioning]`: where telephones fetch their files. A port of None: not by that way."""

    address: str = "0.0.0.0"
    http: int | None = 8100
    https: int | None = 9100
    tftp: int | None = None


@dataclass(frozen=True, slots=True)
class RecordsConfig:
    """`[records]`: where call records go besides the database; empty: not there."""

    folder: str = ""
    format: str = "csv"  # of the files in the folder: csv, json
    helper: str = ""  # a program that takes them (CommuniGate's External CDR Processor)
    url: str = ""  # an address that takes them by POST
    days: int = 0  # how long the database keeps them; 0: for ever


@dataclass(frozen=True, slots=True)
class RecordingsConfig:
    """`[recordings]`: recorded calls."""

    folder: str = "recordings"  # in the data folder, or a path of its own
    free: int = 1024  # megabytes that stay free on that disk; with less nothing is recorded
    days: int = 0  # how long they are kept; 0: for ever


@dataclass(frozen=True, slots=True)
class RouterConfig:
    """`[router]`: who is asked where numbers lead; the Router's table itself is in the directory."""

    helper: str = ""  # a program that routes numbers (CommuniGate's external routing helper)
    enum_server: tuple[str, int] | None = None  # the DNS server that knows the zones of ENUM; None: the system's


@dataclass(frozen=True, slots=True)
class LogConfig:
    """`[log]`"""

    level: str = "info"
    json: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file."""

    sip: SipConfig = field(default_factory=SipConfig)
    media: MediaConfig = field(default_factory=MediaConfig)
    nat: NatConfig = field(default_factory=NatConfig)
    imap: ImapConfig = field(default_factory=ImapConfig)
    provisioning: ProvisioningConfig = field(default_factory=ProvisioningConfig)
    records: RecordsConfig = field(default_factory=RecordsConfig)
    recordings: RecordingsConfig = field(default_factory=RecordingsConfig)
    router: RouterConfig = field(default_factory=RouterConfig)
    log: LogConfig = field(default_factory=LogConfig)


def _listen(value: object) -> tuple[Listen, ...]:
    found = [listen for item in read.items(value) for listen in _one_listen(read.text(item))]
    if not found:
        raise read.Wrong("must name at least one address")
    return tuple(found)


_LISTEN = re.compile(r"(?:(udp|tcp|tls|ws|wss):)?(?:(\[[0-9a-fA-F:.]+\]|[0-9.]+)(?::(\d{1,5}))?)")


def _one_listen(text: str) -> list[Listen]:
    match = _LISTEN.fullmatch(text.strip())
    if match is None:
        raise read.Wrong(
            f'{text!r} is no address; write "udp:192.0.2.1:5060" (or tcp, tls, ws, wss), '
            'or "192.0.2.1:5060" for UDP and TCP'
        )
    transport, host = match[1], read.address(match[2])
    kinds = [transport] if transport else ["udp", "tcp"]
    port = read.within(0, 65535)
    return [Listen(kind, host, port(int(match[3] or PORTS[kind]))) for kind in kinds]


_port_or_off = read.within_or({"off": None}, 0, 65535, 'a port, or "off"')

_KEYS: Mapping[str, Mapping[str, Callable[[object], object]]] = {
    "sip": {
        "listen": _listen,
        "advertised": read.optional_address,
        "trusted": read.networks,
        "qualify": read.within_or({"off": 0, 0: 0}, 10, 3600, '"off" or seconds from 10 to 3600'),
        "admission": read.within_or(
            {"auto": "auto", "off": "off"}, 1, 100_000, '"auto", "off" or new requests a second from 1 to 100000'
        ),
        "tls_verify": read.flag,
        "tls_authorities": read.text,
        "origins": read.origins,
    },
    "media": {
        "ports": read.port_range,
        "address": read.address,
        "advertised": read.optional_address,
        "security": read.one_of("off", "optional", "required"),
    },
    "nat": {
        "lan": read.networks,
        "nated": read.networks,
        "public": read.addresses,
        "keepalive": read.one_of("off", "empty", "crlf"),
        "interval": read.within(1, 3600),
        "media": read.one_of("needed", "always"),
    },
    "imap": {"address": read.address, "port": read.within(0, 65535), "tls_port": read.within(0, 65535)},
    "provisioning": {"address": read.address, "http": _port_or_off, "https": _port_or_off, "tftp": _port_or_off},
    "records": {
        "folder": read.text,
        "format": read.one_of("csv", "json"),
        "helper": read.text,
        "url": read.url,
        "days": read.within(0, 36_500),
    },
    "recordings": {"folder": read.text, "free": read.within(0, 100_000_000), "days": read.within(0, 36_500)},
    "router": {"helper": read.text, "enum_server": read.name_server},
    "log": {"level": read.one_of("debug", "info", "warning", "error"), "json": read.flag},
}


def load(path: Path) -> Config:
    """Read and check a file. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    return parse(text, str(path))


def parse(text: str, name: str = "configuration") -> Config:
    """Check the text of a file that is called `name` in messages. Raises ConfigError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: {error}") from None
    sections: dict[str, dict[str, object]] = {section: {} for section in _KEYS}
    for section, values in data.items():
        keys = _known(section, _KEYS, f"{name}:{_line(text, '', section)}", "section")
        if not isinstance(values, dict):
            raise ConfigError(f"{name}:{_line(text, '', section)}: {section} is a section: write [{section}]")
        for key, value in values.items():
            where = f"{name}:{_line(text, section, key)}"
            convert = _known(key, keys, where, "key", section)
            try:
                sections[section][key] = convert(value)
            except read.Wrong as wrong:
                raise ConfigError(f"{where}: [{section}] {key} {wrong}") from None
    return Config(
        SipConfig(**sections["sip"]),  # type: ignore[arg-type]  # each converter returns its field's type
        MediaConfig(**sections["media"]),  # type: ignore[arg-type]
        NatConfig(**sections["nat"]),  # type: ignore[arg-type]
        ImapConfig(**sections["imap"]),  # type: ignore[arg-type]
        ProvisioningConfig(**sections["provisioning"]),  # type: ignore[arg-type]
        RecordsConfig(**sections["records"]),  # type: ignore[arg-type]
        RecordingsConfig(**sections["recordings"]),  # type: ignore[arg-type]
        RouterConfig(**sections["router"]),  # type: ignore[arg-type]
        LogConfig(**sections["log"]),  # type: ignore[arg-type]
    )


def _known(key: str, table: Mapping[str, _T], where: str, what: str, section: str = "") -> _T:
    if key in table:
        return table[key]
    close = difflib.get_close_matches(key, table, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(table)}"
    place = f" in [{section}]" if section else ""
    raise ConfigError(f"{where}: unknown {what} {key}{place}; {hint}")


def _line(text: str, section: str, key: str) -> int:
    """The line of a key, for messages: tomllib tells no positions."""
    current = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([^\]]+?)\s*\]", line)
        if header:
            current = header[1].strip("\"'")
        # A key of the top level opens its section either as a header or dotted: `sip.listen = …`.
        opened = current.split(".")[0] if header else ""
        wanted = key if current == section else section if not current else ""
        if (not section and opened == key) or (wanted and not header and _sets(line, wanted)):
            return number
    return 1


def _sets(line: str, key: str) -> bool:
    return re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[.=]", line) is not None
