"""Names of header fields, how lists of values split, and the typed values Via, CSeq, RAck and Replaces.

Nothing here holds a message; `message.py` does.

RFC 3261 §7.3, §20 and §25.1, RFC 3581 (rport), RFC 3891 (Replaces), RFC 3329 and others for the names of list headers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.uri import REMEMBERED, Params, parse_params, written_params

MAGIC = "z9hG4bK"
"""What a branch of an RFC 3261 element starts with (§8.1.1.7)."""

COMPACT: Mapping[str, str] = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}

_LIST_NAMES = (
    "accept accept-encoding accept-language alert-info allow allow-events call-info contact content-encoding "
    "content-language diversion error-info history-info in-reply-to p-asserted-identity p-associated-uri path "
    "p-preferred-identity privacy proxy-require reason record-route require route service-route supported unsupported "
    "via warning accept-contact reject-contact"
)
LISTS = frozenset(_LIST_NAMES.split())
"""Headers whose grammar is a comma-separated list (RFC 3261 §7.3.1)."""

_COMMON = (
    "Via Route Record-Route Path Max-Forwards From To Call-ID CSeq Contact Expires Min-Expires Content-Type "
    "Content-Length Content-Disposition Content-Encoding User-Agent Server Allow Supported Require Unsupported Accept "
    "Date Event Subscription-State Allow-Events Authorization Proxy-Authorization WWW-Authenticate Proxy-Authenticate "
    "Session-Expires Min-SE Refer-To Referred-By Replaces Reason P-Asserted-Identity P-Preferred-Identity Privacy "
    "Remote-Party-ID Diversion History-Info Alert-Info Call-Info Subject Organization Retry-After Warning RSeq RAck "
    "Accept-Language Accept-Encoding Timestamp MIME-Version Service-Route"
)

SPELLINGS: Mapping[str, str] = {
    **{name: name.lower() for name in _COMMON.split()},
    **{name.lower(): name.lower() for name in _COMMON.split()},
    **{name.upper(): name.lower() for name in _COMMON.split()},
    **COMPACT,
    **{short.upper(): name for short, name in COMPACT.items()},
    "Call-Id": "call-id",
    "Cseq": "cseq",
}
"""The usual spellings, each with its kind: one look-up for almost every header that a phone sends."""

_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_STOP = re.compile(r'[,"<]')
_QUOTED = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_VIA = re.compile(
    r"\s*SIP\s*/\s*[0-9]+\.[0-9]+\s*/\s*([A-Za-z0-9\-.!%*_+`'~]+)\s+"
    r"([A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])(?:\s*:\s*([0-9]{1,5}))?\s*(;.*)?",
    re.DOTALL | re.IGNORECASE,
)
_CSEQ = re.compile(r"([0-9]{1,10})\s+([A-Za-z0-9\-.!%*_+`'~]+)")


def kind_of(name: str) -> str:
    """The lower-case long form of a header's name. Raises SipSyntaxError when it is no token."""
    kind = SPELLINGS.get(name)
    if kind is not None:
        return kind
    name = name.rstrip(" \t")  # RFC 3261 §7.3.1 allows white space before the colon
    if not _TOKEN.fullmatch(name):
        raise SipSyntaxError("Malformed header name")
    name = name.lower()
    return COMPACT.get(name, name)


def is_token(text: str) -> bool:
    return _TOKEN.fullmatch(text) is not None


def split_list(value: str) -> list[str]:
    """Split at the commas that stand neither in quotes nor in angle brackets.

    What opens and does not close takes the rest with it, so that no text costs more than one pass.
    """
    if "," not in value:
        return [value] if value else []
    parts: list[str] = []
    start = at = 0
    while (stop := _STOP.search(value, at)) is not None:
        at = stop.end()
        if stop.group() == ",":
            parts.append(value[start : at - 1].strip())
            start = at
        elif stop.group() == "<":
            at = value.find(">", at) + 1
        else:
            quoted = _QUOTED.match(value, at - 1)
            at = quoted.end() if quoted is not None else 0
        if at == 0:
            break
    parts.append(value[start:].strip())
    return [part for part in parts if part]


@dataclass(frozen=True, slots=True)
class Via:
    """One hop on the way back (RFC 3261 §20.42). `transport` is in upper case, an IPv6 `host` without brackets."""

    transport: str
    host: str
    port: int | None = None
    params: Params = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, text: str) -> Via:
        """Read one value. Raises SipSyntaxError."""
        return _known_via(text) if len(text) <= REMEMBERED else _read_via(text)

    @property
    def branch(self) -> str:
        return self.params.get("branch") or ""

    @property
    def sent_by(self) -> str:
        """`host:port` as RFC 3261 §17.2.3 compares it: lower case, with the port that is meant."""
        return f"{self.host.lower()}:{self.port or (5061 if self.transport in ('TLS', 'WSS') else 5060)}"

    @property
    def received(self) -> str | None:
        return self.params.get("received")

    @property
    def rport(self) -> int | None:
        """The port that `rport` names; None when it is absent or empty."""
        value = self.params.get("rport")
        return int(value) if value and value.isascii() and value.isdigit() and len(value) < 6 else None

    def stamped(self, source: tuple[str, int]) -> Via:
        """With `received` and `rport` filled in as the server that took it in must (RFC 3261 §18.2.1, RFC 3581 §4).

        What a sender wrote into `received` itself is not believed.
        """
        params = {name: value for name, value in self.params.items() if name != "received"}
        asked = "rport" in params
        if asked:
            params["rport"] = str(source[1])
        if asked or self.host.lower() != source[0].lower():
            params["received"] = source[0]
        return self if params == self.params else Via(self.transport, self.host, self.port, params)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {host}{port}{written_params(self.params)}"


def _read_via(text: str) -> Via:
    match = _VIA.fullmatch(text)
    if match is None:
        raise SipSyntaxError("Malformed Via")
    transport, host, port, params = match.groups()
    if port is not None and not 0 < int(port) < 65536:
        raise SipSyntaxError("Port out of range in Via")
    if host[0] == "[":
        host = host[1:-1]
    return Via(transport.upper(), host, None if port is None else int(port), parse_params(params) if params else {})


_known_via = lru_cache(maxsize=2048)(_read_via)


@dataclass(frozen=True, slots=True)
class CSeq:
    """RFC 3261 §20.16."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        match = _CSEQ.fullmatch(text)
        if match is None:
            raise SipSyntaxError("Malformed CSeq")
        number = int(match.group(1))
        if number >= 2**31:  # RFC 3261 §8.1.1.5
            raise SipSyntaxError("CSeq number too big")
        return cls(number, match.group(2))

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@dataclass(frozen=True, slots=True)
class Replaces:
    """Which dialog a new INVITE takes the place of (RFC 3891 §6.1)."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Replaces:
        call_id, semicolon, rest = text.partition(";")
        params = parse_params(semicolon + rest) if semicolon else {}
        to_tag, from_tag = params.get("to-tag"), params.get("from-tag")
        if not call_id.strip() or to_tag is None or from_tag is None:
            raise SipSyntaxError("Malformed Replaces")
        return cls(call_id.strip(), to_tag, from_tag, "early-only" in params)

    def __str__(self) -> str:
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"


@dataclass(frozen=True, slots=True)
class RAck:
    """Which reliable provisional a PRACK acknowledges (RFC 3262 §7.2)."""

    rseq: int
    cseq: CSeq

    @classmethod
    def parse(cls, text: str) -> RAck:
        number, _, rest = text.partition(" ")
        if not (number.isascii() and number.isdigit() and len(number) <= 10):
            raise SipSyntaxError("Malformed RAck")
        return cls(int(number), CSeq.parse(rest.strip()))

    def __str__(self) -> str:
        return f"{self.rseq} {self.cseq}"
