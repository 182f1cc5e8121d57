"""The words of the control socket: one JSON object a line. Pure.

→ {"act": "account.add", "arguments": {"name": "carol", …}, "as": "alice@example.org"}
← {"result": …}   or   {"error": {"code": "exists", "message": "carol is taken in example.org"}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from admin.ports import Json
from base.failures import Failure

# Limit: one line. A prompt of 32 MB fits as base64.
LINE_LIMIT = 48 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Who:
    """In whose name an act is asked for: the account's, with its password where he is not believed without it. No
    account: of whoever opened the socket."""

    account: str = ""
    password: str | None = field(default=None, repr=False)


LOCAL_USER = Who()


@dataclass(frozen=True, slots=True)
class Request:
    """An act that is asked for."""

    act: str
    arguments: Mapping[str, Json]
    who: Who = LOCAL_USER


def parse_request(line: bytes) -> Request:
    """Raises Failure("invalid")."""
    data = _object(line)
    act, arguments = data.get("act"), data.get("arguments", {})
    account, password = data.get("as", ""), data.get("password")
    if not isinstance(act, str) or not isinstance(arguments, dict):
        raise Failure("invalid", 'a request is {"act": text, "arguments": {…}}')
    if not isinstance(account, str) or not isinstance(password, str | None):
        raise Failure("invalid", 'a request in somebody\'s name has "as": text, and "password": text')
    return Request(act, arguments, Who(account, password))


def format_request(request: Request) -> bytes:
    who: dict[str, Json] = {"as": request.who.account} if request.who.account else {}
    if request.who.password is not None:
        who["password"] = request.who.password
    return _line({"act": request.act, "arguments": request.arguments, **who})


def format_result(result: Json) -> bytes:
    return _line({"result": result})


def format_failure(failure: Failure) -> bytes:
    return _line({"error": {"code": failure.code, "message": failure.public}})


def parse_answer(line: bytes) -> Json:
    """The result. Raises the Failure that the other side told, or Failure("invalid")."""
    data = _object(line)
    error = data.get("error")
    if isinstance(error, dict):
        raise Failure(str(error.get("code", "invalid")), str(error.get("message", "refused")))
    return data.get("result")


def _line(data: Json) -> bytes:
    """In ASCII: text may hold surrogates, which are nothing in UTF-8."""
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def _object(line: bytes) -> dict[str, Json]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise Failure("invalid", "that line is no JSON object") from None
    if not isinstance(data, dict):
        raise Failure("invalid", "that line is no JSON object")
    return cast(dict[str, Json], data)
