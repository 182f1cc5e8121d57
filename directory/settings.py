"""The settings that this server knows, their kinds and defaults. Names are CommuniGate's where it has one.

A value is looked up at the account, then its domain, then the server, then here. Programs may keep keys of their own
beside these; the doors for people refuse a key that is not in the table, with a suggestion.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from base.failures import Failure
from base.values.kinds import Value
from directory import numbers, pace, plan
from directory.access import checked_modes
from directory.rules import occasion


class Kind(enum.Enum):
    """What a value must look like."""

    FLAG = "YES or NO"
    SECONDS = "a number of seconds"
    NUMBER = "a number"
    TEXT = "text"
    TARGETS = "a list of addresses"
    PACE = "a pace: 10,1m (ten a minute), several with `;`, or unlimited"
    DAYS = "days such as Mon-Fri or Mon,Wed"
    WHEN = "never, always, work hours, after hours, or a span such as 18:00-07:30"
    SLOTS = "numbers such as 701-720, a hundred at most"
    COUNTRY = "a country, two letters such as DE, or nothing"
    MODES = "All, or some of Signal, Mail, IMAP, PWD"
    ZONE = "a time zone such as Europe/Berlin, or nothing for that of the machine"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table."""

    key: str
    kind: Kind
    default: str | int | tuple[str, ...] | None
    meaning: str
    limit: bool = False
    """What accounts may cost, who may call in and who may hear them: administrators of a domain need the right `Limits`
    to change it."""


_TABLE = (
    # pbx-apps §10: Call Control
    Setting("VoicemailAfter", Kind.SECONDS, 30, "divert to voicemail after this many seconds; 0: never"),
    Setting("VoicemailOnBusy", Kind.FLAG, "YES", "divert to voicemail when busy or declined"),
    Setting("VoicemailOnError", Kind.FLAG, "YES", "divert to voicemail when the call fails"),
    Setting("DivertOnBusy", Kind.TARGETS, (), "addresses that get the call when busy or declined, before voicemail"),
    Setting("DivertOnNoAnswer", Kind.TARGETS, (), "addresses that get it after VoicemailAfter (30, when that is 0)"),
    Setting("DivertOnError", Kind.TARGETS, (), "addresses that get it when it fails, before voicemail"),
    Setting("CallWaiting", Kind.FLAG, "YES", "NO: who is in a call is busy for everybody else"),
    Setting("AlertAfter", Kind.SECONDS, 0, "after this many seconds ring the addresses of AlertTo as well; 0: never"),
    Setting("AlertTo", Kind.TARGETS, (), "addresses that ring too"),
    Setting("DivertAlways", Kind.TARGETS, (), "send every call to these addresses at once (#pbx: that application)"),
    Setting("DivertWhen", Kind.WHEN, "never", "when to send calls to DivertTo at once"),
    Setting("DivertTo", Kind.TARGETS, ("#voicemail",), "addresses, or `busy` for the busy signal"),
    Setting("DoNotDisturb", Kind.FLAG, "NO", "no telephone rings: voicemail, or busy without VoicemailOnBusy"),
    Setting("Blocked", Kind.TARGETS, (), "callers who do not get through: names or addresses, with * (+1900*)"),
    Setting("BlockAnonymous", Kind.FLAG, "NO", "callers who do not say who they are do not get through"),
    Setting("BlockedTo", Kind.TEXT, "busy", "what blocked callers get: busy or voicemail"),
    Setting("TimeZone", Kind.ZONE, "", "by whose clock the rules go"),
    Setting("WorkDays", Kind.DAYS, ("Mon", "Tue", "Wed", "Thu", "Fri"), "days of work"),
    Setting("WorkDayStart", Kind.SECONDS, 28_800, "second of the day at which work begins (28800: 8 o'clock)"),
    Setting("WorkDayEnd", Kind.SECONDS, 61_200, "second of the day at which work ends (61200: 17 o'clock)"),
    # decision 3: with features off a call is proxied, the dialog runs end to end
    Setting("CallFeatures", Kind.FLAG, "YES", "server-side call features (B2BUA)"),
    Setting("MaxSignalContacts", Kind.NUMBER, 10, "phones that one account may register", limit=True),
    # who may call in, and out (pbx/policy)
    Setting("AcceptStrangers", Kind.FLAG, "NO", "take calls from the Internet that proved nothing", limit=True),
    Setting(
        "OutsideCalls",
        Kind.FLAG,
        "YES",
        "may call out of this server; a gateway only if set at the account",
        limit=True,
    ),
    Setting(
        "CallerNumber",
        Kind.TEXT,
        "",
        "own number that callees outside see, such as +4930123456 (by trunks that show it)",
        limit=True,
    ),
    Setting(
        "AccessModes",
        Kind.MODES,
        ("All",),
        "services that are switched on; without Signal it only calls for help",
        limit=True,
    ),
    Setting(
        "AccountsLimit", Kind.NUMBER, 0, "of the domain: accounts that may be made in it; 0: any number", limit=True
    ),
    Setting("Country", Kind.COUNTRY, "", "where its people dial: numbers of accounts are found in national form too"),
    Setting("CallsLimit", Kind.NUMBER, 40, "calls that one account may place at once", limit=True),
    # what calls out of this server may cost an account (pbx/toll)
    Setting("CallOutLimit", Kind.NUMBER, 10, "calls out at once", limit=True),
    Setting("CallOutFlow", Kind.PACE, "20,1m; 200,1h", "how many calls out may be placed how fast", limit=True),
    Setting(
        "CallOutAllowed",
        Kind.TARGETS,
        ("*",),
        "where calls out may lead: patterns such as +49* or *@example.org",
        limit=True,
    ),
    Setting(
        "CallOutDenied",
        Kind.TARGETS,
        (),
        "where they may not lead, whatever is allowed: such as +49900*, 00900*",
        limit=True,
    ),
    Setting("CallOutHours", Kind.WHEN, "always", "when calls out may be placed", limit=True),
    Setting("CallOutLongest", Kind.SECONDS, 43_200, "how long one may last; 0: no limit", limit=True),
    Setting("CallOutLockAfter", Kind.PACE, "15,10m", "refused calls out that lock them; unlimited: never", limit=True),
    Setting("CallOutLocked", Kind.FLAG, "NO", "calls out are locked; `tandem account unlock` ends it", limit=True),
    Setting("CallLogs", Kind.NUMBER, 100, "calls that an account's own list keeps, a thousand at most; 0: none"),
    # the parking lot (pbx/b2bua/parking)
    Setting("ParkLot", Kind.TEXT, "700", "of the domain: parks a call at its first free place; empty: no parking"),
    Setting("ParkSlots", Kind.SLOTS, "701-720", "of the domain: the places of calls that are parked"),
    Setting("ParkTell", Kind.FLAG, "YES", "a short call shows the place to who has sent a call to ParkLot"),
    Setting("ParkReturn", Kind.SECONDS, 45, "a parked call rings again at who has parked it; 0: never"),
    # recorded calls (pbx/b2bua/recording)
    Setting("RecordAlways", Kind.FLAG, "NO", "all calls from and to it are recorded", limit=True),
    Setting(
        "RecordByKey",
        Kind.FLAG,
        "NO",
        "*1, or the record key of its telephone, records a call, and ends that",
        limit=True,
    ),
    Setting(
        "RecordAnnounce", Kind.TEXT, "callrecorded", "prompt that tells both of the recording; empty: none", limit=True
    ),
    # who hears whom (pbx/b2bua/monitoring)
    Setting(
        "MonitoredBy",
        Kind.TARGETS,
        ("nobody",),
        "who may listen to its calls: domain, server, nobody, names",
        limit=True,
    ),
    # who sees whom (pbx/presence)
    Setting("WatchedBy", Kind.TARGETS, ("domain",), "who may see presence and lines: domain, server, nobody, names"),
    Setting("ShowPeers", Kind.FLAG, "NO", "let watchers of the lines see with whom calls are"),
    Setting("MediaSecurity", Kind.TEXT, "optional", "encryption of calls' media (SRTP): off, optional or required"),
    Setting("HoldMusic", Kind.FLAG, "YES", "whom its telephones put on hold hears the prompt `holdmusic`"),
    Setting("Language", Kind.TEXT, "", "language of the prompts; empty is English"),
    # voicemail and service
    Setting("VoicemailLimit", Kind.SECONDS, 180, "longest voice message"),
    Setting("VoicemailSilence", Kind.SECONDS, 10, "silence that ends a recording"),
    Setting("VoicemailMinimum", Kind.SECONDS, 2, "shorter voice messages are dropped"),
    Setting("PhoneKeys", Kind.TARGETS, (), "keys of its telephones: 202, Bob=202 (lamps), Home=speed:+4930123"),
    Setting("PIN", Kind.TEXT, None, "digits that open the mailbox by phone; kept sealed, never shown"),
    # the PBX centre (pbx-apps §3)
    Setting("ReceptDirPrefix", Kind.TEXT, "2", "first digit of an extension typed to the attendant"),
    Setting("ReceptDirDigits", Kind.NUMBER, 3, "how many digits such an extension has"),
    Setting("ReceptMenu", Kind.TARGETS, (), "departments of the attendant's menu, in the order of their keys"),
    Setting("ReceptNoAnswer", Kind.TEXT, "menu", "what follows when an extension does not answer: menu or voicemail"),
    Setting("ReceptRing", Kind.SECONDS, 20, "how long the attendant lets an extension ring"),
    Setting("Operator", Kind.TEXT, "", "name that 0 reaches; empty: `operator` if there is one, else `pbx`"),
    Setting("EmergencyNumbers", Kind.TARGETS, ("112", "911"), "numbers that nothing else may take", limit=True),
)

SETTINGS: Mapping[str, Setting] = {setting.key: setting for setting in _TABLE}


def default(key: str) -> Value:
    """The value when nobody set one; None for an unknown key."""
    setting = SETTINGS.get(key)
    if setting is None:
        return None
    return list(setting.default) if isinstance(setting.default, tuple) else setting.default


def known(key: str) -> Setting:
    """The row of `key`, whatever its case. Raises Failure("not-found") with a suggestion."""
    by_lower = {name.lower(): setting for name, setting in SETTINGS.items()}
    if key.lower() in by_lower:
        return by_lower[key.lower()]
    close = difflib.get_close_matches(key.lower(), by_lower, n=1)
    hint = f"; did you mean {by_lower[close[0]].key}?" if close else ""
    raise Failure("not-found", f"there is no setting {key}{hint}")


def checked(key: str, value: Value) -> Value:
    """`value` in the shape that the table asks for. Raises Failure("invalid")."""
    if not key or len(key) > 64 or not key.isprintable():
        raise Failure("invalid", "a setting's name is 1 to 64 printable characters")
    setting = SETTINGS.get(key)
    if value is None or setting is None:
        return value
    result = _shaped(setting.kind, value)
    if result is None:
        raise Failure("invalid", f"{key} must be {setting.kind.value}")
    return result


def _shaped(kind: Kind, value: Value) -> Value:
    match kind:
        case Kind.FLAG:
            text = str(value).upper()
            return text if text in ("YES", "NO") else None
        case Kind.SECONDS | Kind.NUMBER:
            text = str(value).strip()
            return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
        case Kind.TEXT:
            return str(value) if isinstance(value, str | int) else None
        case Kind.PACE:
            return _text(value, pace.parse)
        case Kind.SLOTS:
            return str(value) if plan.slots(str(value)) else None
        case Kind.TARGETS:
            return [*targets(value)] if isinstance(value, str | int | list) else None
        case Kind.MODES:
            modes = checked_modes(targets(value))
            return None if modes is None else [*modes]
        case Kind.COUNTRY:
            country = str(value).strip().upper()
            return country if not country or country in numbers.countries() else None
        case Kind.DAYS | Kind.WHEN | Kind.ZONE:
            return _timely(kind, value)


def _timely(kind: Kind, value: Value) -> Value:
    """None for what is no day, no span of time or no zone."""
    text = ",".join(targets(value)).strip()
    try:
        match kind:
            case Kind.DAYS:
                return [*occasion.days(text)]
            case Kind.ZONE if text:
                return ZoneInfo(text).key
            case Kind.WHEN if text.lower() not in ("never", "always", "work hours", "after hours"):
                occasion.span(text)
                return text
            case _:
                return text.lower()
    except (ValueError, KeyError, OSError):  # the last two are ZoneInfo's for what it does not know
        return None


def _text(value: Value, check: Callable[[str], object]) -> Value:
    """The text, when `check` takes it; that raises Failure("invalid") with more words than we have."""
    if not isinstance(value, str | int):
        return None
    check(str(value))
    return str(value)


def targets(value: Value) -> tuple[str, ...]:
    """A list of addresses, from a list or from text with commas."""
    items: list[str] = []
    if isinstance(value, str | int):
        items = str(value).split(",")
    elif isinstance(value, list):
        items = [str(item) for item in value if isinstance(item, str | int)]
    return tuple(text for text in (item.strip() for item in items) if text)
