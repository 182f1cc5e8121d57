"""The textual form of values: what is read, what is written, and that what is written is read again."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.values import (
    FUTURE,
    PAST,
    Dictionary,
    ForeignHandle,
    NetAddress,
    TimeStamp,
    Value,
    ValueTextError,
    XmlElement,
    copy_value,
    equal,
    format_value,
    from_octets,
    octet_length,
    parse_value,
    parse_xml,
    wrap,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("word", "word"),
        ("user@example.com", "user@example.com"),
        ('"two words"', "two words"),
        ('"a\\"b\\\\c\\r\\n\\t"', 'a"b\\c\r\n\t'),
        ('"\\065\\195\\169"', "Aé"),
        ("\"\\u'20AC'\"", "€"),
        ('"one" \r\n "two"', "onetwo"),
        ("#12", 12),
        ("#-5", -5),
        ("#0x1F", 31),
        ("#0o17", 15),
        ("#0b101", 5),
        ("#-9223372036854775808", -(2**63)),
        ("#NULL#", None),
        ("#null#", None),
        ("[SGVs bG8=]", b"Hello"),
        ("[SGVs] [bG8=]", b"Hello"),
        ("[]", b""),
        ("#T01-01-1970", TimeStamp(0)),
        ("#T31-12-2024_23:59:59", TimeStamp(1735689599)),
        ("#TPAST", PAST),
        ("#TFUTURE", FUTURE),
        ("#I[10.0.0.1]:5060", NetAddress("10.0.0.1", 5060)),
        ("#I[0:0::1]", NetAddress("::1")),
        ("()", []),
        ("(a, #1, (b))", ["a", 1, ["b"]]),
        ("{}", Dictionary()),
        ('{a = 1; "b c" = (x,y);}', Dictionary({"a": "1", "b c": ["x", "y"]})),
        ("// head\n{ a /* why */ = b; }\n", Dictionary({"a": "b"})),
        ("<a x='1'>t<b/></a>", XmlElement("a", attributes={("", "x"): "1"}, children=["t", XmlElement("b")])),
    ],
)
def test_reads(text: str, value: Value) -> None:
    assert equal(parse_value(text), value)
    assert equal(parse_value(format_value(value)), value)


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("", "a value is missing", 1),
        ('"open', "the string is not closed", 1),
        ("(a, b", "',' or ')' is expected", 6),
        ("{a = b}", "';' is expected after a dictionary element", 7),
        ("{a b;}", "'=' is expected after a key", 4),
        ("{a = b;", "the dictionary is not closed", 8),
        ("a b", "only one value is expected", 3),
        ("#x", "unknown object after '#'", 1),
        ("#T31-02-2024", "day is out of range for month", 1),
        ("#9223372036854775808", "the number does not fit into 64 bits", 1),
        ("#I[1.2.3.400]", "'1.2.3.400' does not appear to be an IPv4 or IPv6 address", 1),
        ("[a]", "the datablock is not base64", 1),
        ("<a><b></a>", "</b> is expected", 7),
        ("(" * 500, "the value is nested too deeply", 102),
        ("=", "unexpected '='", 1),
    ],
)
def test_refuses(text: str, message: str, column: int) -> None:
    with pytest.raises(ValueTextError) as caught:
        parse_value(text)
    assert (caught.value.message, caught.value.line, caught.value.column) == (message, 1, column)


strings = st.binary(max_size=20).map(from_octets) | st.text(max_size=10).filter(
    lambda text: not any("\ud800" <= char <= "\udfff" for char in text)
)
scalars = (
    st.none()
    | strings
    | st.integers(-(2**63), 2**63 - 1)
    | st.binary(max_size=30)
    | st.integers(-(2**40), 2**40).map(TimeStamp)
    | st.sampled_from([PAST, FUTURE])
    | st.builds(NetAddress, st.ip_addresses().map(lambda host: str(host).split("%")[0]), st.integers(0, 65535))
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(strings, inner, max_size=4).map(Dictionary),
    max_leaves=20,
)


@settings(deadline=None)
@given(values)
def test_what_is_written_is_read_again(value: Value) -> None:
    text = format_value(value)
    assert "\n" not in text
    assert equal(parse_value(text), value)
    assert equal(copy_value(value), value)


@settings(deadline=None)
@given(st.text(alphabet='({[<#"\\;=,)}]>a1 /*\n!-:TI', max_size=60))
def test_any_text_is_a_value_or_a_text_error(text: str) -> None:
    with suppress(ValueTextError):
        parse_value(text)


def test_handles_are_written_and_read_as_opaque_objects() -> None:
    handle = parse_value("#(STTask 12)")
    assert isinstance(handle, ForeignHandle)
    assert format_value([handle]) == "(#(STTask 12))"


def test_a_structure_that_holds_itself_is_refused_compared_and_copied() -> None:
    ring: list[Value] = ["a"]
    ring.append(ring)
    other: list[Value] = ["a"]
    other.append(other)
    with pytest.raises(ValueError, match="too deeply"):
        format_value(ring)
    assert equal(ring, other)
    copy = copy_value(ring)
    assert isinstance(copy, list)
    assert copy is not ring
    assert copy[1] is copy


def test_shared_parts_cannot_multiply_without_end() -> None:
    value: Value = "x" * 1000
    for _ in range(60):
        value = [value, value]
    with pytest.raises(ValueError, match="too large"):
        format_value(value)
    assert equal(value, copy_value(value))


def test_keys_fold_when_case_does_not_matter() -> None:
    entries = Dictionary({"Alpha": 1, "beta": 2})
    entries.set_case_sensitive(False)
    entries["ALPHA"] = 3
    assert list(entries) == ["Alpha", "beta"]
    assert entries.get("alpha") == 3
    entries.remove("BETA")
    assert len(entries) == 1
    assert entries.key_at(0) == "Alpha"
    assert entries.key_at(1) is None


def test_octets_count_not_symbols() -> None:
    assert octet_length("é") == 2
    assert octet_length(from_octets(b"\xff\xfe")) == 2


def test_numbers_wrap_at_64_bits() -> None:
    assert wrap(2**63) == -(2**63)
    assert wrap(-(2**63) - 1) == 2**63 - 1


def test_moments_no_calendar_shows_are_remote() -> None:
    assert TimeStamp(10**15) == FUTURE
    assert TimeStamp(-(10**15)) == PAST
    assert FUTURE.moved(-5) is FUTURE


@pytest.mark.parametrize(
    "text", ["<!DOCTYPE a><a/>", "<a>&bomb;</a>", "<a b='1' b='2'/>", "<a>" * 200, "<a/>x", "<a>&#0xD800;"]
)
def test_unsafe_or_broken_xml_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="offset"):
        parse_xml(text)
