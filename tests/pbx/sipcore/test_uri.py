"""Addresses: RFC 3261 §19.1, RFC 3966, RFC 5118."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.sipcore import uri
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.uri import NameAddress, Uri


@pytest.mark.parametrize(
    "text",
    [
        "sip:alice@atlanta.example",
        "sip:alice:secret@atlanta.example;transport=tcp",
        "sips:alice@atlanta.example?subject=project%20x&priority=urgent",
        "sip:+1-212-555-1212:1234@gateway.example;user=phone",
        "sip:1212@gateway.example:5070",
        "sip:192.0.2.1;lr",
        "sip:user@[2001:db8::10]:5070",
        "sip:%23pbx@example.com",
        "tel:+12125551212",
        "tel:7042;phone-context=example.com",
        "sip:a;b=c?d@example.com",
    ],
)
def test_what_is_read_is_written_again(text: str) -> None:
    assert str(Uri.parse(text)) == text


def test_a_user_part_is_decoded() -> None:
    address = Uri.parse("sip:%61lice%40home@atlanta.example:5061;lr")
    assert (address.user, address.host, address.port, address.loose) == ("alice@home", "atlanta.example", 5061, True)
    assert str(address) == "sip:alice%40home@atlanta.example:5061;lr"


def test_an_ipv6_host_is_held_without_brackets() -> None:
    address = Uri.parse("sip:[2001:db8::9:1]:5060")
    assert (address.host, address.host_port) == ("2001:db8::9:1", "[2001:db8::9:1]:5060")


@pytest.mark.parametrize(
    "text",
    ["", "sip:", "alice", "sip:@", "sip:a@b@c", "sip:a@b:99999", "sip:a@b:0", "sip:a b@c", "sip:a@b c", "sip:a@[1.2",
     ":x", "sip:a@b;x=<", "sip:ä@b", "1x:y"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SipSyntaxError):
        Uri.parse(text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sip:%61lice@atlanta.example;transport=TCP", "sip:alice@AtLanta.Example;Transport=tcp", True),
        ("sip:carol@chicago.example", "sip:carol@chicago.example;newparam=5", True),
        ("sip:biloxi.example;transport=tcp;method=REGISTER", "sip:biloxi.example;method=REGISTER;transport=tcp", True),
        ("SIP:ALICE@AtLanTa.Example", "sip:alice@atlanta.example", False),
        ("sip:bob@biloxi.example", "sip:bob@biloxi.example:5060", False),
        ("sip:bob@biloxi.example", "sip:bob@biloxi.example:6000;transport=tcp", False),
        ("sip:carol@chicago.example?Subject=next", "sip:carol@chicago.example", False),
        ("sip:a@b;user=phone", "sip:a@b", False),
    ],
)
def test_equality_is_that_of_the_rfc(one: str, other: str, same: bool) -> None:
    """RFC 3261 §19.1.4: its own kinds of examples, both ways round."""
    assert Uri.parse(one).equivalent(Uri.parse(other)) is same
    assert Uri.parse(other).equivalent(Uri.parse(one)) is same


@pytest.mark.parametrize(
    ("text", "display", "address", "tag"),
    [
        ('"A. G. Bell" <sip:agb@bell.example>;tag=a48s', "A. G. Bell", "sip:agb@bell.example", "a48s"),
        ("Anonymous <sip:c8oqz84zk7z@privacy.org>;tag=hyh8", "Anonymous", "sip:c8oqz84zk7z@privacy.org", "hyh8"),
        ("sip:+12125551212@phone.example;tag=887s", "", "sip:+12125551212@phone.example", "887s"),
        ('"say \\"hi\\" <now>" <sip:a@b;lr>', 'say "hi" <now>', "sip:a@b;lr", None),
        ("<sip:a,b@c>;x=\"1;2\" ; tag = 9 ", "", "sip:a,b@c", "9"),
        ("Mr. Watson<sip:w@b>", "Mr. Watson", "sip:w@b", None),
        ('""<sip:w@b>', "", "sip:w@b", None),
    ],
)  # fmt: skip
def test_name_addresses(text: str, display: str, address: str, tag: str | None) -> None:
    value = NameAddress.parse(text)
    assert (value.display, str(value.uri), value.tag) == (display, address, tag)
    assert NameAddress.parse(str(value)) == value


@pytest.mark.parametrize(
    "text",
    ['"open <sip:a@b>', "<sip:a@b", '"x" sip:a@b', "Bell, Alexander <sip:a@b>",
     "sip:a@b?x=y", "<sip:a@b>;;;=", "<sip:a@b> x"],
)  # fmt: skip
def test_broken_name_addresses_are_refused(text: str) -> None:
    with pytest.raises(SipSyntaxError):
        NameAddress.parse(text)


def test_a_tag_can_be_put_on_and_taken_off() -> None:
    value = NameAddress.parse("<sip:a@b>;x=1;tag=2")
    assert str(value.with_tag(None)) == "<sip:a@b>;x=1"
    assert str(value.with_tag("9")) == "<sip:a@b>;x=1;tag=9"
    assert str(value.replace(uri=value.uri.replace(user="c"))) == "<sip:c@b>;x=1;tag=2"


@given(st.text(), st.text(max_size=20))
def test_any_user_and_display_survive_writing_and_reading(user: str, display: str) -> None:
    """Escapes must hold whatever a name contains, line breaks included (no header injection)."""
    if any(0xD800 <= ord(char) < 0xE000 for char in user + display):
        return
    written = str(NameAddress(display, Uri("sip", user, None, "example.com")))
    assert "\r" not in written
    assert "\n" not in written
    assert NameAddress.parse(written).uri.user == user


@settings(max_examples=100, deadline=None)
@given(st.from_regex(uri._USUAL, fullmatch=True))
def test_the_short_way_to_a_tag_takes_nothing_that_the_long_way_refuses(value: str) -> None:
    assert uri.tag_of(value) == (NameAddress.parse(value).tag or "")


@settings(max_examples=100, deadline=None)
@given(st.from_regex(uri._SIMPLE_PARAMS, fullmatch=True))
def test_the_short_way_to_parameters_gives_what_the_long_way_gives(text: str) -> None:
    assert uri.parse_params(text) == uri._parse_odd_params(text)


@given(st.text())
def test_reading_raises_nothing_else(text: str) -> None:
    for read in (Uri.parse, NameAddress.parse):
        try:
            read(text)
        except SipSyntaxError:
            pass
