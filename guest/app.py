"""The door: each request comes in here, is decided about, and leaves in one of three ways."""

import gc
import time

from guest import bindings, settings
from guest.handlers import answer
from guest.messages import SetupError, text
from guest.routing import Answer, HandOff, Refuse, decide


class HttpIncoming(bindings.Service):
    """The service; the name is the one the platform looks for."""

    def serve(self, request: bindings.Request) -> None:
        """Hand the request off, answer it, or refuse it."""
        try:
            match decide(
                request.path,
                request.values("grip-sig"),
                verify=fanout_signed,
                has_backend=bindings.has_backend,
            ):
                case HandOff(backend):
                    request.handoff_fanout(backend)
                case Answer():
                    request.respond(answer(request))
                case Refuse(reason):
                    bindings.log(f"403, Grip-Sig does not hold: {reason}")
                    request.respond(text(403, "forbidden"))
        except SetupError as error:
            bindings.log(f"500, the service is not set up: {error}")
            request.respond(text(500, "internal server error"))


CURRENT = settings.Current(
    lambda: settings.load(bindings.config(settings.STORE), bindings.service_id)
)


def fanout_signed(token: str) -> None:
    """Raise SignatureError unless Fanout has signed the token, and not too long ago."""
    now = time.time()
    CURRENT.at(now).verify(token, now)


gc.freeze()  # what the component comes with is there to stay: nothing for the collector to look at
bindings.wipe_free_memory()
