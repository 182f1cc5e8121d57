"""The words of the control socket: one JSON object a line. Pure.

→ {"act": "account.add", "arguments": {"name": "carol", …}}
← {"result": …}   or   {"error": {"code": "exists", "message": "carol is taken in example.org"}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from admin.ports import Json
from base.failures import Failure

# Limit: one line. A prompt of 32 MB fits as base64.
LINE_LIMIT = 48 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """An act that is asked for."""

    act: str
    arguments: Mapping[str, Json]


def parse_request(line: bytes) -> Request:
    """Raises Failure("invalid")."""
    data = _object(line)
    act, arguments = data.get("act"), data.get("arguments", {})
    if not isinstance(act, str) or not isinstance(arguments, dict):
        raise Failure("invalid", 'a request is {"act": text, "arguments": {…}}')
    return Request(act, arguments)


def format_request(request: Request) -> bytes:
    return _line({"act": request.act, "arguments": request.arguments})


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
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogateescape") + b"\n"


def _object(line: bytes) -> dict[str, Json]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise Failure("invalid", "that line is no JSON object") from None
    if not isinstance(data, dict):
        raise Failure("invalid", "that line is no JSON object")
    return cast(dict[str, Json], data)
