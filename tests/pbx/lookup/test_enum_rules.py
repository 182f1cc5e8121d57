"""ENUM's records: whose domain a number is, what their expressions make of it, and that none of them keeps us busy."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.lookup.enum_rules import MOST_FOUND, addresses, domain_of, rewritten
from pbx.transport.network import EnumRule

NUMBER = "+4930123"


@pytest.mark.parametrize(
    ("number", "domain"),
    [
        ("+4930123", "3.2.1.0.3.9.4.e164.arpa"),
        ("4930123", ""),  # RFC 6116 §3.7: a dialled string may mean something else
        ("+49(30)123", ""),
        ("alice", ""),
        ("", ""),
        ("+", ""),
        ("+1234567890123456", ""),  # E.164 has fifteen digits
        ("٤٩٣٠١٢٣", ""),
    ],
)
def test_the_domain_of_a_number(number: str, domain: str) -> None:
    assert domain_of(number, "e164.arpa") == domain


@pytest.mark.parametrize(
    ("rule", "made"),
    [
        ("!^.*$!sip:info@example.org!", "sip:info@example.org"),
        (r"!^\+4930(.*)$!sip:\1@pbx.example.org!", "sip:123@pbx.example.org"),
        (r"/^[+]49(\d+)$/sip:\1@x/", None),  # \d is no class of POSIX
        (r"/^[+]49([0-9]+)$/sip:\1@x/", "sip:30123@x"),
        (r"!^\+(49)(30)(.{3})$!sip:\3.\2.\1@x!i", "sip:123.30.49@x"),
        (r"!^\+44(.*)$!sip:\1@x!", None),
        (r"!^(.*)$!sip:\2@x!", None),  # there is no second group
        ("!^.*$!sip:a@b", None),
        ("!^.*$!sip:a@b!g", None),
        ("!^+49.*$!sip:a@b!", None),
        ("!(a|b)*!sip:a@b!", None),
        ("!((.*)*)*x!sip:a@b!", None),
        ("!(.*)*x!sip:a@b!", None),
        ("!.*.*.*.*x!sip:a@b!", None),
        ("![9-0]!sip:a@b!", None),
        ("!" + "1" * 300 + "!sip:a@b!", None),
        ("", None),
        ("!!!!", None),
    ],
)
def test_what_an_expression_makes(rule: str, made: str | None) -> None:
    assert rewritten(rule, NUMBER) == made


def test_sip_addresses_in_their_order_and_not_too_many() -> None:
    rules = [
        EnumRule(100, 20, "E2U+sip", "!^.*$!sip:third@x.org!"),
        EnumRule(100, 10, "e2u+voice:tel+sip", "!^.*$!sip:second@x.org!"),
        EnumRule(10, 99, "E2U+sip", "!^.*$!SIPS:first@x.org!"),
        EnumRule(1, 1, "E2U+email:mailto", "!^.*$!mailto:info@x.org!"),
        EnumRule(1, 1, "E2U+sip", "!^.*$!tel:+491!"),
        EnumRule(1, 1, "SIP+D2U", "!^.*$!sip:other@x.org!"),
    ]
    assert addresses(rules, NUMBER) == ["SIPS:first@x.org", "sip:second@x.org", "sip:third@x.org"]
    many = [EnumRule(1, number, "E2U+sip", f"!^.*$!sip:{number}@x.org!") for number in range(30)]
    assert len(addresses(many, NUMBER)) == MOST_FOUND


@given(st.text("()[]^$.*+?{}|\\0123456789,-a!/", max_size=60), st.text("+0123456789", max_size=16))
def test_no_expression_raises_or_takes_long(expression: str, number: str) -> None:
    began = time.process_time()
    rewritten(f"~{expression}~sip:\\1@x~", number)
    assert time.process_time() - began < 0.2
