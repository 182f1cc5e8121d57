"""Prompts as an administrator sees them: list, put (any WAV or AU, converted), get, remove.

Not here: the conversion itself, which is handed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from apps.environment import SOUNDS, Environment
from base.failures import Failure


@dataclass(frozen=True, slots=True)
class PromptInfo:
    """One prompt: where it comes from (`stock`, `server`, `domain NAME`), its size in octets and its content's hash."""

    name: str
    level: str
    size: int
    digest: str


class EnvironmentPrompts:
    """The prompts of an environment. `convert` makes the studio lane's one format, or raises Failure with why."""

    def __init__(self, environment: Environment, convert: Callable[[bytes], bytes]) -> None:
        self._environment = environment
        self._convert = convert

    async def list(self, domain: str = "", language: str = "") -> list[PromptInfo]:
        """All sounds that a call in this domain would find."""
        files = await asyncio.to_thread(self._environment.visible, domain=domain, language=language)
        return [
            PromptInfo(file.name, file.level, file.size, file.digest) for file in files if file.name.endswith(SOUNDS)
        ]

    async def put(self, name: str, data: bytes, domain: str = "", language: str = "") -> PromptInfo:
        """Convert and install; the very next call hears it. A file that cannot be read leaves the old prompt alone.
        Raises Failure("invalid" | "full")."""
        converted = await asyncio.to_thread(self._convert, data)
        file = await asyncio.to_thread(
            self._environment.put, prompt_name(name), converted, domain=domain, language=language
        )
        return PromptInfo(file.name, file.level, file.size, file.digest)

    async def get(self, name: str, domain: str = "", language: str = "") -> bytes:
        """The sound that a call would hear. Raises Failure("not-found")."""
        found = self._environment.find_sound(name, domain=domain, language=language)
        if found is None:
            raise Failure("not-found", f"no prompt named {name}")
        return await asyncio.to_thread(found.path.read_bytes)

    async def remove(self, name: str, domain: str = "", language: str = "") -> None:
        """Remove an own prompt; the stock one, where there is one, is heard again. Raises Failure("not-found")."""
        self._environment.remove(prompt_name(name), domain=domain, language=language)


def prompt_name(name: str) -> str:
    """The file name of a prompt: always `.wav`, since that is what `put` stores."""
    stem = name[: name.rindex(".")] if name.lower().endswith(SOUNDS) else name
    return f"{stem.lower()}.wav"
