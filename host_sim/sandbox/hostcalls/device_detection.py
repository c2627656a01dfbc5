"""What device a `User-Agent` stands for. Host contract §2.8."""

import json

from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.objects.headers import fitting
from host_sim.sandbox.state import Sandbox

__all__ = ["lookup"]

hostcall = interface("device-detection")


@hostcall("lookup")
def lookup(sandbox: Sandbox, user_agent: str, max_len: int) -> str | None:
    """Return what is known about a device, as JSON."""
    record = sandbox.data.devices.get(user_agent)
    return None if record is None else fitting(json.dumps(record), max_len)
