"""The guest that runs scripts, compiled against the newest WIT (`newest.wit`).

WASI is stubbed out, so that the component also links where only the platform's interfaces are:
scripts must not print. What a script raises comes as the answer, since standard error is not there.
"""

import traceback

from scripted import HttpIncoming as Scripted
from scripted import answer


class HttpIncoming(Scripted):
    """Runs the script."""

    def handle(self, request, body):
        """Run it; an exception that it lets out is the answer, with status 500."""
        try:
            super().handle(request, body)
        except Exception:  # noqa: BLE001 - whatever it is, the test has to see it
            answer(traceback.format_exc().encode(), 500)
