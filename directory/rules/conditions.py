"""One condition of a rule: `("Time Of Day", "in", "18:00-07:30")`. Pure.

Conditions that need what is not there (presence, sets of strings, calendars) are refused when a rule is stored, so that
no rule silently never fires. Spec: pbx-apps §11, cgp-server §12.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from base import wildcards
from directory.rules.occasion import Occasion, day_of, days, seconds_of, span, within


class Operation(enum.Enum):
    """How a condition compares."""

    IS = "is"
    IS_NOT = "is not"
    IN = "in"
    NOT_IN = "not in"
    LESS = "less than"
    GREATER = "greater than"


_TEXTS: Mapping[str, Callable[[Occasion], str]] = {
    "method": lambda occasion: occasion.method,
    "operation": lambda occasion: occasion.method,
    "calltype": lambda occasion: occasion.call_type,
    "requesturi": lambda occasion: occasion.uri,
    "from": lambda occasion: _bare(occasion.sender),
    "from name": lambda occasion: occasion.sender_name,
    "'from' name": lambda occasion: occasion.sender_name,
    "to": lambda occasion: _bare(occasion.to),
    "authenticated": lambda occasion: occasion.proved,
}
_TIMES = ("time of day", "current day", "current date")
KNOWN = ("Method", "CallType", "RequestURI", "From", "From Name", "To", "Authenticated", "Time Of Day", "Current Day",
         "Current Date")  # fmt: skip
_LONGEST = 1000  # Limit: characters of one condition's value.


class ConditionError(ValueError):
    """A condition that cannot be used, with the reason."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`what` is in lower case; made by `read`."""

    what: str
    operation: Operation
    value: str

    def holds(self, occasion: Occasion, moment: datetime) -> bool:
        """`moment` is the time on the account's wall."""
        if self.what in _TEXTS:
            return self._text(_TEXTS[self.what](occasion))
        if self.what == "time of day":
            inside = any(within(seconds_of(moment), *span(part)) for part in _parts(self.value))
            return inside is (self.operation in (Operation.IN, Operation.IS))
        if self.what == "current day":
            return (day_of(moment) in days(self.value)) is (self.operation in (Operation.IN, Operation.IS))
        return self._date(moment.date())

    def _text(self, text: str) -> bool:
        match self.operation:
            case Operation.IS | Operation.IS_NOT:
                return _like(text, self.value) is (self.operation is Operation.IS)
            case Operation.IN | Operation.NOT_IN:
                found = any(_like(text, part) for part in _parts(self.value))
                return found is (self.operation is Operation.IN)
            case Operation.LESS:
                return text.lower() < self.value.lower()
            case Operation.GREATER:
                return text.lower() > self.value.lower()

    def _date(self, today: date) -> bool:
        wanted = _day(self.value)
        match self.operation:
            case Operation.IS | Operation.IN:
                return today == wanted
            case Operation.IS_NOT | Operation.NOT_IN:
                return today != wanted
            case Operation.LESS:
                return today < wanted
            case Operation.GREATER:
                return today > wanted


def read(what: str, operation: str, value: str) -> Condition:
    """Raises ConditionError."""
    name = what.strip().lower()
    if name not in _TEXTS and name not in _TIMES:
        raise ConditionError(f"there is no condition {what!r} here; there are {', '.join(KNOWN)}")
    try:
        how = Operation(operation.strip().lower())
    except ValueError:
        known = ", ".join(each.value for each in Operation)
        raise ConditionError(f"{operation!r} compares nothing; there are {known}") from None
    if len(value) > _LONGEST:
        raise ConditionError(f"the value is longer than {_LONGEST} characters")
    if "#" in (part[:1] for part in _parts(value)) and how in (Operation.IN, Operation.NOT_IN):
        raise ConditionError("sets of strings (#name) are not there yet")
    try:
        _check(name, how, value)
    except ValueError as error:
        raise ConditionError(str(error)) from error
    return Condition(name, how, value)


def _check(name: str, how: Operation, value: str) -> None:
    """Raises ValueError for a time that is none."""
    if name in ("time of day", "current day") and how in (Operation.LESS, Operation.GREATER):
        raise ValueError(f"{name} is compared by in, not in, is, is not")
    if name == "time of day":
        for part in _parts(value) or [""]:
            span(part)
    elif name == "current day":
        days(value)
    elif name == "current date":
        _day(value)


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _like(text: str, picture: str) -> bool:
    """`*` stands for any text; case does not matter."""
    return wildcards.fits(text.lower(), picture.strip().lower())


def _bare(uri: str) -> str:
    """`sip:alice@example.org;x=y` as `alice@example.org`."""
    scheme, colon, rest = uri.partition(":")
    bare = rest if colon and scheme.lower() in ("sip", "sips", "tel") else uri
    return bare.partition(";")[0].partition("?")[0]


def _day(value: str) -> date:
    """`DD-MM-YYYY` or `YYYY-MM-DD`. Raises ValueError."""
    for form in ("%d-%m-%Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(value.strip(), form).date()
        except ValueError:
            continue
    raise ValueError(f"{value!r} is no day: write 24-12-2026")
