"""Call Control: an account's simple settings as rules of a call (spec: pbx-apps §10).

Not the list of Signal rules of pbx-apps §11, which will join the same tuple.
"""

from __future__ import annotations

from collections.abc import Callable

from base.values.kinds import Value
from directory.model import CallRule, Fork, Redirect, Stage
from directory.settings import targets

_VOICEMAIL = Redirect(("#voicemail",))


def call_rules(setting: Callable[[str], Value]) -> tuple[CallRule, ...]:
    """The rules of one account, in the order in which they are looked at."""
    divert = targets(setting("DivertAlways"))
    if divert:
        return (CallRule(Stage.AT_ONCE, Redirect(divert)),)
    return (*_alerting(setting), *_voicemail(setting))


def _alerting(setting: Callable[[str], Value]) -> tuple[CallRule, ...]:
    after, others = _seconds(setting("AlertAfter")), targets(setting("AlertTo"))
    return (CallRule(Stage.AFTER, Fork(others), after),) if after and others else ()


def _voicemail(setting: Callable[[str], Value]) -> tuple[CallRule, ...]:
    rules: list[CallRule] = []
    after = _seconds(setting("VoicemailAfter"))
    if after:
        rules.append(CallRule(Stage.AFTER, _VOICEMAIL, after))
        # With no telephone the timed actions fire at once; a telephone may also give up before our timer does.
        rules += [CallRule(Stage.NO_DEVICE, _VOICEMAIL), CallRule(Stage.NO_ANSWER, _VOICEMAIL)]
    if setting("VoicemailOnBusy") == "YES":
        rules.append(CallRule(Stage.BUSY, _VOICEMAIL))
    if setting("VoicemailOnError") == "YES":
        rules.append(CallRule(Stage.FAILURE, _VOICEMAIL))
    return tuple(rules)


def _seconds(value: Value) -> float:
    return float(value) if isinstance(value, int) and value > 0 else 0.0
