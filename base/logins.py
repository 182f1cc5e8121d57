"""The one line by which every door tells of a failed login, and calls of fraud, made for fail2ban: all of it is the
event of the log, so that no renderer reorders it. Not the decision what a failure is.

    auth-failure proto=sip src=192.0.2.7:5060 user=alice reason=wrong-password
"""

from __future__ import annotations

from base.log import Logger

_USER = 64  # Limit: characters of a user's name in the line.


def tell_failure(log: Logger, proto: str, source: tuple[str, int], user: str, reason: str) -> None:
    """A failed login."""
    tell(log, "auth-failure", proto, source, user, reason)


def tell(log: Logger, event: str, proto: str, source: tuple[str, int], user: str, reason: str) -> None:
    """`source` has port 0 where it is not known; `reason` is one word. What a stranger wrote cannot break the line, nor
    pretend to be a part of it."""
    host, port = source
    where = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    who = "".join(letter if letter.isascii() and letter.isprintable() and letter != " " else "_" for letter in user)
    log.warning(f"{event} proto={proto} src={where} user={who[:_USER]} reason={_word(reason)}")


def _word(reason: str) -> str:
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-._") else "_" for letter in reason)
