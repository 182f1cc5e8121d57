"""Telephone numbers as the world has them, as a provider wants them, and as people dial them. Owns phonenumberslite.

    dialled    as it is                      030 123456
    plus       E.164 with its plus sign      +4930123456
    digits     E.164 without it              4930123456
    national   as dialled in the country     030123456

What is no number of the country's plan, an emergency number or a short code, is left as it is.
"""

from __future__ import annotations

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat

FORMS = ("dialled", "plus", "digits", "national")
_SHORTEST = 5


def countries() -> frozenset[str]:
    """Two-letter codes (ISO 3166-1) whose plans are known."""
    return frozenset(phonenumbers.SUPPORTED_REGIONS)


def written(number: str, form: str, country: str) -> str:
    """`number`, as it was dialled in `country`, in that form."""
    found = None if form == "dialled" else _parsed(number, country)
    if found is None:
        return number
    if form == "national":
        local = found.country_code == phonenumbers.country_code_for_region(country)
        if local:
            return _digits(phonenumbers.format_number(found, PhoneNumberFormat.NATIONAL))
        return _digits(phonenumbers.format_out_of_country_calling_number(found, country))
    whole = phonenumbers.format_number(found, PhoneNumberFormat.E164)
    return whole if form == "plus" else whole[1:]


def spellings(number: str, country: str) -> tuple[str, ...]:
    """The ways in which people here may have written that number as a name: E.164 digits, with a plus, national."""
    if not country:
        return ()
    # providers leave the plus sign out: what begins like a national number may be a whole one
    read = [text for text in (number, f"+{number}") if _parsed(text, country) is not None and not text.startswith("++")]
    return tuple(
        dict.fromkeys(written(text, form, country) for text in read for form in ("digits", "plus", "national"))
    )


def _parsed(number: str, country: str) -> PhoneNumber | None:
    digits = _digits(number)
    if len(digits.lstrip("+")) < _SHORTEST:
        return None
    try:
        found = phonenumbers.parse(number, country or None)
    except NumberParseException:
        return None
    return found if phonenumbers.is_possible_number(found) else None


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit() or character == "+")
