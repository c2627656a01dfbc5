"""Responses: reading a backend's, making one's own, answering the client.

Host contract §1.3 and §2.3.
"""

import logging

from host_sim.body import Body
from host_sim.sandbox.border.values import Case, WitError
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.hostcalls._fields import register
from host_sim.sandbox.objects.addresses import from_text
from host_sim.sandbox.objects.bodies import GuestBody
from host_sim.sandbox.objects.messages import GuestResponse, response_of
from host_sim.sandbox.objects.pending import HeaderChanges, PendingResponse
from host_sim.sandbox.state import Sandbox

__all__ = [
    "append_header_pending",
    "close",
    "get_remote_ip_addr",
    "get_remote_port",
    "get_status",
    "insert_header_pending",
    "new",
    "remove_header_pending",
    "send_downstream",
    "send_downstream_pending",
    "send_downstream_streaming",
    "set_http_keepalive_mode",
    "set_status",
]

hostcall = interface("http-resp")
register(hostcall, "response")

_log = logging.getLogger("host_sim.sandbox")


@hostcall("[static]response.new")
def new(_sandbox: Sandbox) -> GuestResponse:
    """Make a 200 without fields."""
    return GuestResponse()


@hostcall("[method]response.get-status")
def get_status(_sandbox: Sandbox, response: GuestResponse) -> int:
    """Return the status code."""
    return response.status


@hostcall("[method]response.set-status")
def set_status(_sandbox: Sandbox, response: GuestResponse, status: int) -> None:
    """Set the status code, 100 to 999."""
    if not 100 <= status <= 999:
        raise WitError("invalid-argument")
    response.status = status


@hostcall("[method]response.set-http-keepalive-mode")
def set_http_keepalive_mode(_sandbox: Sandbox, _response: GuestResponse, mode: str) -> None:
    """Accept the default only."""
    if mode == "no-keepalive":
        raise WitError("generic-error")


@hostcall("[method]response.get-remote-ip-addr")
def get_remote_ip_addr(_sandbox: Sandbox, response: GuestResponse) -> Case | None:
    """Return the address of the backend it came from."""
    return None if response.peer is None else from_text(response.peer[0])


@hostcall("[method]response.get-remote-port")
def get_remote_port(_sandbox: Sandbox, response: GuestResponse) -> int | None:
    """Return the port of the backend it came from."""
    return None if response.peer is None else response.peer[1]


@hostcall("send-downstream")
def send_downstream(sandbox: Sandbox, response: GuestResponse, body: GuestBody) -> None:
    """Answer the client."""
    try:
        if not _is_informational(sandbox, response):
            _send(sandbox, response, body.send())
    finally:
        body.dropped()  # what was not sent


@hostcall("send-downstream-streaming")
def send_downstream_streaming(sandbox: Sandbox, response: GuestResponse, body: GuestBody) -> None:
    """Answer the client; the guest goes on writing the body."""
    if not _is_informational(sandbox, response):
        if not sandbox.exchange.unsent:
            raise WitError("generic-error")  # before the body becomes a stream nobody reads
        _send(sandbox, response, body.open_stream())


def _send(sandbox: Sandbox, response: GuestResponse, body: Body) -> None:
    to_head = sandbox.exchange.request.method == "HEAD"
    sandbox.usage.check_answer(response.headers.headers())
    sandbox.exchange.respond(response_of(response, body, to_head=to_head))


def _is_informational(sandbox: Sandbox, response: GuestResponse) -> bool:
    """Tell whether this is a 103, which never reaches the client. Host contract §1.3."""
    if response.status == 103:
        _log.info(
            "the guest sent early hints, which are dropped here",
            extra={"request_id": sandbox.request_id},
        )
        return True
    if response.status < 200:
        raise WitError("invalid-argument")
    return False


@hostcall("send-downstream-pending")
def send_downstream_pending(sandbox: Sandbox, pending: PendingResponse) -> None:
    """Answer the client with a backend's response as soon as it is there."""
    to_head = sandbox.exchange.request.method == "HEAD"
    try:
        sandbox.exchange.respond_later(pending.passed_on(to_head=to_head))
    except WitError:
        pending.dropped()
        raise


@hostcall("insert-header-pending")
def insert_header_pending(
    _sandbox: Sandbox, pending: PendingResponse, name: str, value: bytes, target: str
) -> None:
    """Set a name of a response to come to one value."""
    for changes in _changes(pending, target):
        changes.insert(name, value)


@hostcall("append-header-pending")
def append_header_pending(
    _sandbox: Sandbox, pending: PendingResponse, name: str, value: bytes, target: str
) -> None:
    """Add a value to a name of a response to come."""
    for changes in _changes(pending, target):
        changes.append(name, value)


@hostcall("remove-header-pending")
def remove_header_pending(
    _sandbox: Sandbox, pending: PendingResponse, name: str, target: str
) -> None:
    """Remove a name of a response to come, which need not have it."""
    for changes in _changes(pending, target):
        changes.remove(name)


def _changes(pending: PendingResponse, target: str) -> list[HeaderChanges]:
    match target:
        case "response":
            return [pending.changes]
        case "error":
            return [pending.changes_of_error]
        case _:
            return [pending.changes, pending.changes_of_error]


@hostcall("close")
def close(_sandbox: Sandbox, _response: GuestResponse) -> None:
    """Free a response."""
