"""Inspection of requests by the web application firewall, which lets everything pass here.

Host contract §2.11.
"""

import json
from typing import Any

from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.objects.bodies import GuestBody
from host_sim.sandbox.objects.headers import fitting
from host_sim.sandbox.objects.messages import GuestRequest
from host_sim.sandbox.state import Sandbox

__all__ = ["inspect"]

hostcall = interface("security")

_VERDICT = json.dumps(
    {"waf_response": 200, "redirect_url": "", "tags": [], "verdict": "allow", "decision_ms": 0},
    separators=(",", ":"),
)


@hostcall("inspect")
def inspect(
    _sandbox: Sandbox,
    _request: GuestRequest,
    _body: GuestBody,
    options: dict[str, Any],
    max_len: int,
) -> str:
    """Return the verdict as JSON; who asks has to say for whom."""
    if not options["corp"] or not options["workspace"]:
        raise WitError("invalid-argument")
    return fitting(_VERDICT, max_len)
