"""Answers a carrier's 401 and 407 with the trunk's login. Pure; how often to try is decided here too.

A password that was refused is not sent again: a challenge that follows an answered one, without `stale`, means that it
is wrong. RFC 3261 §22.2 and §22.3, RFC 7616 §3.3, RFC 8760 §2.4 (the strongest that we can).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from base.entropy import Entropy
from pbx.sipcore import digest
from pbx.sipcore.digest import Challenge
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.message import Request, Response

MOST_TRIES = 3  # Limit: answers to challenges for one request; a carrier that is never content is not asked on.
_STRENGTH = {"SHA-256": 2, "MD5": 1}


@dataclass(frozen=True, slots=True)
class Login:
    """Whom a trunk says it is."""

    username: str
    password: str = field(repr=False)


@dataclass(slots=True)
class _Known:
    """A challenge and how often it has been answered (the nc of RFC 7616 §3.4)."""

    challenge: Challenge
    count: int = 0


class Credentials:
    """For one registration or one call, with all requests in its dialogs. It is a `pbx.sipcore.proving.Prover`."""

    def __init__(self, entropy: Entropy, login: Login) -> None:
        self._entropy = entropy
        self._login = login
        self._known: dict[str, _Known] = {}

    def prove(self, request: Request) -> Attempt:
        """Answer the challenges known so far on a new request (RFC 7616 §3.6): most carriers then ask no more; one that
        does, with a new nonce, is answered."""
        self._put(request)
        return Attempt(self)

    def accept(self, request: Request, name: str, challenge: Challenge) -> None:
        """A new challenge, for the header of that name."""
        self._known[name] = _Known(challenge)
        self._put(request)

    def _put(self, request: Request) -> None:
        """For all challenges: whoever has counted a use of his nonce refuses the same one again."""
        for name, known in self._known.items():
            known.count += 1
            value = digest.respond(
                known.challenge,
                username=self._login.username,
                password=self._login.password,
                method=request.method,
                uri=request.uri,
                cnonce=self._entropy.token(8),
                count=known.count,
            )
            request.set(name, value)


class Attempt:
    """One request that is to be believed, however often it is sent."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._tries = 0
        self._answered: set[str] = set()
        self.wrong = False
        """The carrier has refused the login."""

    def answer(self, request: Request, response: Response) -> bool:
        """Put credentials on `request`, which the caller sends again with a higher CSeq; False when that is no use."""
        name, asked_in = _headers(response.status)
        challenge = _best(response, asked_in)
        if challenge is None:
            return False
        if name in self._answered and not challenge.stale:
            self.wrong = True
            return False
        self._tries += 1
        if self._tries > MOST_TRIES:
            return False
        self._answered.add(name)
        self._credentials.accept(request, name, challenge)
        return True


def _headers(status: int) -> tuple[str, str]:
    return ("Proxy-Authorization", "Proxy-Authenticate") if status == 407 else ("Authorization", "WWW-Authenticate")


def _best(response: Response, name: str) -> Challenge | None:
    """The strongest challenge that we can answer; None when there is none."""
    found: list[Challenge] = []
    for value in response.get_all(name):
        try:
            challenge = digest.parse_challenge(value)
        except SipSyntaxError:
            continue
        if challenge.algorithm in _STRENGTH and (not challenge.qop or "auth" in challenge.qop):
            found.append(challenge)
    return max(found, key=lambda each: _STRENGTH[each.algorithm], default=None)
