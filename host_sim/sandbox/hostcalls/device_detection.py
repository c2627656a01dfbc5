"""What device a `User-Agent` stands for. Host contract §2.8."""

import json

from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.hostcalls._records import records_of
from host_sim.sandbox.objects.headers import fitting
from host_sim.sandbox.state import Sandbox

__all__ = ["lookup"]

hostcall = interface("device-detection")


@hostcall("lookup")
def lookup(sandbox: Sandbox, user_agent: str, max_len: int) -> str | None:
    """Return what is known about a device, as JSON."""
    record = records_of(sandbox.data.devices).get(user_agent)
    if record is None:
        return None
    return fitting(json.dumps(record, ensure_ascii=False, separators=(",", ":")), max_len)
