"""Who connects to whom over TCP, through a relay. RFC 4145 §4.1."""

from __future__ import annotations

import pytest

from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.tcp_media import Section, connects, setup_of, setup_to_answer, setup_to_offer


def section(setup: str, protocol: str = "TCP/MSRP", *, whole: bool = False) -> Section:
    """`whole`: said for all sections at once."""
    line = f"a=setup:{setup}\r\n" if setup else ""
    text = f"v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nt=0 0\r\n{line if whole else ''}m=message 9 {protocol} *\r\n"
    description = SessionDescription.parse(text + ("" if whole else line))
    return description, description.media[0]


@pytest.mark.parametrize(
    ("asked", "offered", "said", "answered", "to_caller", "to_callee"),
    [
        # who asked, what we offer on, what the callee says, what the caller hears; whether we connect to each
        ("actpass", "actpass", "active", "passive", False, False),
        ("actpass", "actpass", "passive", "passive", False, True),
        ("active", "actpass", "active", "passive", False, False),
        ("passive", "actpass", "active", "active", True, False),
        ("passive", "actpass", "passive", "active", True, True),
        ("", "actpass", "", "passive", False, True),  # neither knows the attribute: who offers connects (RFC 4975)
        ("actpass", "actpass", "holdconn", "holdconn", False, False),
        ("holdconn", "holdconn", "holdconn", "holdconn", False, False),
    ],
)
def test_each_connects_to_us_if_it_can(
    asked: str, offered: str, said: str, answered: str, to_caller: bool, to_callee: bool
) -> None:
    caller, callee = section(asked), section(said)
    assert setup_to_offer(caller) == offered
    assert setup_to_answer(caller, callee) == answered
    assert connects(section(answered), caller) is to_caller
    assert connects(section(offered), callee) is to_callee


@pytest.mark.parametrize(
    ("asked", "offered", "said", "answered"),
    [
        ("actpass", "actpass", "active", "active"),
        ("actpass", "actpass", "passive", "passive"),
        ("active", "active", "passive", "passive"),
        ("passive", "passive", "active", "active"),
        ("", "active", "", "passive"),
    ],
)
def test_over_tls_one_is_the_client_and_the_other_the_server(
    asked: str, offered: str, said: str, answered: str
) -> None:
    """RFC 8122 §6.2: who connects is the client of the handshake, which passes through us."""
    caller, callee = section(asked, "TCP/TLS/MSRP"), section(said, "TCP/TLS/MSRP")
    assert setup_to_offer(caller) == offered
    assert setup_to_answer(caller, callee) == answered
    assert connects(section(answered), caller) is not connects(section(offered), callee)


def test_it_may_be_said_for_all_sections_at_once() -> None:
    assert setup_of(section("Passive", whole=True)) == "passive"
