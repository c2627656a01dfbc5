"""The guest that runs scripts, compiled against the newest WIT (`newest.wit`).

WASI is stubbed out, so that the component also links where only the platform's interfaces are:
scripts must not print. What a script raises comes as the answer, since standard error is not there.
"""

from scripted import HttpIncoming as Scripted
from scripted import answer


class HttpIncoming(Scripted):
    """Runs the script."""

    def handle(self, request, body):
        """Run it; an exception that it lets out is the answer, with status 500."""
        try:
            super().handle(request, body)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test has to see it
            place = error.__traceback__  # a whole traceback would look for files
            while place.tb_next is not None:
                place = place.tb_next
            answer(f"line {place.tb_lineno}: {error!r}".encode(), 500)
