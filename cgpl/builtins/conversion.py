"""Built-ins that turn values into texts and back: the textual form, JSON, base64, charsets, digests."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from email.utils import format_datetime

from base.values import (
    Dictionary,
    TimeStamp,
    Value,
    ValueTextError,
    XmlElement,
    XmlError,
    from_octets,
    octets,
    parse_value,
    parse_xml,
    wrap,
)
from cgpl.builtins.anything import written
from cgpl.builtins.arguments import a_string, bounded
from cgpl.builtins.table import Builtin
from cgpl.diagnostics import ProgramFault
from cgpl.operators import a_kind
from cgpl.runtime import Task

_JSON_DEPTH = 100  # Limit: nested arrays and objects.
_DIGESTS = {
    "md5": "md5",
    "sha1": "sha1",
    "sha": "sha1",
    "sha224": "sha224",
    "sha256": "sha256",
    "sha384": "sha384",
    "sha512": "sha512",
}


def object_to_string(task: Task, value: Value) -> Value:
    if value is None:
        return "#null#"
    text = bounded(written(value))
    task.charge(len(text) // 4)
    return text


def to_object(task: Task, text: Value) -> Value:
    if text is None:
        return None
    if not isinstance(text, str | bytes):
        raise ProgramFault(f"ToObject takes a string or a datablock, not {a_kind(text)}")
    source = from_octets(text) if isinstance(text, bytes) else text
    task.charge(len(source) // 4)
    try:
        return parse_xml(source) if source.lstrip().startswith("<?xml") else parse_value(source)
    except (ValueTextError, XmlError):
        return None


def object_to_json(task: Task, value: Value) -> Value:
    try:
        text = bounded(json.dumps(_plain(value, 0, [200_000]), ensure_ascii=False))
    except ValueError:
        return None
    task.charge(len(text) // 4)
    return text


def _plain(value: Value, depth: int, room: list[int]) -> object:
    """What the JSON writer understands. Raises ValueError for what is too deep or too large."""
    room[0] -= 1
    if depth > _JSON_DEPTH or room[0] < 0:
        raise ValueError("too deep or too large for JSON")
    match value:
        case list():
            return [_plain(item, depth + 1, room) for item in value]
        case Dictionary():
            return {key: _plain(item, depth + 1, room) for key, item in value.items()}
        case TimeStamp():
            return str(value) if value.remote else format_datetime(value.moment(), usegmt=True)
        case bytes():
            return base64.b64encode(value).decode()
        case str() | int() | None:
            return value
        case _:
            return written(value)


def json_to_object(task: Task, text: Value) -> Value:
    if not isinstance(text, str | bytes):
        return None
    task.charge(len(text) // 4)
    try:
        return _value_of(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _value_of(plain: object) -> Value:
    match plain:
        case bool():
            return "YES" if plain else None
        case str() | None:
            return plain
        case int():
            return wrap(plain)
        case float():
            return wrap(int(plain))
        case list():
            return [_value_of(item) for item in plain]
        case dict():
            return Dictionary({str(key): _value_of(item) for key, item in plain.items()})
        case _:
            return None


def _data(value: Value, what: str) -> bytes:
    if isinstance(value, str):
        return octets(value)
    if not isinstance(value, bytes):
        raise ProgramFault(f"{what} takes a string or a datablock, not {a_kind(value)}")
    return value


def base64_encode(_: Task, value: Value) -> Value:
    return base64.b64encode(_data(value, "Base64Encode")).decode()


def base64_decode(_: Task, text: Value) -> Value:
    return _decoded(a_string(text).encode("utf-8", "surrogateescape"))


def _decoded(text: bytes) -> bytes:
    """Base64 as generous as mail is: foreign characters and missing padding do not matter."""
    kept = bytes(code for code in text if code in _BASE64)
    try:
        return base64.b64decode(kept + b"=" * (-len(kept) % 4))
    except binascii.Error:
        return base64.b64decode(kept[: len(kept) // 4 * 4])


_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def base64_url_encode(_: Task, value: Value) -> Value:
    return base64.urlsafe_b64encode(_data(value, "Base64UrlEncode")).decode().rstrip("=")


def base64_url_decode(_: Task, text: Value) -> Value:
    return _decoded(octets(a_string(text)).translate(bytes.maketrans(b"-_", b"+/")))


def base32_encode(_: Task, value: Value) -> Value:
    return base64.b32encode(_data(value, "Base32Encode")).decode()


def base32_decode(_: Task, text: Value) -> Value:
    data = octets(a_string(text)).rstrip(b"=")
    try:
        return base64.b32decode(data + b"=" * (-len(data) % 8), casefold=True)
    except binascii.Error:
        return None


def convert(_: Task, value: Value, form: Value) -> Value:
    """base64, hex, HEX, utfcode, words, ucs-2 variants, and any charset; null when it cannot be done."""
    name = a_string(form, "the format")
    match name.lower():
        case "base64":
            return _decoded(octets(value)) if isinstance(value, str) else _base64_text(value)
        case "hex":
            return _hex(value, upper=name.isupper())
        case "utfcode":
            return _utf_code(value)
        case "words":
            return list(value.split()) if isinstance(value, str) else None
        case charset:
            return _charset(value, charset)


def _base64_text(value: Value) -> Value:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else None


def _hex(value: Value, *, upper: bool) -> Value:
    if isinstance(value, bytes):
        return value.hex().upper() if upper else value.hex()
    try:
        return bytes.fromhex(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _utf_code(value: Value) -> Value:
    if isinstance(value, str):
        return ord(value[0]) if value else None
    if isinstance(value, int) and (0 < value < 0xD800 or 0xDFFF < value < 0x110000):
        return chr(value)
    return None


def _charset(value: Value, name: str) -> Value:
    codec = {"ucs-2": "utf-16-be", "ucs-2le": "utf-16-le", "ucs-2be": "utf-16-be", "ucs-2+": "utf-16"}.get(name, name)
    try:
        if isinstance(value, bytes):
            return value.decode(codec, "replace")
        return value.encode(codec, "replace") if isinstance(value, str) else None
    except (LookupError, UnicodeError):
        return None


def object_to_xml(_: Task, value: Value) -> Value:
    """A tree of `object` elements: `subKey` for dictionaries, `subValue` for arrays, text for the rest."""
    return _xml_of(value, "object", 0)


def _xml_of(value: Value, name: str, depth: int) -> XmlElement:
    if depth > _JSON_DEPTH:
        raise ProgramFault("the value is nested too deeply")
    element = XmlElement(name)
    match value:
        case Dictionary():
            for key, item in value.items():
                child = _xml_of(item, "subKey", depth + 1)
                child.attributes["", "key"] = key
                element.children.append(child)
        case list():
            element.children += [_xml_of(item, "subValue", depth + 1) for item in value]
        case XmlElement():
            element.children.append(value)
        case None:
            element.attributes["", "type"] = "null"
        case str():
            element.children += [value] if value else []
        case _:
            element.children.append(written(value))
    return element


def cry_digest(_: Task, algorithm: Value, data: Value, key: Value = None) -> Value:
    """A digest, or with a key an HMAC (RFC 2104); null for an unknown algorithm."""
    name = _DIGESTS.get(a_string(algorithm, "the algorithm").lower().replace("-", "").removeprefix("hmac"))
    if name is None:
        return None
    octets_in = _data(data, "CryDigest")
    if key is None:
        return hashlib.new(name, octets_in, usedforsecurity=False).digest()
    return hmac.digest(_data(key, "CryDigest"), octets_in, name)


BUILTINS = (
    Builtin("ObjectToString", "F", 1, 1, object_to_string),
    Builtin("ToObject", "F", 1, 1, to_object),
    Builtin("TextToObject", "F", 1, 1, to_object),
    Builtin("ObjectToXML", "F", 1, 1, object_to_xml),
    Builtin("ObjectToJSON", "F", 1, 1, object_to_json),
    Builtin("JSONToObject", "F", 1, 1, json_to_object),
    Builtin("Base64Encode", "F", 1, 1, base64_encode),
    Builtin("Base64Decode", "F", 1, 1, base64_decode),
    Builtin("Base64UrlEncode", "F", 1, 1, base64_url_encode),
    Builtin("Base64UrlDecode", "F", 1, 1, base64_url_decode),
    Builtin("Base32Encode", "F", 1, 1, base32_encode),
    Builtin("Base32Decode", "F", 1, 1, base32_decode),
    Builtin("Convert", "F", 2, 2, convert),
    Builtin("CryDigest", "F", 2, 3, cry_digest),
)
