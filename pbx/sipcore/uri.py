"""SIP, SIPS and tel addresses, and the name-addr form that headers wrap round them.

Values only: nothing is looked up here. A user part is held decoded (`%23pbx` is `#pbx`) and is escaped again when
written; who must keep an address as it was sent keeps its text.

RFC 3261 §19.1 and §25.1, RFC 3966 (tel), RFC 3986 §2.1 (escapes), RFC 5118 (IPv6).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from pbx.sipcore.failures import SipSyntaxError

Params = Mapping[str, str | None]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")
# user, password, host, port, parameters, headers (RFC 3261 §25.1); no white space, no control characters
_SIP = re.compile(
    r"(?:([^@:\x00-\x20<>\"\x7f-\U0010ffff]*)(?::([^@\x00-\x20<>\"\x7f-\U0010ffff]*))?@)?"
    r"([A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])"
    r"(?::([0-9]{1,5}))?"
    r"((?:;[^;?\s<>\"@]*)*)"
    r"(?:\?([^\s<>\"@]*))?"
)
_OPAQUE = re.compile(r"[\x21\x23-\x3b\x3d\x3f-\x7e]+")  # RFC 3986 §2: none of " < >
_QUOTED = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PARAM = re.compile(
    r"\s*;\s*([^\s=;,<>\"]+)(?:\s*=\s*(\"(?:[^\"\\]|\\.)*\"|[^\s;,<>\"]*(?=[\s;]|$)))?",
    re.DOTALL,
)
_SIMPLE_PARAMS = re.compile(r"(?:;[^\s=;,<>\"]+(?:=[^\s;,<>\"]*)?)+")
_TOKEN_WORDS = re.compile(r"[A-Za-z0-9\-.!%*_+`'~ \t\x80-\U0010ffff]*")
# The usual form of From and To, a part of what `NameAddress.parse` takes: good without a closer look
_USUAL = re.compile(
    r"(?:\"[^\"\\<>]*\"[ \t]*|[A-Za-z0-9 \-.]*)"
    r"<sips?:(?:[A-Za-z0-9\-_.+*]{1,64}@)?[A-Za-z0-9\-.]+(?::[1-9][0-9]{0,3})?(?:;[a-z]+(?:=[A-Za-z0-9\-.]+)?)*>"
    r"(?:;tag=([A-Za-z0-9\-.!%*_+`'~]+))?"
)
# unreserved and user-unreserved of RFC 3261 §25.1 stay bare
_USER_SAFE = "-_.!~*'()&=+$,;?/"
_PASSWORD_SAFE = "-_.!~*'()&=+$,"
_PARAM_SAFE = "-_.!~*'()[]/:&+$"
_HEADER_SAFE = "-_.!~*'()[]/?:+$"


REMEMBERED = 160
"""Limit: longest text whose value is kept. The same few addresses stand in every message of a call or of a telephone;
reading one costs 5 µs, finding it again 0.2. The values cannot change, so all may share them."""


@dataclass(frozen=True, slots=True)
class Uri:
    """An address. For `tel:` and foreign schemes all that follows the colon is `user`, and `host` is empty."""

    scheme: str = "sip"
    user: str = ""
    password: str | None = None
    host: str = ""
    port: int | None = None
    params: Params = field(default_factory=dict, hash=False)
    headers: Params = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, text: str) -> Uri:
        """Read an address without angle brackets. Raises SipSyntaxError."""
        return _known_uri(text) if len(text) <= REMEMBERED else _read_uri(text)

    @property
    def is_sip(self) -> bool:
        """True for `sip:` and `sips:`."""
        return self.scheme in ("sip", "sips")

    @property
    def loose(self) -> bool:
        """True when the parameter `lr` is there (RFC 3261 §16.12)."""
        return "lr" in self.params

    @property
    def host_port(self) -> str:
        """`host` or `host:port`, an IPv6 host in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    def replace(self, **changes: Any) -> Uri:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def bare(self) -> Uri:
        """Scheme, user, host and port only: what an address of record is made of (RFC 3261 §10.3 step 5)."""
        return Uri(self.scheme, self.user, None, self.host, self.port)

    def secured(self) -> Uri:
        """The same address as `sips:`; its transport is then TLS without saying so (RFC 3261 §26.2.2)."""
        params = {name: value for name, value in self.params.items() if (name, value) != ("transport", "tls")}
        return self.replace(scheme="sips", params=params)

    def equivalent(self, other: Uri) -> bool:
        """RFC 3261 §19.1.4: parameters that only one side has do not count, save user, ttl, method, maddr."""
        if (self.scheme, self.user, self.password, self.port) != (other.scheme, other.user, other.password, other.port):
            return False
        if self.host.lower() != other.host.lower():
            return False
        mine, theirs = _folded(self.params), _folded(other.params)
        for name in mine.keys() | theirs.keys():
            both = name in mine and name in theirs
            if (both or name in ("user", "ttl", "method", "maddr")) and mine.get(name) != theirs.get(name):
                return False
        return _folded(self.headers) == _folded(other.headers)

    def __str__(self) -> str:
        if not self.host and not self.is_sip:
            user = self.user if self.scheme != "tel" else quote(self.user, safe="+-.()*#")
            return f"{self.scheme}:{user}{_written(self.params, _PARAM_SAFE)}"
        credentials = ""
        if self.user or self.password is not None:
            user = self.user if self.user.isalnum() and self.user.isascii() else quote(self.user, safe=_USER_SAFE)
            password = "" if self.password is None else ":" + quote(self.password, safe=_PASSWORD_SAFE)
            credentials = f"{user}{password}@"
        text = f"{self.scheme}:{credentials}{self.host_port}"
        if self.params:
            text += _written(self.params, _PARAM_SAFE)
        if self.headers:
            text += "?" + "&".join(
                f"{quote(name, safe=_HEADER_SAFE)}={quote(value or '', safe=_HEADER_SAFE)}"
                for name, value in self.headers.items()
            )
        return text


def wants_tls(uri: str) -> bool:
    """Whether a Request-URI asks for TLS on all of the way (RFC 3261 §26.2.2)."""
    return uri[:5].lower() == "sips:"


def _read_uri(text: str) -> Uri:
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if scheme not in ("sip", "sips"):
        return _read_foreign(scheme, colon, rest)
    match = _SIP.fullmatch(rest)
    if match is None:
        raise SipSyntaxError("Malformed SIP address")
    user, password, host, port, params, headers = match.groups()
    number = None
    if port is not None:
        number = int(port)
        if not 0 < number < 65536:
            raise SipSyntaxError("Port out of range in an address")
    if host[0] == "[":
        host = host[1:-1]
    if user and "%" in user:
        user = unquote(user)
    return Uri(
        scheme,
        user or "",
        None if password is None else unquote(password),
        host,
        number,
        _uri_params(params) if params else {},
        _uri_headers(headers) if headers else {},
    )


def _read_foreign(scheme: str, colon: str, rest: str) -> Uri:
    if not colon or not _SCHEME.fullmatch(scheme) or not _OPAQUE.fullmatch(rest):
        raise SipSyntaxError("Malformed address")
    if scheme != "tel":
        return Uri(scheme, rest)
    number, semicolon, params = rest.partition(";")
    return Uri(scheme, unquote(number), params=_uri_params(semicolon + params) if params else {})


_known_uri = lru_cache(maxsize=2048)(_read_uri)


@dataclass(frozen=True, slots=True)
class NameAddress:
    """`"Display" <uri>;params` as in From, To, Contact, Route (RFC 3261 §20.10). `text` is the address as sent."""

    display: str
    uri: Uri
    params: Params = field(default_factory=dict, hash=False)
    text: str = field(default="", compare=False)

    @classmethod
    def parse(cls, value: str) -> NameAddress:
        """Read one value (no list). Raises SipSyntaxError."""
        return _known_name_address(value) if len(value) <= REMEMBERED else _read_name_address(value)

    @property
    def tag(self) -> str | None:
        return self.params.get("tag")

    def replace(self, **changes: Any) -> NameAddress:
        """A copy with some fields changed; a new `uri` is written anew."""
        if "uri" in changes:
            changes.setdefault("text", "")
        return replace(self, **changes)

    def with_tag(self, tag: str | None) -> NameAddress:
        """A copy with this tag, or with none."""
        params = {name: value for name, value in self.params.items() if name != "tag"}
        if tag is not None:
            params["tag"] = tag
        return replace(self, params=params)

    def __str__(self) -> str:
        address = self.text or str(self.uri)
        display = f"{quoted_string(self.display)} " if self.display else ""
        return f"{display}<{address}>{written_params(self.params)}"


def _read_name_address(value: str) -> NameAddress:
    value = value.strip()
    display = ""
    rest = value
    if value.startswith('"'):
        quoted = _QUOTED.match(value)
        if quoted is None:
            raise SipSyntaxError("Unterminated quoted string")
        display = _ESCAPED.sub(r"\1", quoted.group(1))
        rest = value[quoted.end() :].lstrip()
        if not rest.startswith("<"):
            raise SipSyntaxError("Address without angle brackets after a display name")
    start = rest.find("<")
    if start < 0:
        # RFC 3261 §20.10: without brackets every parameter belongs to the header
        address, semicolon, params = rest.partition(";")
        if "?" in address or "," in address:
            raise SipSyntaxError("Address needs angle brackets")
        address = address.rstrip()
        return NameAddress("", Uri.parse(address), parse_params(semicolon + params) if semicolon else {}, address)
    if start > 0:
        display = rest[:start].strip()
        if not _TOKEN_WORDS.fullmatch(display):
            raise SipSyntaxError("Malformed display name")
    end = rest.find(">", start)
    if end < 0:
        raise SipSyntaxError("Address without closing bracket")
    address = rest[start + 1 : end]
    params = rest[end + 1 :]
    return NameAddress(display, Uri.parse(address), parse_params(params) if params else {}, address)


_known_name_address = lru_cache(maxsize=2048)(_read_name_address)


def tag_of(value: str) -> str:
    """The tag of a From or To value, empty without one; the value is read whole. Raises SipSyntaxError."""
    usual = _USUAL.fullmatch(value)
    if usual is not None:
        return usual.group(1) or ""
    return NameAddress.parse(value).params.get("tag") or ""


def check_address(value: str) -> None:
    """Make sure that `NameAddress.parse` will read this value. Raises SipSyntaxError."""
    if _USUAL.fullmatch(value) is None:
        NameAddress.parse(value)


def parse_params(text: str) -> dict[str, str | None]:
    """Read `;name=value;flag`, quoted values without their quotes; names in lower case, the first of a name counts."""
    params: dict[str, str | None] = {}
    if _SIMPLE_PARAMS.fullmatch(text):
        for item in text[1:].split(";"):
            name, equals, value = item.partition("=")
            params.setdefault(name.lower(), value if equals else None)
        return params
    return _parse_odd_params(text)


def _parse_odd_params(text: str) -> dict[str, str | None]:
    """Quotes, white space, empty parameters."""
    params: dict[str, str | None] = {}
    position = 0
    while position < len(text):
        match = _PARAM.match(text, position)
        if match is None:
            if text[position:].strip(" \t\r\n;"):
                raise SipSyntaxError("Malformed header parameter")
            break  # Interop: a trailing semicolon is harmless
        name, value = match.groups()
        if value is not None and value.startswith('"'):
            value = _ESCAPED.sub(r"\1", value[1:-1])
        params.setdefault(name.lower(), value)
        position = match.end()
    return params


def written_params(params: Params) -> str:
    """The opposite of `parse_params`; values that are no token or host are quoted."""
    return "".join(
        f";{name}" if value is None else f";{name}={value if _PLAIN.fullmatch(value) else quoted_string(value)}"
        for name, value in params.items()
    )


_PLAIN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~\[\]:/@]+")


def quoted_string(text: str) -> str:
    """`text` between quotes, as RFC 3261 §25.1 quoted-string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", " ").replace("\n", " ") + '"'


def _uri_params(text: str) -> dict[str, str | None]:
    params: dict[str, str | None] = {}
    for item in text.split(";"):
        if item:
            name, equals, value = item.partition("=")
            params.setdefault(unquote(name).lower(), unquote(value) if equals else None)
    return params


def _uri_headers(text: str) -> dict[str, str | None]:
    headers: dict[str, str | None] = {}
    for item in text.split("&"):
        name, _, value = item.partition("=")
        headers.setdefault(unquote(name), unquote(value))
    return headers


def _written(params: Params, safe: str) -> str:
    return "".join(
        f";{quote(name, safe=safe)}" + ("" if value is None else f"={quote(value, safe=safe)}")
        for name, value in params.items()
    )


def _folded(params: Params) -> dict[str, str | None]:
    return {name.lower(): value and value.lower() for name, value in params.items()}
