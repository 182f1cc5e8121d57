"""What tests of the directory share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.directory import town as square


@pytest.fixture
async def town() -> AsyncIterator[square.Town]:
    """Three domains, for one test only."""
    async with square.town() as made:
        yield made
