"""The one numbering plan of the PBX: which numbers mean a service rather than a name (decision 5).

The order in which a local part of ours is looked at, and nothing else has a say:

    1. emergency numbers                               setting EmergencyNumbers: only a record of their own takes them
    2. the Router's table                              `directory.router`; what it makes of the address starts again
    3. names of the domain                             accounts, aliases, groups, forwarders; `app#account`
    4. telephone numbers of accounts, of all domains   `directory.telnums`: only a record of their own takes them before
    5. the parking lot and its places                  settings ParkLot and ParkSlots: 700, 701 or park+701
    6. service codes                                   *NN  *nnn  *99nnn  *NNnumber  *33nnn  **nnn  *8
    7. functions of the PBX centre                     0  600  *43  echo  7nn

Pure: a table of patterns. `resolver.py` asks who exists. Spec: pbx-apps §2, conventions §4.2.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass


class Function(enum.Enum):
    """What a number of the plan does."""

    SERVICE_CODE = "service code"
    SERVICE_NUMBER = "service code with a number"
    HIDDEN = "number that is called without showing one's own"
    VOICEMAIL_OF = "voicemail of an extension"
    MONITOR = "listening to an extension's call"
    PICKUP = "pickup of an extension's call"
    GROUP_PICKUP = "pickup of a group's call"
    ECHO = "echo test"
    OPERATOR = "operator"
    CENTRE = "function of the PBX centre"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: a whole-match pattern whose first group, if any, is the variable part; a second one is a number."""

    pattern: re.Pattern[str]
    function: Function
    meaning: str


@dataclass(frozen=True, slots=True)
class Match:
    """A number that a row fits."""

    entry: Entry
    digits: str
    number: str = ""


def _entry(pattern: str, function: Function, meaning: str) -> Entry:
    return Entry(re.compile(pattern, re.ASCII), function, meaning)


PLAN = (
    _entry(
        r"\*(?!43)(\d\d)", Function.SERVICE_CODE, "*NN: the service application, function NN (*97, *98: the mailbox)"
    ),
    _entry(r"\*(\d{3,})", Function.VOICEMAIL_OF, "*nnn: leave a message for extension nnn"),
    _entry(r"\*99(\d{2,})", Function.VOICEMAIL_OF, "*99nnn: leave a message for extension nnn"),
    _entry(r"\*(870)", Function.SERVICE_CODE, "*870: the service application, function 870 (dials again)"),
    _entry(r"\*67(\+?\d{2,})", Function.HIDDEN, "*67number: the number, without showing one's own"),
    _entry(
        r"\*(21|30|31|52|72|90)\*?(\+?\d{2,})#?",
        Function.SERVICE_NUMBER,
        "*NNnumber: the service application, function NN with that number",
    ),
    _entry(
        r"\*(33|34)\*?(\d{2,})#?", Function.MONITOR, "*33nnn: listen to the call of extension nnn; *34nnn: talk too"
    ),
    _entry(r"\*\*(\d{2,})", Function.PICKUP, "**nnn: pick up the call that rings at extension nnn"),
    _entry(r"\*8", Function.GROUP_PICKUP, "*8: pick up the call that rings longest at somebody of one's groups"),
    _entry(r"600|\*43|\*9196|echo", Function.ECHO, "600, *43, echo: hear yourself"),
    _entry(r"0", Function.OPERATOR, "0: the operator"),
    _entry(r"(7\d\d)", Function.CENTRE, "7nn: function nn of the PBX centre"),
)


_SPAN = re.compile(r"([^\d\s,@-]{0,8})(\d{1,9})(?:-\1(\d{1,9}))?", re.ASCII)
_MOST_SLOTS = 100  # Limit: places of one parking lot.


def slots(span: str) -> tuple[str, ...]:
    """The numbers of a span such as `701-720` or `*5901-*5910`, or of a single one; none of what is no such span."""
    match = _SPAN.fullmatch(span)
    if match is None:
        return ()
    prefix, first, last = match[1], match[2], match[3] or match[2]
    if len(first) != len(last) or int(last) - int(first) >= _MOST_SLOTS:
        return ()
    return tuple(f"{prefix}{number:0{len(first)}}" for number in range(int(first), int(last) + 1))


def matches(local: str) -> list[Match]:
    """Every row that fits `local`, in order. More than one only for stars and digits, where being somebody decides."""
    found = []
    for entry in PLAN:
        match = entry.pattern.fullmatch(local)
        if match is not None:
            variable = match[1] if entry.pattern.groups else local
            found.append(Match(entry, variable, match[2] if entry.pattern.groups > 1 else ""))
    return found
