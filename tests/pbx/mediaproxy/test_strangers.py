"""Who is counted as a stranger, and who is not: the reports of a peer that is on hold, or quicker than its answer."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator

import pytest

from base.entropy import SeededEntropy
from pbx.mediaproxy import rtcp
from pbx.mediaproxy.dtls import Identity
from pbx.mediaproxy.endpoint import Endpoint
from pbx.mediaproxy.engine import StreamSettings

PEER = ("192.0.2.7", 4000)
REPORT = memoryview(rtcp.report(7, "phone", None, rtcp.Block(1, 3, 10, 8)))


@pytest.fixture
def counted() -> Counter[str]:
    return Counter()


@pytest.fixture
def endpoint(counted: Counter[str]) -> Iterator[Endpoint]:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control,
    ):
        yield Endpoint(1, media, control, Identity(), SeededEntropy(1), counted)


def test_reports_that_come_before_the_answer_are_early(endpoint: Endpoint, counted: Counter[str]) -> None:
    endpoint.receive_control(REPORT, (PEER[0], 4001), 0.0)
    assert counted == {"media.early": 1}
    assert endpoint.latch.strangers == 0


@pytest.mark.parametrize("send", [True, False])
def test_a_peer_that_we_send_nothing_to_reports_too(endpoint: Endpoint, counted: Counter[str], send: bool) -> None:
    """It holds the call: RFC 3264 §8.4 asks for RTCP all the same."""
    endpoint.configure(StreamSettings(PEER, 0, {0: "PCMU/8000"}, send=send))
    endpoint.receive_control(REPORT, (PEER[0], 4001), 0.0)
    assert not counted
    assert endpoint.far_lost == 3
    endpoint.receive_control(REPORT, ("198.51.100.66", 4001), 0.0)
    assert counted == {"media.strangers": 1}
    assert endpoint.latch.strangers == 1
