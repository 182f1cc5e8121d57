"""For whom a Task may act. Not here: proving a caller's PIN (`apps.verbs.accounts`)."""

from __future__ import annotations

from apps.running import RunningTask
from directory.model import Account, Right

# The centre and the postmaster act for everyone of their domain, as who has CanImpersonate does (PBX.html).
_STEWARDS = ("pbx", "postmaster")


def acts_for(task: RunningTask, other: Account) -> bool:
    """Itself, the authenticated caller, whom it has become by a PIN, and, for a steward, everyone of the domain."""
    if other in (task.home, task.account):
        return True
    if task.caller is not None and task.caller.account == other:
        return True
    allowed = task.home.name in _STEWARDS or Right.CAN_IMPERSONATE in task.people.rights.of(task.home.id)
    return allowed and other.domain == task.home.domain
