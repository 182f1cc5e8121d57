"""Which addresses can be reached as they are said to be."""

from __future__ import annotations

import pytest

from pbx.nat.detection import behind_nat, media_behind_nat, private


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("10.1.2.3", True),
        ("100.64.0.1", True),
        ("169.254.1.1", True),
        ("[fd00::1]", True),
        ("8.8.8.8", False),
        ("2001:4860:4860::8888", False),
        ("example.org", False),
    ],
)
def test_private(host: str, expected: bool) -> None:
    assert private(host) is expected


@pytest.mark.parametrize(
    ("said", "source", "expected"),
    [
        ("192.168.1.2", "8.8.8.8", True),
        ("192.168.1.2", "192.168.1.2", False),
        ("192.168.1.2", "10.0.0.1", True),
        ("8.8.4.4", "8.8.8.8", False),
        ("df7jal23ls0d.invalid", "8.8.8.8", True),
        ("phone.example.org", "8.8.8.8", False),
        ("[fd00::1]", "fd00::1", False),
    ],
)
def test_behind_nat(said: str, source: str, expected: bool) -> None:
    assert behind_nat(said, source) is expected


def test_the_old_way_to_hold_is_no_sign_of_nat() -> None:
    assert not media_behind_nat("0.0.0.0", "8.8.8.8")
    assert media_behind_nat("192.168.0.9", "8.8.8.8")
