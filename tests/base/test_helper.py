"""Helper programs: real ones, that answer, dawdle, chatter and die."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from base import helper
from base.failures import Failure
from base.helper import HelperProgram

PROGRAM = """
import sys
for line in sys.stdin:
    number, _, rest = line.strip().partition(" ")
    word = rest.split()[0]
    if word == "INTF":
        print(number, rest)
    elif word == "LATER":
        late = number
        continue
    elif word == "DIE":
        sys.exit(1)
    elif word == "SILENCE":
        continue
    elif word == "NOW":
        print("* nothing", "nonsense", sep="\\n")
        print(number, "OK now")
        print(late, "OK later")
    else:
        print(number, "OK", rest)
    sys.stdout.flush()
    if word == "QUIT":
        break
"""

Opened = Callable[..., Any]


@asynccontextmanager
async def program(folder: Path, source: str = PROGRAM, *, patience: float = 20.0) -> AsyncIterator[HelperProgram]:
    (folder / "helper.py").write_text(source)
    made = HelperProgram("test", f"{sys.executable} '{folder / 'helper.py'}'", patience=patience)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


async def until_up(made: HelperProgram) -> None:
    async with asyncio.timeout(20):
        await made._up.wait()


async def test_questions_are_answered_in_any_order(tmp_path: Path) -> None:
    async with program(tmp_path) as made:
        await until_up(made)
        later: Coroutine[Any, Any, str] = made.ask("LATER")
        answers = await asyncio.gather(later, made.ask("NOW"))
        assert answers == ["OK later", "OK now"]
        assert await made.ask("two\nlines") == "OK two lines"


async def test_one_that_dies_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "WAITS", (0.01,))
    async with program(tmp_path) as made:
        await until_up(made)
        with pytest.raises(Failure, match="has ended"):
            await made.ask("DIE")
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await made.ask("x") == "OK x"
                    break
                except Failure:
                    await asyncio.sleep(0.02)


async def test_one_that_is_silent_is_not_waited_for(tmp_path: Path) -> None:
    async with program(tmp_path, patience=3.0) as made:
        await until_up(made)
        made._patience = 0.05
        with pytest.raises(Failure, match="does not answer"):
            await made.ask("SILENCE")
        assert not made._answers


async def test_one_that_is_not_there(tmp_path: Path) -> None:
    made = HelperProgram("test", str(tmp_path / "nothing"))
    await made.start()
    with pytest.raises(Failure, match="not running"):
        await made.ask("x")
    await made.close()


async def test_it_is_asked_to_quit(tmp_path: Path) -> None:
    async with program(tmp_path) as made:
        await until_up(made)
        process = made._process
        assert process is not None
    assert process.returncode in (0, -9)
