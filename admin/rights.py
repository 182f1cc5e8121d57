"""Who may do what through any door (spec: cgp-server §2, admin rights)."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Right(enum.Enum):
    """CommuniGate's words."""

    MASTER = "Master"  # everything
    SETTINGS = "Settings"  # domains, server settings, stop the server
    USERS = "Users"  # accounts, aliases, passwords, account settings, prompts
    MONITOR = "Monitor"  # look at calls, registrations, counters
    RECORDINGS = "Recordings"  # hear and delete recorded calls


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever stands at a door. `name` is for the log."""

    name: str
    rights: frozenset[Right]

    def may(self, right: Right) -> bool:
        return Right.MASTER in self.rights or right in self.rights


# Whoever can open the control socket (mode 0600) could read the database as well.
LOCAL = Actor("local", frozenset({Right.MASTER}))
