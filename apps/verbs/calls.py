"""Answering, placing and asking about calls (PBXApp.html, "Call Control"; spec: cgpl-builtins §12)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from apps.running import RunningTask
from apps.verbs.verb import Arguments, Verb, flag
from base.values.kinds import Dictionary, NetAddress, Value
from directory.model import AccountRoute, Address
from pbx.programs import LegMode
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.uri import NameAddress, Uri

_PENDING = (LegMode.INCOMING, LegMode.PROVISIONED)
# Limit: targets of one RedirectCall or ForkCall.
MAX_TARGETS = 20
_CALL_KEYS = ("From", "To", "Call-ID", "Expires", "Subject", "Privacy", "Diversion", "Alert-Info", "Call-Info")
_TOKEN = re.compile(r"[A-Za-z0-9.+_-]{2,100}")
_ERROR_CODES = {"busy": 486, "declined": 603, "unavailable": 480, "no_such_user": 404}


async def accept_call(task: RunningTask, args: Arguments) -> Value:
    match task.leg.mode:
        case LegMode.CONNECTED:
            return None
        case LegMode.DISCONNECTED:
            return "NOT_CONNECTED"
        case _:
            return await task.leg.accept()


def reject_call(task: RunningTask, args: Arguments) -> Value:
    """A status 400..699, an error text that begins with one, or a dictionary with responseCode and responseText."""
    if task.leg.mode not in _PENDING:
        return None
    given = args.dictionary(0)
    code = given.get("responseCode") if given is not None else args[0]
    reason = given.get("responseText") if given is not None else None
    task.leg.reject(_status(code), reason if isinstance(reason, str) else "")
    return None


def _status(code: Value) -> int:
    text = str(code) if isinstance(code, str | int) else ""
    number = int(text[:3]) if text[:3].isascii() and text[:3].isdigit() else _ERROR_CODES.get(text.lower(), 0)
    return number if 400 <= number <= 699 else 480


def redirect_call(task: RunningTask, args: Arguments) -> Value:
    targets = _targets(args[0])
    if task.leg.mode in _PENDING and targets:
        task.leg.redirect(targets)
    return None


def fork_call(task: RunningTask, args: Arguments) -> Value:
    targets = _targets(args[0])
    if task.leg.mode in _PENDING and targets:
        task.leg.fork(targets)
    return None


def _targets(value: Value) -> Sequence[str]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str) and item][:MAX_TARGETS]


async def provision_call(task: RunningTask, args: Arguments) -> Value:
    if task.leg.mode not in _PENDING:
        return "NOT_PENDING"
    given = args.dictionary(0)
    if given is None:
        return await task.leg.provision(180, media=args[0] is not None)
    code, reason = given.get("responseCode"), given.get("responseText")
    status = code if isinstance(code, int) and 101 <= code <= 199 else 180
    text = reason if isinstance(reason, str) else ""
    return await task.leg.provision(status, media=given.get("media") is not None, reason=text)


def start_call(task: RunningTask, args: Arguments) -> Value:
    if task.leg.mode is not LegMode.DISCONNECTED or task.calling:
        return "NOT_DISCONNECTED"
    given = args.dictionary(0)
    target = given.get("") if given is not None else args[0]
    if not isinstance(target, str) or not target:
        return "NO_ADDRESS"
    parameters = {key: str(given.get(key)) for key in _CALL_KEYS if given.get(key) is not None} if given else {}
    task.calling = True
    error = task.leg.start_call(target, parameters)
    if error is not None:
        task.calling = False
    return error


def cancel_call(task: RunningTask, args: Arguments) -> Value:
    if task.calling:
        task.calling = False
        task.leg.cancel_call()
    return None


def disconnect(task: RunningTask, args: Arguments) -> Value:
    """Ends the session; the Task goes on."""
    task.bridged_with = None
    task.calling = False
    task.leg.disconnect(args.number(0), args.text(1))
    return None


def is_connected(task: RunningTask, args: Arguments) -> Value:
    return flag(task.leg.mode is LegMode.CONNECTED)


def is_half_connected(task: RunningTask, args: Arguments) -> Value:
    return flag(task.leg.mode in (LegMode.CONNECTED, LegMode.PROVISIONED))


# ---- asking ----


def remote_uri(task: RunningTask, args: Arguments) -> Value:
    return task.leg.remote_uri


def local_uri(task: RunningTask, args: Arguments) -> Value:
    return task.leg.local_uri


def incoming_request_uri(task: RunningTask, args: Arguments) -> Value:
    return None if task.leg.request is None else task.leg.request.request_uri


def remote_ip_address(task: RunningTask, args: Arguments) -> Value:
    if task.caller is None or not task.caller.source[0]:
        return None
    try:
        return NetAddress.parse(task.caller.source[0])
    except ValueError:
        return None


def remote_authentication(task: RunningTask, args: Arguments) -> Value:
    return None if task.caller is None or task.caller.account is None else task.caller.account.address


def remote_real_name(task: RunningTask, args: Arguments) -> Value:
    if task.caller is None:
        return None
    known = task.caller.account.real_name if task.caller.account is not None else ""
    return task.caller.name or known or None


def route_local_uri(task: RunningTask, args: Arguments) -> Value:
    """The account that a URI of ours leads to; null for programs, groups, outside addresses and unknown ones."""
    try:
        uri = Uri.parse(args.text(0))
    except SipSyntaxError:
        return None
    domain = task.people.local_domain(uri.host) if uri.is_sip and uri.user else None
    if domain is None:
        return None
    route = task.people.resolve(Address(uri.user, domain), caller=task.caller, services=False).route
    return route.account.address if isinstance(route, AccountRoute) else None


def pending_request_data(task: RunningTask, args: Arguments) -> Value:
    request, field = task.leg.request, args.text(0)
    if request is None:
        return None
    match field.lower():
        case "call-id":
            return request.call_id
        case "from":
            return _party(next(iter(_header(task, "from")), request.from_uri), request.from_name)
        case "to":
            return _party(next(iter(_header(task, "to")), request.to_uri), "")
        case "referred-by" | "referred-to":
            values = _header(task, field)
            return _party(values[0], "") if values else None
        case "cseq" | "max-forwards":
            values = _header(task, field)
            number = values[0].split()[0] if values and values[0].split() else ""
            return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None
        case "user-agent" | "reason" | "subject":
            values = _header(task, field)
            return values[0] if values else None
        case _:
            return pending_request_ex_data(task, args)


def pending_request_ex_data(task: RunningTask, args: Arguments) -> Value:
    values = _header(task, args.text(0))
    return list(values) if values else None


def _header(task: RunningTask, name: str) -> Sequence[str]:
    headers = {} if task.leg.request is None else task.leg.request.headers
    return next((values for key, values in headers.items() if key.lower() == name.lower()), ())


def _party(text: str, name: str) -> Value:
    """`""` the address, `@realName`, `@schema`, `@port`, `@tag`."""
    try:
        party = NameAddress.parse(text)
    except SipSyntaxError:
        return Dictionary([("", text)])
    uri = party.uri
    answer = Dictionary([("", f"{uri.user}@{uri.host}" if uri.host else uri.user)])
    if party.display or name:
        answer["@realName"] = party.display or name
    if uri.scheme != "sip":
        answer["@schema"] = uri.scheme
    if uri.port is not None:
        answer["@port"] = uri.port
    if party.tag:
        answer["@tag"] = party.tag
    return answer


# ---- in the dialog ----


async def transfer_call(task: RunningTask, args: Arguments) -> Value:
    return await task.leg.transfer(args.text(0)) if task.leg.mode is LegMode.CONNECTED else "NOT_CONNECTED"


async def send_call_info(task: RunningTask, args: Arguments) -> Value:
    given = args.dictionary(0)
    if given is None or task.leg.mode is not LegMode.CONNECTED:
        return "NOT_CONNECTED" if given is not None else "BAD_PARAMETERS"
    content = given.get("")
    body = content if isinstance(content, bytes) else str(content or "").encode("utf-8", "surrogateescape")
    kind, subtype = given.get("Content-Type"), given.get("Content-Subtype")
    if not (isinstance(kind, str) and isinstance(subtype, str) and _TOKEN.fullmatch(kind + subtype)):
        return "BAD_PARAMETERS"
    return await task.leg.send_info(f"{kind}/{subtype}", body)


_SIGNAL_OPTIONS = {
    "refer": "self",
    "transferreport": "NO",
    "bridgebreak": "default",
    "bridgedprovisionrelay": "NO",
    "bridgedprovisiontags": "NO",
    "bridgedprovisionqueue": "10",
}


def signal_option(task: RunningTask, args: Arguments) -> Value:
    """The old value; a new one is kept (of them only transferReport has an effect)."""
    name = args.text(0)
    if name.lower() not in _SIGNAL_OPTIONS:
        return "NOT_SUPPORTED"
    key = "transferReport" if name.lower() == "transferreport" else name.lower()
    before = task.options.signal.get(key, _SIGNAL_OPTIONS[name.lower()])
    if args[1] is not None:
        task.options.signal[key] = args.text(1)[:32]
    return before


def nothing(task: RunningTask, args: Arguments) -> Value:
    """Accepted, and without effect here."""
    return None


VERBS = (
    Verb("AcceptCall", "F", 0, 0, later=accept_call, environment="pbx"),
    Verb("RejectCall", "P", 1, 1, now=reject_call, environment="pbx"),
    Verb("RedirectCall", "P", 1, 1, now=redirect_call, environment="pbx"),
    Verb("ForkCall", "P", 1, 1, now=fork_call, environment="pbx"),
    Verb("ProvisionCall", "F", 1, 2, later=provision_call, environment="pbx"),
    Verb("StartCall", "F", 1, 1, now=start_call, environment="pbx"),
    Verb("CancelCall", "P", 0, 0, now=cancel_call, environment="pbx"),
    Verb("Disconnect", "P", 0, 2, now=disconnect, environment="pbx"),
    Verb("IsConnected", "F", 0, 0, now=is_connected, environment="pbx"),
    Verb("IsHalfConnected", "F", 0, 0, now=is_half_connected, environment="pbx"),
    Verb("RemoteURI", "F", 0, 0, now=remote_uri, environment="pbx"),
    Verb("LocalURI", "F", 0, 0, now=local_uri, environment="pbx"),
    Verb("IncomingRequestURI", "F", 0, 0, now=incoming_request_uri, environment="pbx"),
    Verb("RemoteIPAddress", "F", 0, 0, now=remote_ip_address, environment="pbx"),
    Verb("RemoteAuthentication", "F", 0, 0, now=remote_authentication, environment="pbx"),
    Verb("RemoteRealName", "F", 0, 0, now=remote_real_name, environment="pbx"),
    Verb("RouteLocalURI", "F", 1, 1, now=route_local_uri, environment="pbx"),
    Verb("PendingRequestData", "F", 1, 1, now=pending_request_data, environment="pbx"),
    Verb("PendingRequestExData", "F", 1, 1, now=pending_request_ex_data, environment="pbx"),
    Verb("TransferCall", "F", 1, 1, later=transfer_call, environment="pbx"),
    Verb("SendCallInfo", "F", 1, 1, later=send_call_info, environment="pbx"),
    Verb("SignalOption", "F", 1, 2, now=signal_option, environment="pbx"),
    Verb("SetCallParameters", "P", 1, 1, now=nothing, environment="pbx"),
    Verb("SetReferMode", "P", 1, 1, now=nothing, environment="pbx"),
    Verb("SetBridgeBreakMode", "P", 1, 1, now=nothing, environment="pbx"),
    Verb("SetTransferReportMode", "F", 1, 1, now=nothing, environment="pbx"),
    Verb("SetBridgedProvision", "F", 1, 1, now=nothing, environment="pbx"),
)
