"""Services of an account that can be switched off: the words of the setting `AccessModes` (spec: cgp-server §2)."""

from __future__ import annotations

from typing import Literal

from base.values.kinds import Value

Mode = Literal["Signal", "Mail", "IMAP", "PWD"]

ALL = "All"
MODES: dict[Mode, str] = {
    "Signal": "telephones and calls",
    "Mail": "mail and voice messages are delivered",
    "IMAP": "mail is read",
    "PWD": "administration with the own password",
}


def checked_modes(words: tuple[str, ...]) -> list[str] | None:
    """In the spelling of the table; `All` alone when it is among them. None for a word that is none; no words at all
    switch everything off."""
    by_lower = {word.lower(): word for word in (ALL, *MODES)}
    found = [by_lower.get(word.lower(), "") for word in words]
    if "" in found:
        return None
    return [ALL] if ALL in found else [word for word in MODES if word in found]


def allows(value: Value, mode: Mode) -> bool:
    """Whether a value of the setting has the service on."""
    return isinstance(value, list) and (ALL in value or mode in value)
