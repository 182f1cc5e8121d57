"""Who sent a request: digest credentials against the directory. It decides nothing about what he may do.

A login name may be an account's name, any of its aliases (an extension), or either with the domain. Nothing that a
stranger can see tells whether a name exists: the answer is the same and so is the work.

RFC 3261 §22, RFC 7616, RFC 8760.
"""

from __future__ import annotations

from dataclasses import dataclass

from base.clock import Clock
from base.entropy import Entropy
from base.failures import Failure
from directory.addresses import neighbourhood
from directory.model import Account
from directory.secrets import NOBODY
from pbx.policy.ports import Directory
from pbx.sipcore.digest import Algorithm, Credentials, DigestServer, parse_authorization
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.message import Request
from pbx.workarounds.kinds import Workaround
from pbx.workarounds.rows import Workarounds

LONGEST_NAME = 320
"""Limit: characters of a login name (RFC 5321 §4.5.3.1: 64 octets, @, 255 octets); no longer one is remembered."""


@dataclass(frozen=True, slots=True)
class Unproven:
    """No usable credentials: challenge. `stale` when only the nonce was too old."""

    stale: bool = False


@dataclass(frozen=True, slots=True)
class Wrong:
    """Credentials that do not hold. `user` and `reason` are for the log only."""

    user: str
    reason: str


Proof = Account | Unproven | Wrong


class Authenticator:
    """Challenges and proofs for all local domains; the realm is the domain (decision 8)."""

    def __init__(self, clock: Clock, entropy: Entropy, directory: Directory, workarounds: Workarounds) -> None:
        self._digest = DigestServer(clock, entropy)
        self._directory = directory
        self._workarounds = workarounds

    def challenges(
        self, request: Request, source: str, realm: str, *, proxy: bool, stale: bool
    ) -> tuple[tuple[str, str], ...]:
        """The headers of a 401 or 407 to `source`: MD5 first, as most phones look only at the first.

        Interop: alone but to those known to survive a second; baresip 1.0 gives up when any challenge is not MD5.
        """
        name, near = "Proxy-Authenticate" if proxy else "WWW-Authenticate", neighbourhood(source)
        algorithms: list[Algorithm] = ["MD5"]
        if Workaround.SHA_256 in self._workarounds.for_(request.get("User-Agent") or "", source):
            algorithms.append("SHA-256")
        return tuple((name, self._digest.challenge(realm, algorithm, stale, near)) for algorithm in algorithms)

    def prove(self, request: Request, host: str) -> Proof:
        """Look at all credentials for realms of ours that came from `host`; the first that hold count, then the first
        that are wrong."""
        outcome: Proof = Unproven()
        for given in _credentials(request):
            if self._directory.local_domain(given.realm) is None:
                continue
            proof = self._judge(given, request.method, neighbourhood(host))
            if isinstance(proof, Account):
                return proof
            if not isinstance(outcome, Wrong):
                outcome = proof
        return outcome

    def _judge(self, given: Credentials, method: str, near: str) -> Proof:
        account = self._account(given)
        verdict = self._digest.verify(given, method, self._secret(account, given), near)
        if verdict == "ok" and account is not None:
            return account
        if verdict == "stale":
            return Unproven(stale=True)
        return Wrong(given.username, "unknown-user" if account is None else "wrong-password")

    def _secret(self, account: Account | None, given: Credentials) -> str | None:
        """None for nobody, after the same work."""
        algorithm: Algorithm = "SHA-256" if given.algorithm == "SHA-256" else "MD5"
        username = given.username[:LONGEST_NAME]
        try:
            if account is not None:
                return self._directory.ha1(account.id, username, given.realm, algorithm)
        except Failure:  # an account without a password, or gone this instant
            pass
        self._directory.ha1(NOBODY, username, given.realm, algorithm)
        return None

    def _account(self, given: Credentials) -> Account | None:
        if len(given.username) > LONGEST_NAME:
            return None
        local, at, host = given.username.removeprefix("sip:").rpartition("@")
        if not at:
            local, host = host, given.realm
        return self._directory.login(local, host)


def _credentials(request: Request) -> list[Credentials]:
    """Those that can be read, at most four. Interop: either header is taken for either challenge."""
    found: list[Credentials] = []
    for value in (request.get_all("Authorization") + request.get_all("Proxy-Authorization"))[:4]:
        try:
            found.append(parse_authorization(value))
        except SipSyntaxError:
            continue
    return found
