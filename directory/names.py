"""Which names may be given, and addresses as people and records write them (spec: cgp-server §3, pbx-apps §1).

Pure text. Nothing here knows who exists.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import unquote

from base.failures import Failure
from directory.model import Address

_LOCAL = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PROGRAM = re.compile(r"(?P<app>[A-Za-z0-9_.-]+)(?:\{(?P<parameters>[^{}]*)\})?#(?P<account>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ProgramAddress:
    """`app{p1,p2}#account`; `account` is empty for "my own"."""

    program: str
    parameters: tuple[str, ...]
    account: str


def checked_local(text: str, what: str = "name") -> str:
    """A name that an account, alias or group may have, in lower case. Raises Failure("invalid")."""
    local = text.strip().lower()
    if not _LOCAL.fullmatch(local):
        raise Failure("invalid", f"{what} {text!r}: 1 to 64 letters, digits, dots, dashes and underscores, please")
    return local


def checked_domain(text: str) -> str:
    """A domain name in lower case. Raises Failure("invalid")."""
    domain = text.strip().rstrip(".").lower()
    if not _DOMAIN.fullmatch(domain) or len(domain) > 253 or domain.replace(".", "").isdigit():
        raise Failure("invalid", f"{text!r} is no domain name")
    return domain


def plain_host(host: str) -> str:
    """A host as we compare it: lower case, no brackets, no final dot, addresses in their shortest form."""
    host = host.strip().strip("[]").rstrip(".").lower()
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def is_loopback(host: str) -> bool:
    """127.0.0.0/8, ::1 or `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def unescaped(local: str) -> str:
    """RFC 3261 §19.1.2: `%2A98` is `*98`. Octets that are no UTF-8 stay escaped."""
    try:
        return unquote(local, errors="strict")
    except UnicodeDecodeError:
        return local


def program_address(local: str) -> ProgramAddress | None:
    """`app{p1,p2}#account` or `#app`; None when `local` is neither."""
    if local.startswith("#"):
        bare = _PROGRAM.fullmatch(local[1:] + "#")
        return None if bare is None else ProgramAddress(bare["app"].lower(), _parameters(bare["parameters"]), "")
    match = _PROGRAM.fullmatch(local)
    return (
        None
        if match is None
        else ProgramAddress(match["app"].lower(), _parameters(match["parameters"]), match["account"])
    )


def _parameters(text: str | None) -> tuple[str, ...]:
    return () if not text else tuple(part.strip() for part in text.split(","))


def parse_target(text: str, domain: str) -> Address | None:
    """An address as a rule or a forwarder writes it: `name`, `name@domain`, `<sip:name@domain;x=y>`, `#app`,
    `app#account@domain`. A bare one is in `domain`. None when it is none."""
    text = text.strip().removeprefix("<").removesuffix(">").strip()
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() in ("sip", "sips", "tel"):
        text = rest.partition("?")[0].partition(";")[0]
    local, at, host = text.rpartition("@")
    if not at:
        local, host = text, domain
    return address_at(local, host) if local and host else None


def address_at(local: str, host: str) -> Address:
    """`local` at `host`, `host:port` or `[address]:port`; a port that is none is left out."""
    bare, colon, port = host.rpartition(":")
    if not colon or (":" in bare and not bare.endswith("]")):
        return Address(local, plain_host(host))
    return Address(local, plain_host(bare), int(port) if port.isascii() and port.isdigit() and int(port) < 65536 else 0)


def wants_services(text: str) -> bool:
    """False for a URI with `;services=no`: the callee's own rules are left out (the guide, section V.N)."""
    scheme, colon, rest = text.strip().removeprefix("<").removesuffix(">").partition(":")
    if not colon or scheme.lower() not in ("sip", "sips", "tel"):
        return True
    return "services=no" not in rest.partition("?")[0].lower().split(";")[1:]
