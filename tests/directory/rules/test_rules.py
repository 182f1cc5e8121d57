"""Free rules of calls: the stored form, conditions by a clock that tests set, and the order of their owners."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.failures import Failure
from base.values.kinds import Value
from base.values.text import format_value, parse_value
from directory import settings
from directory.model import CallRule, Fork, Redirect, Reject, Stage
from directory.rules.conditions import ConditionError, read
from directory.rules.control import control_rules
from directory.rules.occasion import Occasion, days, local_time, span, within
from directory.rules.order import in_order
from directory.rules.rule import Rule, read_rules

MONDAY_NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CALL = Occasion("sip:bob@far.example;x=y", "Bob", "sip:alice@example.com", "sip:201@example.com")
VOICEMAIL = Redirect(("#voicemail",))


def rules(text: str) -> tuple[Rule, ...]:
    return read_rules(parse_value(text))


# --- the stored form


@pytest.mark.parametrize(
    ("number", "stage", "delay", "priority"),
    [
        ("100005", Stage.AT_ONCE, 0, 5),
        ("97006", Stage.AFTER, 30, 6),
        ("#99901", Stage.AFTER, 1, 1),
        ("88010", Stage.AFTER, 120, 10),
        ("40001", Stage.AFTER, 600, 1),
        ("507", Stage.NO_ANSWER, 0, 7),
        ("305", Stage.BUSY, 0, 5),
        ("101", Stage.FAILURE, 0, 1),
        ("100000", Stage.AT_ONCE, 0, 0),
    ],
)
def test_numbers_are_stage_and_priority(number: str, stage: Stage, delay: float, priority: int) -> None:
    (rule,) = rules(f'(({number}, "r", (), (("Reject with", 603))))')
    assert (rule.stage, rule.delay, rule.priority) == (stage, delay, priority)


def test_a_whole_rule() -> None:
    text = (
        '((97006, "Evening", (("Time Of Day", "in", "18:00-07:30"), ("From", "is not", "*@example.com")),'
        ' (("Fork to", "carol,+4930123@pstn"), ("Stop processing"))))'
    )
    (rule,) = rules(text)
    assert rule.name == "Evening"
    assert rule.actions == (Fork(("carol", "+4930123@pstn")),)
    assert rule.stops
    assert parse_value(format_value(parse_value(text))) == parse_value(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x", "rules are a list"),
        ("(x)", "rule 1: a rule is (number, name, conditions, actions)"),
        ('((99999999, "r", (), (("Reject with", 603))))', "rule 1, r: "),
        ('((100011, "r", (), (("Reject with", 603))))', "priority 11 is more than 10"),
        ('((200, "r", (), (("Reject with", 603))))', "there is no stage 2"),
        ('((soon, "r", (), (("Reject with", 603))))', "stage times 100"),
        ('((100005, "r", (), ()))', "it does nothing"),
        ('((100005, "r", (), (("Reject with", 200))))', "'200' is no refusal"),
        ('((100005, "r", (), (("Redirect to", ""))))', "needs an address"),
        ('((100005, "r", (), (("Sing", "x"))))', "none of Redirect to"),
        ('((100005, "r", (("Weather", "is", "fine")), (("Reject with", 603))))', "no condition 'Weather'"),
        ('((100005, "r", (("From", "smells", "x")), (("Reject with", 603))))', "compares nothing"),
        ('((100005, "r", (("From", "is")), (("Reject with", 603))))', "condition 1 is (what, operation, value)"),
        ('((100005, "r", (("Time Of Day", "in", "8-9")), (("Reject with", 603))))', "no time of day"),
        ('((100005, "r", (("Current Day", "in", "Someday")), (("Reject with", 603))))', "is no day"),
        ('((100005, "r", (("From", "in", "#friends")), (("Reject with", 603))))', "not there yet"),
        ('((100005, "a", (), (("Reject with", 603))), (100005, "b", (), ()))', "rule 2, b: it does nothing"),
    ],
)
def test_faults_name_the_rule(text: str, told: str) -> None:
    with pytest.raises(Failure) as caught:
        rules(text)
    assert told in caught.value.public


# --- conditions


@pytest.mark.parametrize(
    ("what", "operation", "value", "holds"),
    [
        ("From", "is", "bob@far.example", True),
        ("From", "is", "BOB@*", True),
        ("From", "is", "bob", False),
        ("From", "is not", "*@far.example", False),
        ("From", "in", "x@y, *@far.example", True),
        ("From", "not in", "x@y, *@far.example", False),
        ("From Name", "is", "B*", True),
        ("RequestURI", "is", "sip:201@*", True),
        ("Method", "is", "INVITE", True),
        ("CallType", "in", "AV,IM", True),
        ("Authenticated", "is", "", True),
        ("Time Of Day", "in", "11:59-12:01", True),
        ("Time Of Day", "in", "12:01-11:59", False),
        ("Time Of Day", "in", "18:00-07:30,11:00-13:00", True),
        ("Time Of Day", "not in", "18:00-07:30", True),
        ("Current Day", "in", "Mon-Fri", True),
        ("Current Day", "is", "Tue", False),
        ("Current Day", "not in", "Sat,Sun", True),
        ("Current Date", "is", "23-11-2026", True),
        ("Current Date", "less than", "2026-11-24", True),
        ("Current Date", "greater than", "23-11-2026", False),
    ],
)
def test_conditions(what: str, operation: str, value: str, holds: bool) -> None:
    assert read(what, operation, value).holds(CALL, MONDAY_NOON) is holds


@given(st.text(max_size=20), st.text(max_size=12), st.text(max_size=30))
def test_any_condition_is_read_or_refused(what: str, operation: str, value: str) -> None:
    try:
        condition = read(what, operation, value)
    except ConditionError:
        return
    assert condition.holds(CALL, MONDAY_NOON) in (True, False)


def test_a_span_over_midnight() -> None:
    begin, end = span("22:00-06:00")
    assert [within(hour * 3600, begin, end) for hour in (21, 22, 23, 0, 5, 6)] == [False, True, True, True, True, False]
    assert list(days("Fri-Mon")) == ["Fri", "Sat", "Sun", "Mon"]
    assert span("00:00-24:00") == (0, 86_400)


def test_daylight_saving_is_the_zones_own() -> None:
    """Berlin changes on 25 October 2026, New York a week later: 8 o'clock is another moment in each week."""
    for day, utc_hour in ((24, 6), (26, 7)):
        moment = datetime(2026, 10, day, utc_hour, 30, tzinfo=UTC).timestamp()
        assert local_time(moment, "Europe/Berlin").strftime("%H:%M") == "08:30"
    assert local_time(datetime(2026, 10, 26, 12, 30, tzinfo=UTC).timestamp(), "America/New_York").hour == 8
    assert local_time(datetime(2026, 11, 2, 13, 30, tzinfo=UTC).timestamp(), "America/New_York").hour == 8
    assert local_time(0.0, "").tzinfo is not None


# --- the order


def row(number: int, target: str, *more: str) -> str:
    return f'({number}, "{target}", (), (("Fork to", {target}){"".join(f", ({each})" for each in more)}))'


def ordered(server: str, domain: str, account: str, control: tuple[CallRule, ...]) -> list[str]:
    found = in_order(rules(server), rules(domain), rules(account), control, CALL, MONDAY_NOON)
    return [rule.action.targets[0] for rule in found if isinstance(rule.action, Fork | Redirect)]


def test_the_order_of_owners_and_priorities() -> None:
    control = (CallRule(Stage.AT_ONCE, VOICEMAIL),)
    server = f"({row(100003, 's3')}, {row(100009, 's9')})"
    domain = f"({row(100006, 'd6')}, {row(100005, 'd5')})"
    account = f"({row(100001, 'a1')}, {row(100010, 'a10')}, {row(100010, 'a10too')}, {row(100000, 'off')})"
    assert ordered(server, domain, account, control) == ["s9", "d6", "a10", "a10too", "a1", "#voicemail", "d5", "s3"]


def test_stop_processing_cuts_its_own_stage_only() -> None:
    stop = '"Stop processing"'
    account = f"({row(100009, 'first', stop)}, {row(100002, 'second')}, {row(97002, 'late')})"
    control = (CallRule(Stage.AT_ONCE, VOICEMAIL), CallRule(Stage.BUSY, VOICEMAIL))
    assert ordered("()", f"({row(100001, 'domain')})", account, control) == ["first", "late", "#voicemail"]


# --- simple settings


def controlled(values: Mapping[str, Value], call: Occasion = CALL, moment: datetime = MONDAY_NOON) -> list[CallRule]:
    def setting(key: str) -> Value:
        return settings.checked(key, values[key]) if key in values else settings.default(key)

    return list(control_rules(setting, call, moment))


AT = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("when", "moment", "diverts"),
    [
        ("never", MONDAY_NOON, False),
        ("always", MONDAY_NOON, True),
        ("work hours", MONDAY_NOON, True),
        ("after hours", MONDAY_NOON, False),
        ("after hours", datetime(2026, 11, 23, 7, 59, tzinfo=AT), True),
        ("after hours", datetime(2026, 11, 23, 8, 0, tzinfo=AT), False),
        ("after hours", datetime(2026, 11, 23, 17, 0, tzinfo=AT), True),
        ("after hours", datetime(2026, 11, 22, 12, 0, tzinfo=AT), True),  # a Sunday
        ("18:00-07:30", datetime(2026, 11, 23, 3, 0, tzinfo=AT), True),
        ("18:00-07:30", MONDAY_NOON, False),
    ],
)
def test_diverting_by_the_clock(when: str, moment: datetime, diverts: bool) -> None:
    found = controlled({"DivertWhen": when, "DivertTo": "carol"}, moment=moment)
    assert (found == [CallRule(Stage.AT_ONCE, Redirect(("carol",)))]) is diverts


def test_the_busy_signal_and_not_to_be_disturbed() -> None:
    assert controlled({"DivertWhen": "always", "DivertTo": "busy"}) == [CallRule(Stage.AT_ONCE, Reject(486))]
    assert controlled({"DoNotDisturb": "YES"}) == [CallRule(Stage.AT_ONCE, VOICEMAIL)]
    assert controlled({"DoNotDisturb": "YES", "VoicemailOnBusy": "NO"}) == [CallRule(Stage.AT_ONCE, Reject(486))]


def test_where_calls_go_when_busy() -> None:
    to_carol = Redirect(("carol",))
    assert CallRule(Stage.BUSY, to_carol) in controlled({"DivertOnBusy": "carol"})
    assert CallRule(Stage.BUSY, VOICEMAIL) not in controlled({"DivertOnBusy": "carol"})
    assert controlled({"DivertOnBusy": "carol", "DoNotDisturb": "YES"}) == [CallRule(Stage.AT_ONCE, to_carol)]


@pytest.mark.parametrize(("after", "delay"), [("20", 20.0), ("0", 30.0)])
def test_where_calls_go_when_nobody_answers(after: str, delay: float) -> None:
    to_carol = Redirect(("carol",))
    found = controlled({"DivertOnNoAnswer": "carol", "VoicemailAfter": after})
    assert CallRule(Stage.AFTER, to_carol, delay) in found
    assert CallRule(Stage.NO_DEVICE, to_carol) in found
    assert CallRule(Stage.NO_ANSWER, to_carol) in found


def test_a_second_call_is_busy_without_call_waiting() -> None:
    engaged, free = Occasion(engaged=True), Occasion()
    assert controlled({"CallWaiting": "NO"}, engaged) == [CallRule(Stage.AT_ONCE, VOICEMAIL)]
    assert controlled({"CallWaiting": "NO", "VoicemailOnBusy": "NO"}, engaged) == [CallRule(Stage.AT_ONCE, Reject(486))]
    assert controlled({"CallWaiting": "NO"}, free) == controlled({}, engaged) == controlled({})


@pytest.mark.parametrize(
    ("blocked", "sender", "gets_through"),
    [
        ("bob@far.example", "sip:bob@far.example", False),
        ("*@far.example", "sip:bob@far.example;user=phone", False),
        ("bob", "sip:bob@far.example", False),
        ("+1900*", "sip:+19005551234@gw.example", False),
        ("+1900*", "tel:+19005551234", False),
        ("+1900*", "sip:+18005551234@gw.example", True),
        ("eve,mallory", "sip:mallory@far.example", False),
        ("", "sip:bob@far.example", True),
    ],
)
def test_blocking(blocked: str, sender: str, gets_through: bool) -> None:
    found = controlled({"Blocked": blocked}, Occasion(sender=sender))
    assert (found != [CallRule(Stage.AT_ONCE, Reject(486))]) is gets_through


@pytest.mark.parametrize("call", [Occasion("sip:anonymous@anonymous.invalid"), Occasion("sip:a@b", private=True)])
def test_blocking_those_who_do_not_say_who_they_are(call: Occasion) -> None:
    assert controlled({"BlockAnonymous": "YES", "BlockedTo": "voicemail"}, call) == [CallRule(Stage.AT_ONCE, VOICEMAIL)]
    assert controlled({"BlockAnonymous": "NO"}, call) != [CallRule(Stage.AT_ONCE, VOICEMAIL)]


@pytest.mark.parametrize(
    ("key", "value"),
    [("TimeZone", "Mars/Olympus"), ("TimeZone", "../etc/passwd"), ("DivertWhen", "soon"), ("WorkDays", "Mon,Someday")],
)
def test_times_that_are_none_are_refused(key: str, value: str) -> None:
    with pytest.raises(Failure, match=f"{key} must be"):
        settings.checked(key, value)
