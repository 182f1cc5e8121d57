"""Who may come in: LOGIN and SASL PLAIN against the directory, slowly for those who guess (RFC 3501 §6.2, RFC 4616).

Not the conversation around it: `session` asks here and goes on.
"""

from __future__ import annotations

from base.log import get_logger
from base.logins import tell_failure
from base.metrics import Metrics
from directory.model import Account
from mail.imap.context import Refused
from mail.imap.lexer import BadCommand
from mail.imap.ports import Authenticator, Channel

_log = get_logger("mail.imap")

# Limit: wrong passwords of one session before it ends; seconds of silence after each.
MAX_LOGINS = 3
LOGIN_DELAY = 2.0


class Entrance:
    """The door of one session."""

    def __init__(self, authenticator: Authenticator, channel: Channel, metrics: Metrics, peer: str) -> None:
        self._authenticator = authenticator
        self._channel = channel
        self._metrics = metrics
        self._peer = peer
        self._failed = 0

    @property
    def exhausted(self) -> bool:
        """Too many wrong passwords."""
        return self._failed >= MAX_LOGINS

    def allow(self, already: bool) -> None:
        """Raises BadCommand for who is in already, Refused when somebody between could read the password."""
        if already:
            raise BadCommand("already logged in")
        if not self._channel.secure:
            self._metrics.count("imap.login_without_tls")
            raise Refused("PRIVACYREQUIRED", "Use TLS")

    async def plain(self, answer: bytes) -> Account:
        """RFC 4616: authorization identity, user, password."""
        try:
            identity, user, password = answer.decode("utf-8").split("\0")
        except ValueError as error:
            raise BadCommand("bad PLAIN answer") from error
        if identity and identity != user:
            raise Refused("AUTHORIZATIONFAILED", "Nobody acts for another here")
        return await self.log_in(user, password)

    async def log_in(self, user: str, password: str) -> Account:
        """The account. Raises Refused, late and in the same words for every reason."""
        account = await self._authenticator.authenticate(user, password)
        if account is None:
            self._metrics.count("imap.login_failures")
            tell_failure(_log, "imap", (self._peer, 0), user, "wrong-password")
            self._failed += 1
            await self._channel.pause(LOGIN_DELAY)
            raise Refused("AUTHENTICATIONFAILED", "Wrong user name or password")
        self._metrics.count("imap.logins")
        _log.info("logged in", account=account.address, peer=self._peer)
        return account
