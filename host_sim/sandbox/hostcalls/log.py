"""Log endpoints. Host contract §2.9."""

from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.objects.lookups import Endpoint
from host_sim.sandbox.output import log_line
from host_sim.sandbox.state import Sandbox

__all__ = ["clone", "open_endpoint", "write"]

hostcall = interface("log")


@hostcall("[static]endpoint.open")
def open_endpoint(_sandbox: Sandbox, name: str) -> Endpoint:
    """Open an endpoint; every name that is not reserved works."""
    if name.lower() in ("stdout", "stderr") or name.lower().startswith("fst_managed_"):
        raise WitError("reserved")
    return Endpoint(name)


@hostcall("[method]endpoint.clone")
def clone(_sandbox: Sandbox, endpoint: Endpoint) -> Endpoint:
    """Return the same endpoint for a second handle."""
    return endpoint


@hostcall("[method]endpoint.write")
def write(sandbox: Sandbox, endpoint: Endpoint, message: bytes) -> None:
    """Log one line, before the call returns."""
    text = message.removesuffix(b"\n").decode("utf-8", "replace").replace("\n", "\\n")
    if text:
        log_line(endpoint.name, text, request_id=sandbox.request_id, kind="endpoint")
