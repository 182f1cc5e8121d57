"""Router records: the guide's own lines, every form of both sides, and errors that name place, cause and cure."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from base.failures import Failure
from directory.model import Address, Use
from directory.router.pattern import LONGEST, Anything, Digits, Literal, Pattern, fill
from directory.router.record import RecordError, Verdict, parse_record
from directory.router.table import RouterTable, parse_table

MAIN = "example.com"

# The guide, section V.C: line, dialled, where it leads.
GUIDE = [
    ("NoRelay:Signal:<1*@example.com> = 1*@192.168.1.2", "15551234567@example.com", "15551234567@192.168.1.2"),
    ("NoRelay:Signal:<1*@example.com> = 1*@192.168.1.2", "25551234567@example.com", None),
    ("N:S:<(10+d)@example.com> = *@192.168.1.2", "5551234567@example.com", "5551234567@192.168.1.2"),
    ("N:S:<(10+d)@example.com> = *@192.168.1.2", "555123456@example.com", None),
    ("N:S:<9*@example.com> = *@192.168.1.2", "95551234@example.com", "5551234@192.168.1.2"),
    ("N:S:<011*@example.com> = 011*@192.168.1.2", "0114930123@example.com", "0114930123@192.168.1.2"),
    ("N:S:<+(10+d)@*> = +*@192.168.1.2", "+15551234567@any.example", "+15551234567@192.168.1.2"),
    ("N:S:<+(10+d)@*> = +*@192.168.1.2", "+1555123@any.example", None),
]

FORMS = [
    ("old.example = new.example", "bob@old.example", "bob@new.example"),
    ("*.old.example = *.new.example", "bob@east.old.example", "bob@east.new.example"),
    ("*.old.example =", "bob@east.old.example", "bob@example.com"),
    ("d*.com = d.example", "bob@dig.com", "bob@d.example"),
    ("sales.example = desk@example.com", "anybody@sales.example", "desk@example.com"),
    ("<bob> = robert", "bob@example.com", "robert@example.com"),
    ("<bob> = robert", "bob@other.example", None),
    ("<Bob@Example.COM> = robert", "BOB@example.com", "robert@example.com"),
    ("<help-*@example.com> = *@desk.example", "help-me@example.com", "me@desk.example"),
    ("<(3d)@example.com> = *@branch.example", "301@example.com", "301@branch.example"),
    ("<(3d)@example.com> = *@branch.example", "3011@example.com", None),
    ("<0(7-9d)@example.com> = *@gw.example", "012345678@example.com", "12345678@gw.example"),
    ("<0(7-9d)@example.com> = *@gw.example", "0123456@example.com", None),
    ("<*@gone.example> = error", "x@gone.example", Verdict.ERROR),
    ("<spam*@example.com> = NULL", "spammer@example.com", Verdict.NULL),
    ("<bad@example.com> = blacklisted", "bad@example.com", Verdict.BLACKLISTED),
    ("gone.example = error", "x@gone.example", Verdict.ERROR),
    ("<7*@example.com> = queue{*}#pbx", "712@example.com", "queue{12}#pbx@example.com"),
    ("<8*@example.com> = *@10.0.0.9:5080 ; the old box", "8123@example.com", "123@10.0.0.9:5080"),
    ("<8*@example.com> = *@[2001:db8::9]:5080", "8123@example.com", "123@[2001:db8::9]:5080"),
    ("<*-*@example.com> = *.*@other.example", "a-b@example.com", "a.b@other.example"),
    ("<all@*> = *@example.com", "all@sales.example", "sales.example@example.com"),
    ("<+(7-15d)@*> = +*@cheap , *@dear", "+4930123456@example.com", "+4930123456@cheap"),
    ("<7*@example.com> = queue{*,2}#pbx", "712@example.com", "queue{12,2}#pbx@example.com"),
]


def applied(line: str, address: str) -> str | Verdict | None:
    record = parse_record(line, 1, MAIN)
    assert record is not None
    local, _, domain = address.rpartition("@")
    outcome = record.apply(Address(local, domain), MAIN)
    return str(outcome) if isinstance(outcome, Address) else outcome


@pytest.mark.parametrize(("line", "address", "leads_to"), GUIDE + FORMS)
def test_a_record_leads(line: str, address: str, leads_to: str | Verdict | None) -> None:
    assert applied(line, address) == leads_to


@pytest.mark.parametrize("line", sorted({line for line, _, _ in GUIDE}))
def test_the_guides_records_are_for_calls_and_open_no_relay(line: str) -> None:
    record = parse_record(line, 1, MAIN)
    assert record is not None
    assert record.uses == {Use.SIGNAL}
    assert not record.relay
    assert record.serves(Use.SIGNAL)
    assert not record.serves(Use.MAIL)


@pytest.mark.parametrize(
    ("prefix", "uses", "relay"),
    [
        ("", set(), True),
        ("Mail:", {Use.MAIL}, True),
        ("m:", {Use.MAIL}, True),
        (" Signal : NoRelay : ", {Use.SIGNAL}, False),
        ("RelayAll:", set(), True),
        ("N:R:", set(), True),
        ("S:M:", {Use.SIGNAL, Use.MAIL}, True),
        ("Access:", {Use.ACCESS}, True),
    ],
)
def test_prefixes(prefix: str, uses: set[Use], relay: bool) -> None:
    record = parse_record(f"{prefix}<a*> = *@b.example", 1, MAIN)
    assert record is not None
    assert (record.uses, record.relay) == (uses, relay)


@pytest.mark.parametrize("line", ["", "   ", "; only a remark", "   ; x = y"])
def test_lines_without_a_record(line: str) -> None:
    assert parse_record(line, 1, MAIN) is None


@pytest.mark.parametrize(
    ("line", "column", "fault", "cure"),
    [
        ("<1*@example.com> 1*@gw", 23, "no '='", "<left> = right"),
        ("Norely:<1*> = 1*@gw", 1, "unknown prefix Norely", "NoRelay"),
        ("N:S:Singal:<1*> = 1*@gw", 5, "unknown prefix Singal", "Signal"),
        ("N:S: = 1*@gw", 6, "nothing stands before", "<local@domain>"),
        ("N:S:<1*@example.com = 1*@gw", 5, "never closed", "<local@domain>"),
        ("N:S:<(10+)@example.com> = *@gw", 6, "number of digits", "tandem router"),
        ("N:S:<+(7-3d)@example.com> = *@gw", 7, "smaller", ""),
        ("<(0d)> = *@gw", 2, "fits nothing", ""),
        ("<1*@example.com> =", 19, "nothing stands after", "gateway"),
        ("<1@example.com> = *@gw", 19, "has nothing for this `*`", "on the left"),
        ("<1*@example.com> = <*@gw>", 20, "'<' does not belong", ""),
        ("<1*@example.com> = *@gw;5060 = x", 0, "", ""),
        ("<1 2@example.com> = x@gw", 3, "' ' does not belong", "take it out"),
        ("bob@example.com = x@gw", 1, "no domain", "<bob@example.com>"),
        ("<1*@example.com> = *@", 22, "domain is missing", ""),
        ("<@example.com> = x@gw", 2, "no local part", "<*@domain>"),
        ("<*a*b*c*d*> = *@gw", 2, "at most 4 wildcards", ""),
        ("<1*> = 1*@gw, error", 15, "no list can stand here", "addresses"),
        ("<1*> = 1*@gw, ", 14, "no list can stand here", "addresses"),
        ("far.example = a.example, b.example", 26, "no list can stand here", "<local@domain>"),
        ("<1*> = 1*@gw, <1*@gw>", 15, "'<' does not belong", ""),
        ("<1*> = " + ", ".join(f"*@gw{n}" for n in range(11)), 78, "the list is too long", "at most 10"),
    ],
)
def test_errors_name_place_cause_and_cure(line: str, column: int, fault: str, cure: str) -> None:
    if not column:
        assert parse_record(line, 7, MAIN) is not None  # what follows ';' is a remark
        return
    with pytest.raises(RecordError) as caught:
        parse_record(line, 7, MAIN)
    assert (caught.value.line, caught.value.column) == (7, column)
    assert fault in caught.value.fault
    assert cure in caught.value.cure


def test_the_rest_of_a_list_gets_the_same_texts() -> None:
    record = parse_record("N:S:<9*@example.com> = *@cheap, +49*@dear:5080, desk", 1, MAIN)
    assert record is not None
    found = record.apply_others(Address("930123", "example.com"), MAIN)
    assert found == (Address("+4930123", "dear", 5080), Address("desk", MAIN))
    assert record.target_domains == ("cheap", "dear:5080", "")
    assert record.apply_others(Address("x", "example.com"), MAIN) == ()


def test_a_table_tells_all_its_errors_at_once() -> None:
    with pytest.raises(Failure) as caught:
        parse_table("<1*> = 1*@gw\nfoo\n\n; fine\nX:<2> = 3\n", MAIN)
    told = caught.value.public
    assert "line 2, column 4" in told
    assert "line 5, column 1" in told
    assert "    foo\n       ^" in told


def test_the_first_record_that_fits_decides() -> None:
    table = parse_table("Mail:<1*> = *@mail.example\n<1*> = *@first.example\n<12> = x@second.example\n", MAIN)
    match = table.route(Address("12", MAIN), Use.SIGNAL, MAIN)
    assert match is not None
    assert (match.record.line, match.outcome) == (2, Address("2", "first.example"))
    match = table.route(Address("12", MAIN), Use.MAIL, MAIN)
    assert match is not None
    assert match.record.line == 1
    assert table.route(Address("12", "far.example"), Use.SIGNAL, MAIN) is None
    literal = table.route(Address("12", MAIN), Use.SIGNAL, MAIN, literal=True)
    assert literal is not None
    assert literal.record.line == 3


def test_a_record_that_changes_nothing_is_passed_over() -> None:
    table = parse_table("<*@example.com> = *@example.com\n<1*> = *@gw.example\n", MAIN)
    match = table.route(Address("12", MAIN), Use.SIGNAL, MAIN)
    assert match is not None
    assert match.record.line == 2


# --- properties: the code against its documentation

_LITERAL = st.text(alphabet="abc159+-._", max_size=4)
_WILDCARD = st.one_of(
    st.just(("*", Anything())),
    st.integers(1, 5).map(lambda n: (f"({n}d)", Digits(n, n))),
    st.integers(0, 5).map(lambda n: (f"({n}+d)", Digits(n, None))),
    st.tuples(st.integers(0, 3), st.integers(1, 3)).map(
        lambda pair: (f"({pair[0]}-{pair[0] + pair[1]}d)", Digits(pair[0], pair[0] + pair[1]))
    ),
)


@given(
    parts=st.lists(st.tuples(_LITERAL, _WILDCARD), min_size=1, max_size=3),
    tail=_LITERAL,
    data=st.data(),
)
def test_what_is_built_from_a_pattern_fits_it(
    parts: list[tuple[str, tuple[str, Anything | Digits]]], tail: str, data: st.DataObject
) -> None:
    """Fill each wildcard as documented, and the whole fits; the pieces that come back make up the same text."""
    written, text = "", ""
    for literal, (form, wildcard) in parts:
        written += literal + form
        if isinstance(wildcard, Digits):
            most = wildcard.least + 4 if wildcard.most is None else wildcard.most
            inside = data.draw(st.text(alphabet="0123456789", min_size=wildcard.least, max_size=most))
        else:
            inside = data.draw(st.text(alphabet="abc159*(", max_size=5))
        text += literal + inside
    pattern = Pattern.parse(written + tail)
    found = pattern.match(text + tail)
    assert found is not None
    rebuilt = iter(found)
    assert "".join(e.text if isinstance(e, Literal) else next(rebuilt) for e in pattern.elements) == text + tail
    assert pattern.match(text.upper() + tail.upper()) is not None


@given(
    least=st.integers(0, 20),
    more=st.one_of(st.none(), st.integers(0, 5)),
    text=st.text(alphabet="0123456789a", max_size=26),
)
def test_digits_count(least: int, more: int | None, text: str) -> None:
    most = None if more is None else least + more
    if most == 0:
        return
    written = f"({least}+d)" if most is None else f"({least}-{most}d)"
    fits = text.isdigit() and least <= len(text) and (most is None or len(text) <= most)
    fits = fits or (text == "" and least == 0)
    assert (Pattern.parse(written).match(text) is not None) == fits


_REGEX = {"*": "(.*)", "(2d)": "([0-9]{2})", "(0+d)": "([0-9]*)", "(1-3d)": "([0-9]{1,3})", "1": "1", "a": "a"}


@given(st.lists(st.sampled_from(sorted(_REGEX)), max_size=7), st.text(alphabet="1aA2", max_size=14))
def test_wildcards_take_what_a_greedy_regular_expression_takes(pieces: list[str], text: str) -> None:
    assume(sum(len(piece) > 1 or piece == "*" for piece in pieces) <= 4)
    regex = re.compile("".join(_REGEX[piece] for piece in pieces), re.IGNORECASE)
    found = regex.fullmatch(text)
    assert Pattern.parse("".join(pieces)).match(text) == (None if found is None else found.groups())


@pytest.mark.parametrize(
    ("written", "text", "fits"),
    [
        ("*a*a*a*b", "a" * LONGEST, None),  # some 10^11 ways to cut it
        ("*a*a*a*b", "a" * (LONGEST - 1) + "b", ("a" * (LONGEST - 4), "", "", "")),
        ("(1+d)*(1+d)x", "1" * LONGEST, None),
        ("*.*.*", f"{'x' * 300}.y.z", ("x" * 300, "y", "z")),
        ("*", "a" * LONGEST, ("a" * LONGEST,)),
        ("*", "a" * (LONGEST + 1), None),
    ],
)
def test_long_texts_are_as_good_as_short_ones(written: str, text: str, fits: tuple[str, ...] | None) -> None:
    assert Pattern.parse(written).match(text) == fits


@given(st.text(max_size=40))
def test_any_line_is_a_record_or_an_error_with_a_place(line: str) -> None:
    fault = None
    try:
        record = parse_record(line, 3, MAIN)
    except RecordError as error:
        fault = error
    if fault is None:
        assert record is None or isinstance(record.apply(Address("x", MAIN), MAIN), Address | Verdict | None)
    else:
        assert fault.line == 3
        assert 1 <= fault.column <= len(line) + 2
        assert fault.fault
        assert fault.cure


@pytest.mark.parametrize("dialled", ["7}#bob{", "71,2", "7x#bob", "7a@evil.example"])
def test_nobody_dials_another_program_than_the_record_names(dialled: str) -> None:
    record = parse_record("<7*@example.com> = queue{*}#pbx", 1, MAIN)
    assert record is not None
    assert record.apply(Address(dialled, MAIN), MAIN) is None


def test_a_dialled_at_sign_does_not_change_the_domain() -> None:
    record = parse_record("<8*> = desk*", 1, MAIN)
    assert record is not None
    assert record.apply(Address("8@evil.example", MAIN), MAIN) == Address("desk@evil.example", MAIN)


@given(st.text(alphabet="ab*", max_size=6), st.lists(st.text(alphabet="xyz", max_size=3), max_size=3))
def test_fill_leaves_no_star(right: str, parts: list[str]) -> None:
    filled = fill(right, parts)
    assert "*" not in filled
    assert filled.replace("x", "").replace("y", "").replace("z", "") == right.replace("*", "")


def test_an_empty_table_fits_nothing() -> None:
    assert RouterTable().route(Address("1", MAIN), Use.SIGNAL, MAIN) is None
