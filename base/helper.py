"""A helper program: somebody's own program that answers lines on its standard input and output, as CommuniGate's do.

→ `1 INTF 1`          ← `1 INTF 1`
→ `2 CDR some text`   ← `2 OK`
← `* a remark for the log`

Numbers tie answers to questions; answers may come in any order. A program that ends or falls silent is started again,
after a while; what was asked then fails. Spec: cgp-server §8, §16.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex

from base.failures import Failure
from base.log import get_logger

INTERFACE = 1
LONGEST = 65_536  # Limit: octets of a line, either way.
MOST_WAITING = 1_000  # Limit: questions without an answer.
PATIENCE = 10.0
"""Seconds for an answer."""
WAITS = (1.0, 5.0, 30.0, 60.0)
"""Seconds before the program is started again, the first, second … time in a row."""

_log = get_logger("helper")


class HelperProgram:
    """`await start()`, then `ask`. `command` is split as a shell would, and no shell sees it."""

    def __init__(self, name: str, command: str, *, patience: float = PATIENCE) -> None:
        self._name = name
        self._command = shlex.split(command)
        self._patience = patience
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[str]] = {}
        self._number = 0
        self._up = asyncio.Event()
        self._failures = 0

    async def start(self) -> None:
        """Begin; the program may need a moment, or be missing, which is logged."""
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def close(self) -> None:
        """Ask it to quit, and end it when it does not."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        if self._up.is_set():
            with contextlib.suppress(Failure, TimeoutError):
                async with asyncio.timeout(2):
                    await self.ask("QUIT")
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper

    async def ask(self, question: str) -> str:
        """What it answers, without the number. Raises Failure("unavailable" | "full"), temporary."""
        process = self._process
        if not self._up.is_set() or process is None or process.stdin is None:
            raise Failure("unavailable", f"the helper {self._name} is not running", temporary=True)
        return await self._asked(process.stdin, question)

    async def _asked(self, stdin: asyncio.StreamWriter, question: str) -> str:
        if len(self._answers) >= MOST_WAITING:
            raise Failure("full", f"the helper {self._name} does not keep up", temporary=True)
        self._number += 1
        number = self._number
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        line = f"{number} {question}".translate({10: " ", 13: " "}).encode("utf-8", "replace")
        if len(line) > LONGEST:
            raise Failure("invalid", "the question is too long for a helper")
        self._answers[number] = answer
        try:
            stdin.write(line + b"\n")
            async with asyncio.timeout(self._patience):
                await stdin.drain()
                return await answer
        except (TimeoutError, ConnectionError, OSError) as problem:
            raise Failure("unavailable", f"the helper {self._name} does not answer", temporary=True) from problem
        finally:
            self._answers.pop(number, None)

    # --- the program

    async def _keep(self) -> None:
        while True:
            try:
                await self._run()
            except OSError as problem:
                _log.error("helper cannot be started", helper=self._name, cause=str(problem))
            except Failure as failure:
                _log.error("helper refused", helper=self._name, cause=failure.public)
            finally:
                self._up.clear()
                await self._end()
            wait = WAITS[min(self._failures, len(WAITS) - 1)]
            self._failures += 1
            _log.warning("helper ended; it is started again", helper=self._name, seconds=wait)
            await asyncio.sleep(wait)

    async def _run(self) -> None:
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LONGEST
        )
        assert process.stdin is not None
        assert process.stdout is not None
        reading = asyncio.get_running_loop().create_task(self._read(process.stdout))
        try:
            answer = await self._asked(process.stdin, f"INTF {INTERFACE}")
            if not answer.upper().startswith("INTF"):
                raise Failure("invalid", f"it answers INTF with {answer[:40]!r}")
            self._up.set()
            await reading
        finally:
            reading.cancel()

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        while line := await self._line(stdout):
            number, _, answer = line.decode("utf-8", "replace").rstrip("\r\n").partition(" ")
            if number == "*":
                _log.info("helper says", helper=self._name, text=answer[:500])
                continue
            waiting = self._answers.get(int(number)) if number.isascii() and number.isdigit() else None
            if waiting is not None and not waiting.done():
                self._failures = 0
                waiting.set_result(answer)

    async def _line(self, stdout: asyncio.StreamReader) -> bytes:
        try:
            return await stdout.readline()
        except ValueError:
            raise Failure("invalid", f"a line of more than {LONGEST} octets") from None

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(Failure("unavailable", f"the helper {self._name} has ended", temporary=True))
