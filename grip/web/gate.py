"""Who may speak GRIP with an application: only a proxy that signs, once a key is known.

What `wsgi` and `asgi` have in common. A proxy's key makes three rules: a signature that does not
verify counts as none; WebSocket events without one are refused, because anybody could make them
up; and instructions are kept from everybody else, who get the rest of the response. Without a key
nothing can be told apart and all is let through, which is for development and said in the log.
Source: GRIP §2.2 (signatures), §9.4 (`Grip-Last`), §11.2 (events).
"""

import dataclasses
import logging
import time
from collections.abc import Mapping
from http import HTTPStatus

from grip.errors import RemoteProtocolError, SignatureError
from grip.headers import Headers, parse_list
from grip.signature import verify
from grip.web.settings import Proxies, load_endpoints
from grip.ws_over_http.context import WebSocketContext

__all__ = ["Gate", "Grip", "is_instruction", "refuse"]

log = logging.getLogger("grip.web")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Grip:
    """What is known of a request; `environ["grip"]` in WSGI, `scope["grip"]` in ASGI.

    Attributes:
        signed: a proxy whose key is known has signed it.
        may_instruct: instructions in the response will be obeyed, as far as one can tell.
        last_ids: where the client is, by channel, when the proxy asks again (GRIP §9.4).
        websocket: the connection, if the request carries WebSocket events.
    """

    signed: bool = False
    may_instruct: bool = False
    last_ids: Mapping[str, str] = dataclasses.field(default_factory=dict)
    websocket: WebSocketContext | None = None


class Gate:
    """Examines the requests of one application."""

    def __init__(self, proxies: Proxies = None, verify_key: str | None = None) -> None:
        """Take settings as `load_endpoints` does.

        Raises:
            LocalProtocolError: as `load_endpoints`.
        """
        self._trusted = [
            (endpoint.verify_key, endpoint.verify_issuer)
            for endpoint in load_endpoints(proxies, verify_key)
            if endpoint.verify_key is not None
        ]
        if not self._trusted:
            log.warning("no key to verify Grip-Sig with: anybody may pose as the GRIP proxy")

    def enter(self, method: str, headers: Headers, events: bytes | None) -> Grip:
        """Examine a request.

        Args:
            method: its method.
            headers: its fields.
            events: its body if `is_websocket_request` says it carries events, else None.

        Raises:
            RemoteProtocolError: it is to be refused; see `refuse`.
        """
        signed = self._is_signed(headers)
        trusted = signed or not self._trusted
        websocket = None
        if events is not None:
            if not trusted:
                raise SignatureError("expected WebSocket events to be signed by a GRIP proxy")
            websocket = WebSocketContext.from_request(headers, events)
        return Grip(
            signed=signed,
            may_instruct=trusted and method != "HEAD",  # there is no content to wait for
            last_ids=_last_ids(headers),
            websocket=websocket,
        )

    def _is_signed(self, headers: Headers) -> bool:
        signatures = headers.get_all("Grip-Sig")
        reasons = []
        if signatures:
            for key, issuer in self._trusted:
                try:
                    # Several are none: joined they verify with no key.
                    verify(",".join(signatures), key, issuer, time.time())
                except SignatureError as error:
                    reasons.append(str(error))
                else:
                    return True
        if reasons:
            log.warning("Grip-Sig does not count: %s", "; ".join(reasons))
        return False


def is_instruction(name: str) -> bool:
    """Tell whether a field of a response is meant for the proxy."""
    return name[:5].lower() == "grip-"


def refuse(error: RemoteProtocolError) -> tuple[int, str, bytes]:
    """Return status, reason phrase and body for a request that is refused; the log gets why."""
    log.warning("refused with %s: %s", error.status_hint, error)
    phrase = HTTPStatus(error.status_hint).phrase
    return error.status_hint, phrase, f"{phrase.lower()}\n".encode()


def _last_ids(headers: Headers) -> dict[str, str]:
    try:
        channels = parse_list(headers.get_all("Grip-Last"))
    except RemoteProtocolError as error:
        error.status_hint = 400
        raise
    return {channel.value: channel.get("last-id") or "" for channel in channels}
