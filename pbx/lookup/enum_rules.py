"""ENUM: the domain that stands for a telephone number, and the addresses that its NAPTR records make of it. Pure.

    +4930123 in e164.arpa    3.2.1.0.3.9.4.e164.arpa
    "u" "E2U+sip" "!^.*$!sip:info@example.org!"             sip:info@example.org
    "u" "E2U+sip" "!^\\+4930(.*)$!sip:\\1@pbx.example.org!"   sip:123@pbx.example.org

RFC 6116 §3 (ENUM), RFC 3402 §3.2 (substitution), RFC 3764 §3 (E2U+sip), RFC 3403 §4.1.

Deviation: RFC 3402 §3.2 allows any extended regular expression. Taken are those without alternatives and repeated
groups, with few wildcards: whoever owns a zone must not be able to keep this server busy.
Missing: RFC 6116 §5.2.1 (non-terminal rules), since nobody publishes them for telephone numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pbx.transport.network import EnumRule

MOST_FOUND = 5
"""Limit: addresses of one number that are tried."""
_NUMBER = re.compile(r"\+([0-9]{2,15})", re.ASCII)
_LONGEST = 255
_TOKEN = re.compile(r"\\[^0-9A-Za-z\s]|\[\^?[0-9+-]+\]|[0-9A-Za-z.]", re.ASCII)
_REPEATED = re.compile(r"[*+?]|\{\d{1,2}(?:,\d{0,2})?\}", re.ASCII)
_MOST_REPEATED = 3
"""Limit: wildcards of one expression: in 16 characters they can be placed in no more than a few thousand ways."""
_GROUP = re.compile(r"\\([1-9])", re.ASCII)


def domain_of(number: str, zone: str) -> str:
    """The domain of a number in that zone (RFC 6116 §3.4); empty for what is no E.164 number with its plus sign: only
    those may be asked for (§3.7)."""
    match = _NUMBER.fullmatch(number)
    return f"{'.'.join(reversed(match[1]))}.{zone}" if match else ""


def addresses(rules: Iterable[EnumRule], number: str) -> list[str]:
    """SIP addresses for the number, in the order to try them; what cannot be read is left out."""
    fitting = sorted((rule for rule in rules if _is_sip(rule.service)), key=lambda rule: (rule.order, rule.preference))
    made = (rewritten(rule.regexp, number) for rule in fitting)
    found = [text for text in made if text is not None and text.lower().startswith(("sip:", "sips:"))]
    return list(dict.fromkeys(found))[:MOST_FOUND]


def _is_sip(service: str) -> bool:
    """RFC 6116 §3.4.3: `E2U+sip`, or several services with a plus between them."""
    first, *services = service.lower().split("+")
    return first == "e2u" and any(each == "sip" or each.startswith("sip:") for each in services)


def rewritten(rule: str, number: str) -> str | None:
    """What `!expression!replacement!flags` makes of a number (RFC 3402 §3.2); None where it does not fit or is no rule
    that we take."""
    parts = rule[1:].split(rule[0]) if 4 < len(rule) <= _LONGEST else []
    if len(parts) != 3 or parts[2].lower() not in ("", "i") or not _is_simple(parts[0]):
        return None
    try:
        match = re.search(parts[0], number, re.ASCII | (re.IGNORECASE if parts[2] else 0))
        return None if match is None else _GROUP.sub(lambda group: match[int(group[1])] or "", parts[1])
    except (re.error, IndexError):
        return None


def _is_simple(expression: str) -> bool:
    """Literals, classes, wildcards and groups, in any order; nothing that could be tried in very many ways."""
    at, repeated, open_group = 0, 0, False
    while at < len(expression):
        letter = expression[at]
        if letter in "^$":
            at += 1
        elif letter in "()":
            if open_group is (letter == "("):
                return False
            open_group = letter == "("
            at += 1
        elif (token := _TOKEN.match(expression, at)) is not None:
            again = _REPEATED.match(expression, token.end())
            repeated += again is not None
            at = token.end() if again is None else again.end()
        else:
            return False
    return not open_group and repeated <= _MOST_REPEATED
