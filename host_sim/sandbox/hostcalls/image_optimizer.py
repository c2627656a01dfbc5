"""The image optimizer, which is not here. Host contract §2.11."""

from typing import Any

from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.objects.bodies import GuestBody
from host_sim.sandbox.objects.lookups import Backend
from host_sim.sandbox.objects.messages import GuestRequest
from host_sim.sandbox.state import Sandbox

__all__ = ["transform"]

hostcall = interface("image-optimizer")


@hostcall("transform-image-optimizer-request")
@hostcall("send-to-image-optimizer")
def transform(
    _sandbox: Sandbox,
    _request: GuestRequest,
    _body: GuestBody | None,
    _backend: Backend,
    _options: dict[str, Any],
) -> Any:
    """Refuse, as Viceroy does: an image that is not transformed would be taken for one that is."""
    raise WitError("unsupported")
