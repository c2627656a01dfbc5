"""A local Fastly Compute with Fanout: runs the artifact that is deployed.

Start with `simulator`, which joins the rooms; `docs/architecture.md` follows one request.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from host_sim.simulator import Simulator

__all__ = ["Simulator"]


def __getattr__(name: str) -> object:
    """Import the simulator when it is asked for: `host-sim publish` has no use for it."""
    if name == "Simulator":
        from host_sim.simulator import Simulator

        return Simulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
