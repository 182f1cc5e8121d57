"""The store: group commit, isolation of failures, readers, migrations, full disks; files and memory alike."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from base.failures import Failure
from base.metrics import Metrics
from base.storage.database import Database, Databases
from base.storage.inline import InlineDatabases
from base.storage.migrations import statements
from base.storage.sqlite import SqliteDatabases

TABLE = ("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE);",)


@pytest.fixture(params=["files", "memory"])
async def databases(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Databases]:
    if request.param == "files":
        files = SqliteDatabases(tmp_path, Metrics())
        yield files
        await files.close()
    else:
        memory = InlineDatabases()
        yield memory
        memory.discard()


@pytest.fixture
async def database(databases: Databases) -> Database:
    opened = await databases.main()
    await opened.migrate("items", TABLE)
    return opened


def put(connection: sqlite3.Connection, name: str) -> int:
    return connection.execute("INSERT INTO item (name) VALUES (?)", (name,)).lastrowid or 0


def names(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT name FROM item ORDER BY id")]


async def test_writes_keep_their_order_and_readers_see_them(database: Database) -> None:
    ids = await asyncio.gather(*(database.write(lambda c, n=n: put(c, f"n{n:03}")) for n in range(300)))  # type: ignore[misc]
    assert ids == list(range(1, 301))
    assert await database.read(names) == [f"n{n:03}" for n in range(300)]


async def test_a_failing_write_spoils_no_other(database: Database) -> None:
    def half(connection: sqlite3.Connection) -> None:
        put(connection, "half")
        raise LookupError("no")

    outcomes = await asyncio.gather(
        database.write(lambda c: put(c, "a")),
        database.write(half),
        database.write(lambda c: put(c, "a")),
        database.write(lambda c: put(c, "b")),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [int, LookupError, sqlite3.IntegrityError, int]
    assert await database.read(names) == ["a", "b"]


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises((Failure, sqlite3.Error)):
        await database.read(lambda c: put(c, "x"))
    await database.write(lambda c: put(c, "y"))
    assert await database.read(names) == ["y"]


async def test_a_wrong_statement_is_our_fault_and_says_so(database: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await database.write(lambda c: c.execute("INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await database.read(lambda c: c.execute("SELECT * FROM nowhere"))


async def test_migrations_run_once_and_a_newer_database_is_refused(database: Database) -> None:
    await database.migrate("items", TABLE)
    await database.migrate("items", (*TABLE, "ALTER TABLE item ADD COLUMN extra TEXT; CREATE INDEX e ON item (extra);"))
    await database.write(lambda c: c.execute("INSERT INTO item (name, extra) VALUES ('a', 'b')").rowcount)
    with pytest.raises(Failure) as caught:
        await database.migrate("items", TABLE)
    assert caught.value.code == "newer"


async def test_a_failing_migration_leaves_nothing(database: Database) -> None:
    with pytest.raises(sqlite3.Error):
        await database.migrate("other", ("CREATE TABLE one (a); INSERT INTO missing VALUES (1);",))
    await database.migrate("other", ("CREATE TABLE one (a);",))


def test_statements_of_a_script() -> None:
    script = "CREATE TABLE a (b); -- note; here\nINSERT INTO a\n VALUES (';');\nSELECT 1"
    found = [text.strip() for text in statements(script)]
    assert found == ["CREATE TABLE a (b);", "-- note; here\nINSERT INTO a\n VALUES (';');", "SELECT 1;"]


async def test_each_account_has_its_own_mail(databases: Databases) -> None:
    one, two = await databases.mail(1), await databases.mail(2)
    await one.migrate("items", TABLE)
    await two.migrate("items", TABLE)
    await one.write(lambda c: put(c, "of one"))
    assert await two.read(names) == []
    assert await databases.mail(1) is one
    await databases.remove_mail(1)
    again = await databases.mail(1)
    await again.migrate("items", TABLE)
    assert await again.read(names) == []


async def test_a_cancelled_caller_disturbs_nobody(tmp_path: Path) -> None:
    databases = SqliteDatabases(tmp_path, Metrics())
    database = await databases.main()
    await database.migrate("items", TABLE)
    entered, go_on = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> int:
        entered.set()
        go_on.wait(10)
        return put(connection, "slow")

    task = asyncio.create_task(database.write(slow))
    assert await asyncio.to_thread(entered.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await database.write(lambda c: put(c, "after"))
    assert await database.read(names) == ["slow", "after"]
    await databases.close()


async def test_many_writes_share_a_commit(tmp_path: Path) -> None:
    metrics = Metrics()
    databases = SqliteDatabases(tmp_path, metrics)
    database = await databases.main()
    await database.migrate("items", TABLE)
    before = metrics.value("storage.groups")
    await asyncio.gather(*(database.write(lambda c, n=n: put(c, str(n))) for n in range(1000)))  # type: ignore[misc]
    assert metrics.value("storage.groups") - before < 100
    await databases.close()


async def test_a_full_disk_is_a_failure_and_passes(tmp_path: Path) -> None:
    databases = SqliteDatabases(tmp_path, Metrics())
    database = await databases.main()
    await database.migrate("items", TABLE)

    def limit(connection: sqlite3.Connection, pages: int) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()

    await database.write(lambda c: limit(c, 40))
    with pytest.raises(Failure) as caught:
        await database.write(lambda c: put(c, "x" * 1_000_000))
    assert (caught.value.code, caught.value.temporary) == ("full", True)
    assert await database.read(names) == []
    await database.write(lambda c: put(c, "small"))
    await database.write(lambda c: limit(c, 100_000))
    await database.write(lambda c: put(c, "y" * 1_000_000))
    assert len(await database.read(names)) == 2
    await databases.close()


async def test_files_are_for_their_owner_only_and_synchronous_full(tmp_path: Path) -> None:
    databases = SqliteDatabases(tmp_path / "data", Metrics())
    database = await databases.mail(7)
    await database.migrate("items", TABLE)
    assert stat.S_IMODE(database.path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data" / "mail").stat().st_mode) == 0o700
    mode = await database.write(lambda c: c.execute("PRAGMA journal_mode").fetchone()[0])
    full = await database.write(lambda c: c.execute("PRAGMA synchronous").fetchone()[0])
    assert (mode, full) == ("wal", 2)
    await databases.close()


async def test_after_closing(databases: Databases) -> None:
    database = await databases.main()
    await databases.close()
    await databases.close()
    if isinstance(databases, SqliteDatabases):
        with pytest.raises(Failure, match="closed"):
            await database.read(lambda c: c)
    reopened = await databases.main()
    await reopened.migrate("items", TABLE)


async def test_garbage_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "main.db").write_bytes(b"not a database, really " * 100)
    databases = SqliteDatabases(tmp_path, Metrics())
    with pytest.raises(Failure, match="damaged"):
        await databases.main()
    await databases.close()


async def test_a_simulated_crash_forgets_what_was_not_committed() -> None:
    databases = InlineDatabases(latency=0.01)
    database = await databases.main()
    await database.migrate("items", TABLE)
    await database.write(lambda c: put(c, "kept"))
    task = asyncio.create_task(database.write(lambda c: put(c, "lost")))
    await asyncio.sleep(0)
    databases.crash()
    with pytest.raises(Failure, match="crashed"):
        await task
    assert await (await databases.main()).read(names) == ["kept"]
    databases.discard()
