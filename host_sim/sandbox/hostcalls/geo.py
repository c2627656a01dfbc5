"""Where addresses are. Host contract §2.8."""

import json

from host_sim.sandbox.border.values import Case
from host_sim.sandbox.data import LOOPBACK_GEO
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.hostcalls._records import records_of
from host_sim.sandbox.objects.addresses import to_address
from host_sim.sandbox.objects.headers import fitting
from host_sim.sandbox.state import Sandbox

__all__ = ["lookup"]

hostcall = interface("geo")


@hostcall("lookup")
def lookup(sandbox: Sandbox, address: Case, max_len: int) -> str:
    """Return what is known about an address, as JSON; nothing as empty text, as Viceroy 0.22."""
    parsed = to_address(address)
    record = records_of(sandbox.data.geo).get(str(parsed))
    if record is None and parsed.is_loopback and sandbox.data.loopback_geo:
        record = LOOPBACK_GEO
    if record is None:
        return ""
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    return fitting(text, max_len, told=False)
