"""What a carrier's answer means, in words that tell an administrator what to do. Pure."""

from __future__ import annotations

from pbx.sipcore.message import Response

_REGISTER = {
    200: "",
    401: "it asks for a password",
    407: "a proxy asks for a password",
    400: "the provider did not understand the request; is the domain right?",
    403: "the provider refuses this login: is it spelled right, is the account paid and allowed to register?",
    404: "the provider does not know this user",
    405: "the provider takes no registrations: leave `register` off",
    408: "the provider's server did not answer in time",
    423: "the provider wants longer registrations",
    480: "the provider is not available for now",
    500: "the provider's server has a fault",
    502: "a server on the way to the provider has a fault",
    503: "the provider is overloaded or being serviced",
    504: "a server on the way to the provider did not answer",
}
IN_NEED = frozenset({408, 502, 503, 504})
"""Answers to OPTIONS by which a server tells that it, or one behind it, cannot take calls now."""
_NO_FAULT = "it is there; that it takes no OPTIONS so is no fault"
WRONG_LOGIN = "the provider refuses user or password: check both (some have a login of its own for the line)"


def registering(response: Response) -> str:
    """A final answer to REGISTER."""
    said = f"{response.status} {response.reason}".strip()
    meaning = _REGISTER.get(response.status, _REGISTER.get(response.status // 100 * 100, ""))
    why = _warning(response)
    return f"{said}{f': {meaning}' if meaning else ''}{f' ({why})' if why else ''}"


def asking(response: Response) -> str:
    """A final answer to OPTIONS."""
    said = f"{response.status} {response.reason}".strip()
    meaning = _REGISTER[response.status] if response.status in IN_NEED else "" if response.is_success else _NO_FAULT
    return f"{said}{f': {meaning}' if meaning else ''}"


def _warning(response: Response) -> str:
    """What the carrier adds: Warning or Reason, without quotes."""
    value = response.get("Warning") or response.get("Reason") or ""
    return value.replace('"', "")[:120]


def unreachable(cause: str) -> str:
    """No answer at all."""
    match cause:
        case "timeout":
            return "no answer: is the address right, and does a firewall let UDP and its answers through?"
        case _:
            return f"not reached: {cause}"
