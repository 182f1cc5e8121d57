"""RFC 3261 §16.5: an address elsewhere is asked for as it was dialled, unless the Router has made another of it."""

from __future__ import annotations

import pytest

from directory.model import Address
from pbx.signal.foreign import address_of, foreign_uri
from pbx.sipcore.uri import Uri


@pytest.mark.parametrize(
    "dialled",
    [
        "sip:bob@far.example",
        "sips:bob@far.example",
        "sip:bob@far.example:5080;transport=tcp",
        "sip:bob@[2001:db8::1]:5080",
        "sip:b%6Fb@FAR.example;user=phone",
    ],
)
def test_what_was_dialled_stays(dialled: str) -> None:
    uri = Uri.parse(dialled)
    assert foreign_uri(address_of(uri, uri.host), dialled) == dialled


@pytest.mark.parametrize(
    ("dialled", "leaves"),
    [
        ("sip:bob@far.example;maddr=10.0.0.66;transport=tcp", "sip:bob@far.example;transport=tcp"),
        ("sip:bob@far.example;MADDR=10.0.0.66", "sip:bob@far.example"),
        ("sip:bob@far.example?Route=%3Csip:evil.example%3E", "sip:bob@far.example"),
    ],
)
def test_what_would_lead_elsewhere_than_was_judged_is_taken_off(dialled: str, leaves: str) -> None:
    uri = Uri.parse(dialled)
    assert foreign_uri(address_of(uri, uri.host), dialled) == leaves


@pytest.mark.parametrize(
    ("address", "dialled", "uri"),
    [
        (Address("5551", "192.168.1.2"), "sip:95551@here.example;transport=tcp", "sip:5551@192.168.1.2"),
        (Address("5551", "192.168.1.2", 5080), "sip:5551@192.168.1.2", "sip:5551@192.168.1.2:5080"),
        (Address("5551", "2001:db8::2", 5080), "sip:9@here.example", "sip:5551@[2001:db8::2]:5080"),
        (Address("bob", "far.example"), "sips:9@here.example", "sips:bob@far.example"),
        (Address("bob", "far.example"), "tel:+15551234567", "sip:bob@far.example"),
        (Address("bob", "far.example"), "no address", "sip:bob@far.example"),
        (Address("#x", "far.example"), "", "sip:%23x@far.example"),
    ],
)
def test_what_was_rerouted_is_written_anew(address: Address, dialled: str, uri: str) -> None:
    assert foreign_uri(address, dialled) == uri
