"""Logins of mail clients: a wrong password and no such user cannot be told apart by the work they make."""

from __future__ import annotations

import pytest

from server.doors import Passwords
from tests.directory.fixtures import DOMAIN, demo_directory
from tests.work import work


@pytest.mark.parametrize(
    "user", ["alice", f"alice@{DOMAIN}", "201", "nobody", "nobody@elsewhere.example", "", "@", "a@b@c"]
)
async def test_every_wrong_login_is_the_same_work(user: str) -> None:
    async with demo_directory() as directory:
        with work() as done:
            assert await Passwords(directory).authenticate(user, "a password of nobody") is None
        assert done["decrypt"] == 1
        assert done["openssl_sha256"] == 2
        assert done["compare_digest"] == 1


async def test_the_right_password_opens() -> None:
    async with demo_directory() as directory:
        found = await Passwords(directory).authenticate("201", "alice-secret")
        assert found is not None
        assert found.name == "alice"
