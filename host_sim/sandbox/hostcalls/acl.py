"""Access control lists. Host contract §2.8."""

import ipaddress
import json

from host_sim.body import Body
from host_sim.sandbox.border.values import Case, WitError
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.objects.addresses import to_address
from host_sim.sandbox.objects.bodies import GuestBody
from host_sim.sandbox.objects.lookups import Acl
from host_sim.sandbox.state import Sandbox

__all__ = ["lookup", "open_acl"]

hostcall = interface("acl")


@hostcall("[static]acl.open")
def open_acl(sandbox: Sandbox, name: str) -> Acl:
    """Open a list."""
    entries = sandbox.data.acls.get(name)
    if entries is None:
        raise WitError("not-found")
    return Acl(entries)


@hostcall("[method]acl.lookup")
def lookup(sandbox: Sandbox, acl: Acl, address: Case) -> GuestBody | None:
    """Return the entry that fits closest, as JSON; of two equals the later one."""
    wanted = to_address(address)
    best: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str] | None = None
    for entry in acl.entries:
        network = ipaddress.ip_network(entry.prefix, strict=False)
        if wanted in network and (best is None or network.prefixlen >= best[0].prefixlen):
            best = network, entry.action
    if best is None:
        return None
    action = best[1].upper() if best[1].upper() in ("ALLOW", "BLOCK") else best[1]
    record = {"prefix": str(best[0]), "action": action}
    text = json.dumps(record, ensure_ascii=False, indent=2)  # laid out as by the platform
    return GuestBody(sandbox.waiting, Body.of(text.encode()))
