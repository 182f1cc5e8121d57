"""The whole server under random calls and misfortunes: nothing is left over, and all is accounted for."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.simulation.proof import prove, row
from tests.simulation.story import Story, run

STAY = {
    637: "answers went to where a router had moved the caller from, until he gave up",
    1014: "a proxied phone answered a caller who had been refused: nobody hung up on it, and its ports stayed taken",
    20042: "a server that stopped broke off the closing of streams that an answer to its last CANCEL had begun",
    1302: "a call through the proxy could not be ended when one phone had lost its connection and made another",
    3000072: "a proxied call was taken for silent by the place of a phone that had lost the fork",
    3000166: "a phone that answered after the voicemail kept its place for audio for ever",
    2048700: "the record of a call whose relay had died with the media worker ended ten minutes later, for silence",
    1009349: "a proxied call was answered while its caller was cut off: we hung up for him, and kept the call",
    1009875: "who had put a program on hold and vanished without a BYE was held for ever",
    1012070: "a proxied telephone refused our BYE, whose number the caller's PRACK had had",
    5093: "who was asking when his telephone sent another party there was taken for the caller of that one's record",
    1000028: "our telephone hung up before the ACK (RFC 3261 §15), and the BYE overtook the 200",
}
"""Seeds that have found a fault, whosever it was. They stay, though what a seed means moves with what is drawn."""
SEEDS = 240
BLOCK = 40
PROOF = "100000"


def tell(story: Story) -> str:
    """The faults first, then what passed over the wire."""
    return "\n".join([f"seed {story.seed}", *story.faults, "", *story.lines])


@pytest.mark.parametrize("first", range(1, SEEDS + 1, BLOCK))
def test_every_call_is_answered_recorded_and_cleared_away(first: int) -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(first, first + BLOCK):
        story = run(seed)
        assert not story.faults, tell(story)
        outcomes += story.outcomes
    assert len(outcomes) >= 5, outcomes  # the runs are not all alike


@pytest.mark.parametrize("seed", STAY)
def test_what_was_mended_stays_mended(seed: int) -> None:
    story = run(seed)
    assert not story.faults, tell(story)


def test_some_telephones_ring_reliably() -> None:
    """RFC 3262 is in these towns."""
    assert any(" PRACK sip:" in line for seed in range(1, BLOCK) for line in run(seed).lines)


def test_a_seed_replays_exactly() -> None:
    one, other = run(7), run(7)
    assert one.lines == other.lines
    assert one.outcomes == other.outcomes


@pytest.mark.proof
@pytest.mark.timeout(36_000)
def test_a_hundred_thousand_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    """`TANDEM_SEEDS=500` or `TANDEM_SEEDS=from:to` sets others."""
    with capsys.disabled():
        total = prove(row(os.environ.get("TANDEM_SEEDS", PROOF)), lambda line: print(line, flush=True))
    assert not total.failing, tell(run(min(total.failing)))
