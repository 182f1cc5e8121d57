"""Scenes: every kind of transfer, with each of three telephones in each of the three parts, and what is heard then."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from itertools import permutations
from pathlib import Path

import pytest

from tests.interop import baresip, linphone
from tests.interop.parties import Party, arrive
from tests.interop.site import Everywhere

pytestmark = [
    pytest.mark.scene,
    pytest.mark.proof,
    pytest.mark.skipif(not (baresip.PRESENT and linphone.PRESENT), reason="baresip or linphonec is not installed"),
]
KINDS = ("pjsua2", "baresip", "linphone")
CALLER, SENDER, TARGET = 440, 620, 850
"""Hz that they speak."""
ORDERS = [*permutations(KINDS)]
JOINING = [order for order in ORDERS if order[1] != "baresip"]
"""baresip has no attended transfer."""


@pytest.fixture
async def parties(
    site: Everywhere, tone: Callable[..., Path], tmp_path: Path, order: tuple[str, str, str]
) -> AsyncIterator[tuple[Party, Party, Party]]:
    """Alice calls Bob, they talk, and he sends her on to Carol."""
    passwords = [await site.password("alice"), await site.password("bob"), await site.add("carol", "203")]
    await site.tandem("setting", "set", "carol", "VoicemailOnBusy", "NO")
    async with AsyncExitStack() as stack:
        alice, bob, carol = [
            await arrive(kind, name, site, password, tmp_path / name, tone(speech, 60.0), stack)
            for kind, name, password, speech in zip(
                order, ("alice", "bob", "carol"), passwords, (CALLER, SENDER, TARGET), strict=True
            )
        ]
        await alice.calls("202")
        await bob.answers()
        await alice.talks()
        await alice.ear.hears(SENDER, 0.4)
        yield alice, bob, carol


def each(orders: Sequence[tuple[str, ...]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("order", orders, ids=["-".join(order) for order in orders])


async def joined(alice: Party, bob: Party, carol: Party) -> None:
    """Alice and Carol hear each other, and Bob is out of it."""
    await bob.is_free()
    await alice.ear.hears(TARGET)
    await carol.ear.hears(CALLER)
    await carol.hangs_up()
    await alice.is_free()


@each(ORDERS)
async def test_blindly(parties: tuple[Party, Party, Party]) -> None:
    alice, bob, carol = parties
    await bob.sends_on("203")
    await carol.answers()
    await joined(alice, bob, carol)


@each(JOINING)
async def test_after_a_question(parties: tuple[Party, Party, Party]) -> None:
    alice, bob, carol = parties
    await bob.asks_first("203")
    await carol.answers()
    await carol.ear.hears(SENDER, 0.4)
    await bob.joins()
    await joined(alice, bob, carol)


@each(JOINING)
async def test_while_the_question_still_rings(parties: tuple[Party, Party, Party]) -> None:
    alice, bob, carol = parties
    await bob.asks_first("203")
    await carol.rings()
    await bob.joins()
    await alice.ear.hears(480.0, 0.4)
    await carol.answers()
    await joined(alice, bob, carol)


@each(ORDERS)
async def test_to_somebody_who_refuses(parties: tuple[Party, Party, Party]) -> None:
    alice, bob, carol = parties
    await bob.sends_on("203")
    await carol.refuses()
    await alice.ear.hears(SENDER)
    await bob.ear.hears(CALLER)
    await alice.hangs_up()
    await bob.is_free()
