"""Call Control: an account's simple settings as rules of a call (spec: pbx-apps §10)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from base import wildcards
from base.values.kinds import Value
from directory.model import CallRule, Fork, Redirect, Reject, Stage
from directory.rules.occasion import Occasion, day_of, days, seconds_of, span, within
from directory.settings import targets

Setting = Callable[[str], Value]

_VOICEMAIL = Redirect(("#voicemail",))
_BUSY = 486
_PATIENCE = 30


def control_rules(setting: Setting, occasion: Occasion, moment: datetime) -> tuple[CallRule, ...]:
    """The rules of one account for one call, in the order in which they are looked at; `moment` on its wall."""
    at_once = _blocking(setting, occasion) or _diverting(setting, moment) or _engaged(setting, occasion)
    return at_once or (*_alerting(setting), *_otherwise(setting))


def _blocking(setting: Setting, occasion: Occasion) -> tuple[CallRule, ...]:
    """Callers who are not wanted, and times when nobody is."""
    unwanted = setting("BlockAnonymous") == "YES" and occasion.anonymous
    if unwanted or any(_fits(picture, occasion.sender) for picture in targets(setting("Blocked"))):
        action = _VOICEMAIL if setting("BlockedTo") == "voicemail" else Reject(_BUSY)
        return (CallRule(Stage.AT_ONCE, action),)
    if setting("DoNotDisturb") == "YES":
        return (CallRule(Stage.AT_ONCE, _when_busy(setting) or Reject(_BUSY)),)
    return ()


def _engaged(setting: Setting, occasion: Occasion) -> tuple[CallRule, ...]:
    """Who is in a call, and does not want a second one."""
    if not occasion.engaged or setting("CallWaiting") == "YES":
        return ()
    return (CallRule(Stage.AT_ONCE, _when_busy(setting) or Reject(_BUSY)),)


def _when_busy(setting: Setting) -> Redirect | None:
    return _diverted(setting, "DivertOnBusy", "VoicemailOnBusy")


def _diverted(setting: Setting, addresses: str, voicemail: str) -> Redirect | None:
    """By one setting to its addresses, else by the other to voicemail."""
    to = targets(setting(addresses))
    return Redirect(to) if to else _VOICEMAIL if setting(voicemail) == "YES" else None


def _fits(picture: str, sender: str) -> bool:
    """`bob@far.example`, `*@far.example`, `+1900*`: the address, or its local part alone when no domain is given."""
    bare = sender.partition(":")[2].partition(";")[0] if ":" in sender else sender
    text = bare if "@" in picture else bare.partition("@")[0]
    return wildcards.fits(text.lower(), picture.lower())


def _diverting(setting: Setting, moment: datetime) -> tuple[CallRule, ...]:
    always = targets(setting("DivertAlways"))
    if always:
        return (CallRule(Stage.AT_ONCE, Redirect(always)),)
    to = targets(setting("DivertTo"))
    if to and is_now(str(setting("DivertWhen") or "").strip().lower(), setting, moment):
        return (CallRule(Stage.AT_ONCE, Reject(_BUSY) if to == ("busy",) else Redirect(to)),)
    return ()


def is_now(when: str, setting: Setting, moment: datetime) -> bool:
    """Whether a setting of the kind WHEN, in lower case, holds at `moment` on the wall of who has it."""
    match when:
        case "" | "never":
            return False
        case "always":
            return True
        case "work hours":
            return _at_work(setting, moment)
        case "after hours":
            return not _at_work(setting, moment)
        case _:
            return within(seconds_of(moment), *span(when))


def _at_work(setting: Setting, moment: datetime) -> bool:
    working = days(",".join(targets(setting("WorkDays"))))
    hours = (_number(setting("WorkDayStart")), _number(setting("WorkDayEnd")))
    return day_of(moment) in working and within(seconds_of(moment), *hours)


def _alerting(setting: Setting) -> tuple[CallRule, ...]:
    after, others = _number(setting("AlertAfter")), targets(setting("AlertTo"))
    return (CallRule(Stage.AFTER, Fork(others), float(after)),) if after and others else ()


def _otherwise(setting: Setting) -> tuple[CallRule, ...]:
    """When nobody takes the call: addresses of the account's, else voicemail."""
    rules: list[CallRule] = []
    to, after = targets(setting("DivertOnNoAnswer")), _number(setting("VoicemailAfter"))
    if to or after:
        action = Redirect(to) if to else _VOICEMAIL
        rules.append(CallRule(Stage.AFTER, action, float(after or _PATIENCE)))
        # With no telephone the timed actions fire at once; a telephone may also give up before our timer does.
        rules += [CallRule(Stage.NO_DEVICE, action), CallRule(Stage.NO_ANSWER, action)]
    if (busy := _when_busy(setting)) is not None:
        rules.append(CallRule(Stage.BUSY, busy))
    if (failed := _diverted(setting, "DivertOnError", "VoicemailOnError")) is not None:
        rules.append(CallRule(Stage.FAILURE, failed))
    return tuple(rules)


def _number(value: Value) -> int:
    return value if isinstance(value, int) and value > 0 else 0
