"""Dial plans of SPA adapters: the guide's own, every form of the syntax, and what happens to typed keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateways.sipura.dialling import Action, dial
from gateways.sipura.dialplan import DialPlanError, parse

US = "(*xx|[3469]11S0|0|00|[2-9]xxxxxxS0|1xxx[2-9]xxxxxxS0|xxxxxxxxxxxx.)"


@pytest.mark.parametrize(
    "text",
    [
        "(S0<:pbx@mail.example.com>)",
        "(xx.<:@gw0>)",
        "(xx.)",
        US,
        "L:12,S:2,(9,<:1408>[2-9]xxxxxx|9,1[2-9]xxxxxxxxx|[2-7]xx)",
        "(<9:>xx.<:@gw1;usr=me;pwd=x>|1900x.!)",
        "(P3<:1000>)",
        "(<8:1650>[0-9*#]xL5)",
    ],
)
def test_a_plan_is_written_as_it_was_read(text: str) -> None:
    assert str(parse(text)) == text
    assert parse(str(parse(text))) == parse(text)


def test_the_guide_writes_plan_1_without_parentheses_and_white_space_means_nothing() -> None:
    assert parse("S0<:pbx@mail.example.com>") == parse("( S0 <:pbx@mail.example.com> )")
    assert parse("(1 x x | 2 [ 2 - 4 ])") == parse("(1xx|2[2-4])")


@pytest.mark.parametrize(
    ("plan", "typed", "told"),
    [
        # the guide, section V.B
        ("S0<:pbx@mail.example.com>", "", "calls pbx via mail.example.com at once"),
        ("(xx.<:@gw0>)", "5551234", "calls 5551234 via gw0 after 3 s"),
        ("(xx.<:@gw0>)", "5551234#", "calls 5551234 via gw0 at once"),
        # a complete number that cannot grow is sent at once
        (US, "911", "calls 911 at once"),
        (US, "0", "calls 0 after 3 s"),
        (US, "00", "calls 00 after 3 s"),
        (US, "*98", "calls *98 at once"),
        (US, "2345678", "calls 2345678 after 0 s"),
        (US, "234567", "refuses: no alternative fits, after 10 s"),
        (US, "*9", "refuses: no alternative fits, after 10 s"),
        (US, "12345", "refuses: no alternative fits, after 10 s"),
        (US, "*a", "refuses: no alternative fits"),
        # substitution, second dial tone, barring, repetition
        ("(9,<:1408>[2-9]xxxxxx)", "95551234", "calls 914085551234 at once"),
        ("(<9,:1>[2-9]xxxxxx)", "95551234", "calls 15551234 at once"),
        ("(<9:>xx.)", "95551", "calls 5551 after 3 s"),
        ("(<12:7>34)", "1234", "calls 734 at once"),
        ("(<12:7>34)", "1", "refuses: no alternative fits, after 10 s"),
        ("(1900x.!|1xx.)", "1900555", "refuses the number: alternative 1 bars it"),
        ("(1900x.!|1xx.)", "1800555", "calls 1800555 after 3 s"),
        ("(01.)", "0", "calls 0 after 3 s"),
        ("(01.)", "0111", "calls 0111 after 3 s"),
        ("(01.)", "02", "refuses: no alternative fits"),
        ("(P3<:1000>)", "", "calls 1000 after 3 s"),
        ("(20x|2xx)", "201", "calls 201 at once"),
        ("S:5,(2|2xx)", "2", "calls 2 after 5 s"),
        ("(2S1|2xx)", "2", "calls 2 after 1 s"),
        ("L:20,(2xx)", "2", "refuses: no alternative fits, after 20 s"),
        ("(2xxL4)", "2", "refuses: no alternative fits, after 4 s"),
        ("([2-4#]x)", "#5", "calls #5 at once"),
    ],
)
def test_what_an_adapter_does(plan: str, typed: str, told: str) -> None:
    assert str(dial(parse(plan), typed)) == told.replace("after 0 s", "at once")


@pytest.mark.parametrize(
    ("text", "column", "fault"),
    [
        ("(1xx", 5, "never closed"),
        ("(1xx))", 6, "nothing may follow"),
        ("(1y)", 3, "'y' is no key"),
        ("(1[2-)", 6, "range"),
        ("(1[9-2])", 6, "range"),
        ("(1[])", 4, "empty set"),
        ("(|1)", 2, "empty sequence"),
        ("(.1)", 2, "there is none"),
        ("(1..)", 4, "there is none"),
        ("(<9:1)", 4, "never closed"),
        ("(<9)", 4, "')' is no key"),
        ("(<:>1)", 4, "empty '<:>'"),
        ("L:x,(1)", 3, "number of seconds"),
        ("(1S)", 4, "number of seconds"),
        ("", 1, "empty sequence"),
        ("(" + "1" * 3000 + ")", 2047, "at most"),
    ],
)
def test_errors_name_the_place(text: str, column: int, fault: str) -> None:
    with pytest.raises(DialPlanError) as caught:
        parse(text)
    assert fault in caught.value.fault
    assert caught.value.column == column


@given(st.text(alphabet="x123[]-<>:|().,!SLP@gw ", max_size=24), st.text(alphabet="0123*#", max_size=8))
def test_any_text_is_a_plan_or_an_error_and_any_keys_have_an_outcome(text: str, typed: str) -> None:
    try:
        plan = parse(text)
    except DialPlanError:
        return
    assert parse(str(plan)) == plan
    outcome = dial(plan, typed)
    assert outcome.after >= 0
    assert outcome.action in Action


@given(
    st.lists(st.sampled_from(["201", "30x", "4[1-3]", "9xx", "5xxxx"]), min_size=1, max_size=3, unique=True), st.data()
)
def test_a_number_of_fixed_length_is_sent_as_typed(alternatives: list[str], data: st.DataObject) -> None:
    chosen = data.draw(st.sampled_from(alternatives))
    keys = "".join(
        data.draw(st.sampled_from("0123456789")) if letter == "x" else letter
        for letter in chosen.replace("[1-3]", data.draw(st.sampled_from("123")))
    )
    outcome = dial(parse(f"({'|'.join(alternatives)})"), keys)
    assert (outcome.action, outcome.number, outcome.after) == (Action.CALLS, keys, 0.0)
