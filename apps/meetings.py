"""Meetings: how Tasks of one account find each other by a key. In memory; a restart ends the Tasks as well.

Source: CommuniGate CGPL.html, "Meetings".
"""

from __future__ import annotations

from dataclasses import dataclass

from base.values.kinds import Handle, Value

# Limit: meetings of one account, and octets of a set's name or a key.
MAX_MEETINGS = 1000
MAX_KEY = 128


@dataclass(slots=True)
class Meeting:
    """A place with a parameter, and the Task that is there now."""

    parameter: Value = None
    task: Handle | None = None


class Meetings:
    """The meetings of all accounts. Refusals are error-code strings; None is success."""

    def __init__(self) -> None:
        self._meetings: dict[int, dict[tuple[str, str], Meeting]] = {}

    def create(self, account_id: int, group: str, key: str, parameter: Value) -> str | None:
        own = self._meetings.setdefault(account_id, {})
        if len(group) > MAX_KEY or not 0 < len(key) <= MAX_KEY:
            return "BAD_KEY"
        if (group, key) in own:
            return "MEETING_EXISTS"
        if len(own) >= MAX_MEETINGS:
            return "TOO_MANY_MEETINGS"
        own[group, key] = Meeting(parameter)
        return None

    def activate(self, account_id: int, group: str, key: str, task: Handle, parameter: Value) -> str | None:
        meeting = self.find(account_id, group, key)
        if meeting is None:
            return "NO_SUCH_MEETING"
        if meeting.task is not None and meeting.task is not task:
            return "MEETING_ACTIVE"
        meeting.task = task
        if parameter is not None:
            meeting.parameter = parameter
        return None

    def deactivate(self, account_id: int, group: str, key: str, task: Handle, parameter: Value) -> str | None:
        meeting = self.find(account_id, group, key)
        if meeting is None:
            return "NO_SUCH_MEETING"
        if meeting.task is not task:
            return "MEETING_NOT_OURS"
        meeting.task = None
        if parameter is not None:
            meeting.parameter = parameter
        return None

    def find(self, account_id: int, group: str, key: str) -> Meeting | None:
        return self._meetings.get(account_id, {}).get((group, key))

    def clear(self, account_id: int, group: str, key: str) -> str | None:
        """Whoever is there is there no more; the meeting stays."""
        meeting = self.find(account_id, group, key)
        if meeting is None:
            return "NO_SUCH_MEETING"
        meeting.task = None
        return None

    def remove(self, account_id: int, group: str, key: str) -> None:
        own = self._meetings.get(account_id, {})
        own.pop((group, key), None)
        if not own:
            self._meetings.pop(account_id, None)

    def leave(self, task: Handle) -> None:
        """A Task has ended: it is nowhere any more."""
        for own in self._meetings.values():
            for meeting in own.values():
                if meeting.task is task:
                    meeting.task = None
