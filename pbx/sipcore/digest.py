"""Digest authentication: challenges, checking answers, and answering as a client.

It knows no account: the caller brings HA1. Which realm and which user name count is the policy's business.

RFC 3261 §22, RFC 7616 and RFC 8760 (SHA-256), RFC 2617 (compatibility: no qop).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from base.clock import Clock
from base.entropy import Entropy
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.uri import quoted_string

Algorithm = Literal["MD5", "SHA-256"]

NONCE_LIFE = 300
"""Limit: seconds until a nonce is stale; the phone then answers a new one without asking its owner."""

MAX_COUNTED = 20_000
"""Limit: nonces whose use is counted. When one is forgotten, it and all older ones are stale."""

_PAIR = re.compile(r'\s*([A-Za-z0-9\-_]+)\s*=\s*(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^\s,"]*))\s*(?:,|$)')
_ESCAPED = re.compile(r"\\(.)")
_COUNT = re.compile(r"[0-9a-fA-F]{1,8}")
_STAMP = re.compile(r"([0-9a-f]{1,12})\.([0-9a-f]{12})\.([0-9a-f]{32})")


Verdict = Literal["ok", "stale", "bad"]
"""What credentials are worth. `stale`: the password is right and the nonce too old or used before; the peer is asked
again with stale=true and need not ask its owner (RFC 7616 §3.3)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The values of an Authorization or Proxy-Authorization header (RFC 7616 §3.4)."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = "MD5"
    qop: str | None = None
    cnonce: str = ""
    nc: str = ""
    opaque: str | None = None


@dataclass(frozen=True, slots=True)
class Challenge:
    """One WWW-Authenticate or Proxy-Authenticate value."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: tuple[str, ...] = ()
    opaque: str | None = None
    stale: bool = False


def challenge(realm: str, nonce: str, algorithm: Algorithm = "MD5", stale: bool = False) -> str:
    """The value of WWW-Authenticate or Proxy-Authenticate."""
    again = ", stale=true" if stale else ""
    return f'Digest realm={quoted_string(realm)}, nonce="{nonce}", algorithm={algorithm}, qop="auth"{again}'


def parse_authorization(text: str) -> Credentials:
    """Read credentials. Raises SipSyntaxError when they are no Digest or lack what is needed."""
    pairs = _pairs(text)
    try:
        return Credentials(
            username=pairs["username"],
            realm=pairs["realm"],
            nonce=pairs["nonce"],
            uri=pairs["uri"],
            response=pairs["response"],
            algorithm=pairs.get("algorithm", "MD5").upper(),
            qop=pairs["qop"].lower() if "qop" in pairs else None,
            cnonce=pairs.get("cnonce", ""),
            nc=pairs.get("nc", ""),
            opaque=pairs.get("opaque"),
        )
    except KeyError as missing:
        raise SipSyntaxError(f"Credentials without {missing.args[0]}") from None


def parse_challenge(text: str) -> Challenge:
    """Read a challenge. Raises SipSyntaxError."""
    pairs = _pairs(text)
    if "realm" not in pairs or "nonce" not in pairs:
        raise SipSyntaxError("Challenge without realm or nonce")
    return Challenge(
        pairs["realm"],
        pairs["nonce"],
        pairs.get("algorithm", "MD5").upper(),
        tuple(word.strip().lower() for word in pairs["qop"].split(",") if word.strip()) if "qop" in pairs else (),
        pairs.get("opaque"),
        pairs.get("stale", "").lower() == "true",
    )


def ha1(username: str, realm: str, password: str, algorithm: Algorithm = "MD5") -> str:
    """The hash of user, realm and password (RFC 7616 §3.4.2)."""
    return _digest(algorithm, f"{username}:{realm}:{password}")


def expected(given: Credentials, secret: str, method: str) -> str | None:
    """The response that the holder of HA1 `secret` would have sent; None for what we do not do (auth-int, -sess)."""
    algorithm = _algorithm(given.algorithm)
    if algorithm is None:
        return None
    ha2 = _digest(algorithm, f"{method}:{given.uri}")
    match given.qop:
        case None:
            return _digest(algorithm, f"{secret}:{given.nonce}:{ha2}")
        case "auth":
            return _digest(algorithm, f"{secret}:{given.nonce}:{given.nc}:{given.cnonce}:auth:{ha2}")
        case _:
            return None


def respond(
    asked: Challenge, *, username: str, password: str, method: str, uri: str, cnonce: str, count: int = 1
) -> str:
    """Credentials for a challenge, the client's side. Raises SipSyntaxError when we cannot answer it."""
    algorithm = _algorithm(asked.algorithm)
    if algorithm is None or (asked.qop and "auth" not in asked.qop):
        raise SipSyntaxError("A challenge that we cannot answer")
    nc = f"{count:08x}"
    qop = "auth" if asked.qop else None
    given = Credentials(username, asked.realm, asked.nonce, uri, "", algorithm, qop, cnonce, nc)
    text = (
        f"Digest username={quoted_string(username)}, realm={quoted_string(asked.realm)}, "
        f'nonce={quoted_string(asked.nonce)}, uri="{uri}", '
        f'response="{expected(given, ha1(username, asked.realm, password, algorithm), method)}", algorithm={algorithm}'
    )
    if qop:
        text += f', qop=auth, nc={nc}, cnonce="{cnonce}"'
    return text if asked.opaque is None else f"{text}, opaque={quoted_string(asked.opaque)}"


class DigestServer:
    """Makes challenges and judges the answers to them.

    A nonce is a time and a serial, sealed with our key and with where it was sent, so that nothing is kept for those
    who only ask; only nonces that were used with the right password are counted, against replay (RFC 7616 §3.3, §5.5).
    """

    def __init__(self, clock: Clock, entropy: Entropy, *, life: float = NONCE_LIFE) -> None:
        self._clock = clock
        self._entropy = entropy
        self._key = entropy.octets(32)
        self._life = life
        self._used: OrderedDict[str, int] = OrderedDict()
        self._forgotten = -1  # nonces made up to then are stale, for their counts may be lost

    def challenge(self, realm: str, algorithm: Algorithm = "MD5", stale: bool = False, source: str = "") -> str:
        """The value of WWW-Authenticate or Proxy-Authenticate, with a new nonce for `source`."""
        return challenge(realm, self.nonce(source), algorithm, stale)

    def nonce(self, source: str = "") -> str:
        """It is good for who has it from us there; `source` is any word for that."""
        stamp = f"{self._milliseconds():x}.{self._entropy.token(6)}"
        return f"{stamp}.{self._seal(stamp, source)}"

    def verify(self, given: Credentials, method: str, secret: str | None, source: str = "") -> Verdict:
        """Judge credentials by HA1 `secret` (of that user name, realm and `given.algorithm`), None for nobody.

        The work for an unknown user is the same as for a wrong password. A nonce that we did not give to `source` is
        stale whatever the response is (RFC 7616 §3.3): it neither tells whether a guess was right, nor counts as a
        guess of somebody whose address was forged.
        """
        right = expected(given, secret or "-", method)
        same = right is not None and hmac.compare_digest(right.encode(), given.response.lower().encode())
        if not self._is_ours(given.nonce, source):
            return "stale"
        if not secret or not same:
            return "bad"
        return "ok" if self._is_fresh(given) else "stale"

    def _is_ours(self, nonce: str, source: str) -> bool:
        match = _STAMP.fullmatch(nonce)
        return match is not None and hmac.compare_digest(self._seal(nonce.rpartition(".")[0], source), match.group(3))

    def _is_fresh(self, given: Credentials) -> bool:
        made = int(given.nonce.partition(".")[0], 16)
        age = self._milliseconds() - made
        if made <= self._forgotten or not 0 <= age <= self._life * 1000:
            return False
        return self._count(given)

    def _count(self, given: Credentials) -> bool:
        """Each count once and upward (RFC 7616 §3.4). Without qop there is no count: a nonce serves one request."""
        count = 1
        if given.qop is not None:
            if not _COUNT.fullmatch(given.nc):
                return False
            count = int(given.nc, 16)
        if count <= self._used.get(given.nonce, 0):
            return False
        self._used[given.nonce] = count
        self._used.move_to_end(given.nonce)
        while len(self._used) > MAX_COUNTED:
            oldest, _ = self._used.popitem(last=False)
            self._forgotten = max(self._forgotten, int(oldest.partition(".")[0], 16))
        return True

    def _milliseconds(self) -> int:
        return int(self._clock.now() * 1000)

    def _seal(self, stamp: str, source: str) -> str:
        return hmac.digest(self._key, f"{stamp} {source}".encode(), "sha256").hex()[:32]


def _algorithm(name: str) -> Algorithm | None:
    match name.upper():
        case "MD5":
            return "MD5"
        case "SHA-256":
            return "SHA-256"
        case _:
            return None


def _digest(algorithm: Algorithm, text: str) -> str:
    data = text.encode("utf-8", "replace")
    if algorithm == "MD5":
        return hashlib.md5(data, usedforsecurity=False).hexdigest()
    return hashlib.sha256(data).hexdigest()


def _pairs(text: str) -> dict[str, str]:
    scheme, _, rest = text.strip().partition(" ")
    if scheme.lower() != "digest":
        raise SipSyntaxError("Not Digest authentication")
    pairs: dict[str, str] = {}
    position = 0
    while position < len(rest):
        match = _PAIR.match(rest, position)
        if match is None:
            raise SipSyntaxError("Malformed authentication header")
        name, quoted, bare = match.groups()
        name = name.lower()
        if name in pairs:
            raise SipSyntaxError("Authentication parameter given twice")
        if quoted is None:
            pairs[name] = bare
        else:
            pairs[name] = _ESCAPED.sub(r"\1", quoted) if "\\" in quoted else quoted
        position = match.end()
    return pairs
