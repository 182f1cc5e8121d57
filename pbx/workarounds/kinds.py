"""The workarounds by name: what each changes on the wire, and which devices want it. Values only.

Who has which is in `rows.py`; each is carried out where its message is made.
"""

from __future__ import annotations

import enum


class Workaround(enum.Enum):
    """`value` is the name that administrators write; `meaning` what it does and for whom."""

    meaning: str

    def __new__(cls, name: str, meaning: str) -> Workaround:
        made = object.__new__(cls)
        made._value_ = name
        made.meaning = meaning
        return made

    # --- proving who one is, and registering

    SHA_256 = (
        "sha-256",
        "it is challenged with SHA-256 as well, behind MD5 (RFC 8760). Everybody else hears of MD5 only, as many "
        "telephones give up at an algorithm that they do not know",
    )
    SOURCE_PORT = (
        "source-port",
        "answers and calls go to where its datagrams come from, whatever its Via and Contact say: for devices that "
        "name a wrong port, or whose router rewrites addresses and forgets the port, and that do not ask for rport",
    )
    REGISTER_OFTEN = (
        "register-often",
        "its registration lasts two minutes at most: for devices behind routers that forget, and that take no "
        "keepalives",
    )
    NO_OPTIONS = (
        "no-options",
        "it is never asked with OPTIONS whether it is there: for devices that answer with a fault, log an alarm, or "
        "drop their registration",
    )
    NO_KEEPALIVE = (
        "no-keepalive",
        "nothing is sent to keep its router open: for devices that take an empty line for a broken message",
    )
    NO_UNSOLICITED_NOTIFY = (
        "no-unsolicited-notify",
        "its lamp is told only when it has subscribed: for devices that show or log an error at a NOTIFY that they "
        "did not ask for",
    )

    # --- calls

    NO_SESSION_TIMER = (
        "no-session-timer",
        "no session timer is asked of it or given to it (RFC 4028): for devices that hang up at a refresh",
    )
    NO_100REL = (
        "no-100rel",
        "reliable provisional responses are neither offered to it nor sent, unless it requires them (RFC 3262): for "
        "devices that say that they know PRACK, and then leave it out",
    )
    PLAIN_RINGING = (
        "plain-ringing",
        "as a caller it hears 180 without a description instead of 183 or 180 with one: for devices that fall "
        "silent, or take the call for answered, at early audio",
    )
    FEW_HEADERS = (
        "few-headers",
        "calls to it carry nothing but what RFC 3261 asks for: for devices that reject or truncate a long INVITE "
        "or a header that they do not know",
    )
    CONTACT_NUMBER = (
        "contact-number",
        "the user part of our Contact is the other party's number or name: for devices that show it, dial it back, "
        "or refuse one that they cannot read",
    )
    FULL_LR = (
        "full-lr",
        "our Record-Route says `lr=on` instead of `lr`: for devices that drop a parameter without a value when they "
        "make Route of it",
    )
    NO_OFFERLESS_REINVITE = (
        "no-offerless-reinvite",
        "it is never asked for an offer within a call; the other party gets its last one: for devices that refuse a "
        "re-INVITE without a description",
    )

    # --- audio

    ONE_CODEC = (
        "one-codec",
        "offers to it name one codec, the first, besides the digits: for devices that answer with several and then "
        "change between them",
    )
    INFO_DIGITS = (
        "info-digits",
        "it is offered no telephone-event; keys of the other party reach it as INFO (application/dtmf-relay): for "
        "devices that understand nothing else",
    )


NOTHING: frozenset[Workaround] = frozenset()


def workaround(name: str) -> Workaround | None:
    """The workaround of that name."""
    return next((each for each in Workaround if each.value == name), None)
