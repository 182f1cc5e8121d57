"""Answers a carrier's 401 and 407 with the trunk's login. Pure; how often to try is decided here too.

A password that was refused is not sent again: a challenge that follows an answered one, without `stale`, means that it
is wrong. RFC 3261 §22.2 and §22.3, RFC 7616 §3.3, RFC 8760 §2.4 (the strongest that we can).

Missing: an answer to a challenge within a call (RFC 3261 §22.2 for re-INVITE and BYE), as carriers ask at REGISTER
and INVITE.
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


class Credentials:
    """For one request and those that follow it in its dialog."""

    def __init__(self, entropy: Entropy, login: Login) -> None:
        self._entropy = entropy
        self._login = login
        self._tries = 0
        self._counts: dict[str, int] = {}
        self._known: dict[str, Challenge] = {}
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
        self._known[name] = challenge
        self._put(request, name, challenge)
        return True

    def renew(self, request: Request) -> None:
        """Put credentials for the challenges known so far on a new request (RFC 7616 §3.6): most carriers then ask no
        more; one that does, with a new nonce, is answered."""
        self._tries = 0
        self._answered.clear()
        for name, challenge in self._known.items():
            self._put(request, name, challenge)

    def _put(self, request: Request, name: str, challenge: Challenge) -> None:
        count = self._counts.get(challenge.nonce, 0) + 1
        self._counts = {challenge.nonce: count}
        value = digest.respond(
            challenge,
            username=self._login.username,
            password=self._login.password,
            method=request.method,
            uri=request.uri,
            cnonce=self._entropy.token(8),
            count=count,
        )
        request.set(name, value)


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
