"""The application environment: near hides far, a language goes before its root, names ignore case."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.environment import MAX_FILE, Environment, stock_environment
from apps.prompt_store import EnvironmentPrompts, prompt_name
from base.failures import Failure


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    stock, prompts = tmp_path / "stock", tmp_path / "prompts"
    for folder in (stock, prompts / "en", prompts / "fr"):
        folder.mkdir(parents=True)
    (stock / "voicemail.sppr").write_bytes(b"program")
    (prompts / "en" / "Welcome.wav").write_bytes(b"hello")
    (prompts / "fr" / "welcome.wav").write_bytes(b"bonjour")
    (prompts / "en" / "old.au").write_bytes(b"au")
    return Environment([stock], prompts, tmp_path / "uploads")


def heard(environment: Environment, **where: str) -> bytes:
    found = environment.find_sound("WELCOME", **where)
    assert found is not None
    return found.path.read_bytes()


def test_names_ignore_case_and_sounds_need_no_extension(environment: Environment) -> None:
    assert heard(environment) == b"hello"
    assert environment.find("VoiceMail.SPPR") is not None
    assert environment.find("voicemail") is None
    old = environment.find_sound("old")
    assert old is not None
    assert old.name == "old.au"


def test_a_language_goes_before_the_root_and_falls_back_to_it(environment: Environment) -> None:
    assert heard(environment, language="fr") == b"bonjour"
    assert heard(environment, language="de") == b"hello"
    assert environment.find_sound("old", language="fr") is not None


def test_files_that_come_and_go_are_forgotten(environment: Environment) -> None:
    for number in range(50):
        environment.put(f"sound{number}.wav", b"sound")
        assert environment.find(f"sound{number}.wav") is not None
        environment.remove(f"sound{number}.wav")
    assert environment.find("sound0.wav") is None
    assert len(environment._folders._digests) <= 1


def test_near_hides_far_until_removed(environment: Environment) -> None:
    environment.put("welcome.wav", b"server")
    environment.put("welcome.wav", b"domain", domain="One.example")
    assert heard(environment) == b"server"
    assert heard(environment, domain="one.example") == b"domain"
    assert heard(environment, domain="two.example") == b"server"
    assert heard(environment, language="fr") == b"server", "a nearer level goes before a farther language"
    environment.remove("Welcome.WAV", domain="one.example")
    environment.remove("welcome.wav")
    assert heard(environment, domain="one.example") == b"hello"
    with pytest.raises(Failure, match="no own file"):
        environment.remove("welcome.wav")


def test_a_changed_file_has_a_new_digest(environment: Environment) -> None:
    first = environment.put("a.wav", b"one")
    second = environment.put("A.wav", b"two")
    assert first.digest != second.digest
    assert environment.find("a.wav") == second
    second.path.write_bytes(b"by hand")
    by_hand = environment.find("a.wav")
    assert by_hand is not None
    assert by_hand.digest not in (first.digest, second.digest)


@pytest.mark.parametrize("name", ["", "..", "../x.wav", "a/b.wav", ".hidden", "a\0.wav", "x" * 101, "ä.wav", "a..wav"])
def test_names_that_are_none(environment: Environment, name: str) -> None:
    with pytest.raises(Failure, match="not a file name"):
        environment.put(name, b"x")
    assert environment.find(name) is None


@pytest.mark.parametrize("place", ["../up", "a/b", ".", "\0"])
def test_domains_and_languages_that_are_none(environment: Environment, place: str) -> None:
    with pytest.raises(Failure, match="not a name"):
        environment.put("a.wav", b"x", domain=place)
    with pytest.raises(Failure, match="not a name"):
        environment.put("a.wav", b"x", language=place)
    assert heard(environment, domain=place, language=place) == b"hello"


def test_too_large(environment: Environment) -> None:
    with pytest.raises(Failure, match="larger"):
        environment.put("a.wav", bytes(MAX_FILE + 1))


def test_visible_lists_each_name_once(environment: Environment) -> None:
    environment.put("welcome.wav", b"server")
    assert [(file.name, file.level) for file in environment.visible()] == [
        ("old.au", "stock"),
        ("voicemail.sppr", "stock"),
        ("welcome.wav", "server"),
    ]


def refuse(data: bytes) -> bytes:
    if data == b"broken":
        raise Failure("invalid", "not a sound file")
    return b"8k:" + data


async def test_the_prompt_store(environment: Environment) -> None:
    prompts = EnvironmentPrompts(environment, refuse)
    info = await prompts.put("Welcome.AU", b"sound")
    assert (info.name, info.level) == ("welcome.wav", "server")
    assert await prompts.get("welcome") == b"8k:sound"
    with pytest.raises(Failure, match="not a sound"):
        await prompts.put("welcome.wav", b"broken")
    assert await prompts.get("welcome") == b"8k:sound", "the old prompt stays"
    assert [prompt.name for prompt in await prompts.list()] == ["old.au", "welcome.wav"]
    await prompts.remove("welcome.wav")
    assert await prompts.get("welcome.wav") == b"hello"
    with pytest.raises(Failure, match="no prompt"):
        await prompts.get("nothing")


def test_prompt_names() -> None:
    assert prompt_name("Hello") == prompt_name("hello.wav") == prompt_name("HELLO.au") == "hello.wav"


def test_the_stock_environment_holds_prompts() -> None:
    assert stock_environment(None).find_sound("RecordingBeep") is not None
    with pytest.raises(Failure, match="keeps no own files"):
        stock_environment(None).put("a.wav", b"")
