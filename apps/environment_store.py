"""The own files of all environments, as a configuration knows them (`admin.ports.EnvironmentStore`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from admin.ports import FilePlace
from apps.environment import SOUNDS, Environment
from apps.prompt_store import prompt_name
from apps.roster import builtin_table
from base.failures import Failure
from cgpl import CompileError, compile_program

PROGRAMS = (".sppr", ".sppi")


class EnvironmentFiles:
    """`convert` makes the studio lane's one format of a sound, or raises Failure with why."""

    def __init__(self, environment: Environment, convert: Callable[[bytes], bytes]) -> None:
        self._environment = environment
        self._convert = convert

    async def own(self) -> Mapping[FilePlace, bytes]:
        return await asyncio.to_thread(self._own)

    def _own(self) -> dict[FilePlace, bytes]:
        return {
            FilePlace(domain, language, file.name): file.path.read_bytes()
            for domain, language, file in self._environment.own()
        }

    async def checked(self, place: FilePlace, content: bytes) -> bytes:
        """Raises Failure("invalid"): of a program with line, column and the source beneath."""
        if place.name.endswith(PROGRAMS):
            await asyncio.to_thread(check_program, place.name, content)
            return content
        if not place.name.endswith(SOUNDS):
            return content
        if place.name != prompt_name(place.name):
            raise Failure("invalid", f"prompts are kept as WAV: call it {prompt_name(place.name)}")
        return await asyncio.to_thread(self._convert, content)

    async def keep(self, place: FilePlace, content: bytes) -> None:
        await asyncio.to_thread(
            self._environment.put, place.name, content, domain=place.domain, language=place.language
        )

    async def drop(self, place: FilePlace) -> None:
        await asyncio.to_thread(self._environment.remove, place.name, domain=place.domain, language=place.language)


def check_program(name: str, source: bytes) -> None:
    """Raises Failure("invalid") with what the compiler says."""
    try:
        compile_program(source, name, builtin_table())
    except CompileError as error:
        raise Failure("invalid", str(error)) from error
