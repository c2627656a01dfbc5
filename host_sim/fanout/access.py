"""Who may publish: the paths of the publish endpoint, and the key each takes in its own way.

Three forms: Pushpin's `/publish/`, and those of Fastly with the id of a service in the path, which
is not looked at. Source: GRIP §8.1 (endpoint), §14 (Fanout); RFC 9110 §11 (authentication).
"""

import binascii
import hmac
import http
import re

from grip.headers import Headers
from host_sim.fanout.answers import PLAIN_TEXT, respond
from host_sim.messages import Downstream, Request

__all__ = ["RefusedError", "authorise"]

_PUSHPIN = re.compile(r"/publish|/publish/(\?.*)?")
_BASIC = re.compile(r"/[^/?]+/publish/(\?.*)?")
_TOKEN = re.compile(r"/service/[^/?]+/publish/(\?.*)?")


class RefusedError(Exception):
    """Why a request is refused: a status, a line of text, and fields that explain it."""

    def __init__(self, status: int, text: str, *headers: tuple[str, str]) -> None:
        super().__init__(text.strip())
        self.status = status
        self.text = text
        self.headers = headers

    def tell(self, request: Request, downstream: Downstream) -> None:
        """Answer a request with this."""
        request.trace.note = str(self)
        respond(
            downstream,
            request.trace,
            status=self.status,
            reason=http.HTTPStatus(self.status).phrase,
            headers=PLAIN_TEXT.plus(*self.headers),
            body=self.text.encode(),
        )


def authorise(request: Request, key: str | None) -> None:
    """See to it that a path is one of ours and that who knows it knows the key as well.

    Args:
        request: what a publisher sent.
        key: what it has to present, None for nothing.

    Raises:
        RefusedError: it is to be told so.
    """
    given: list[str] = []
    schemes: list[str] = []
    target, headers = request.target, request.headers
    anywhere = _PUSHPIN.fullmatch(target) or target.startswith("/recover")
    if anywhere or _BASIC.fullmatch(target):
        schemes.append("Basic")
        given += _passwords(headers)
    if anywhere or _TOKEN.fullmatch(target):
        schemes.append("Bearer")
        given += (*headers.get_all("Fastly-Key"), *_tokens(headers))
    if not schemes:
        raise RefusedError(404, "Not Found\n")
    if key is None:
        return
    if not given:
        challenges = [("WWW-Authenticate", f'{scheme} realm="publish"') for scheme in schemes]
        raise RefusedError(401, "Publishing takes a key.\n", *challenges)
    expected = key.encode()
    if not any(hmac.compare_digest(text.encode(errors="replace"), expected) for text in given):
        raise RefusedError(403, "The key is not the one for publishing.\n")


def _credentials(headers: Headers, scheme: str) -> list[str]:
    """Return what `Authorization` fields have to say in one scheme (RFC 9110 §11.4)."""
    parts = (value.partition(" ") for value in headers.get_all("Authorization"))
    return [rest.strip() for name, _, rest in parts if name.lower() == scheme]


def _tokens(headers: Headers) -> list[str]:
    return _credentials(headers, "bearer")


def _passwords(headers: Headers) -> list[str]:
    """Return the passwords of basic authentication (RFC 7617)."""
    passwords = []
    for encoded in _credentials(headers, "basic"):
        try:
            decoded = binascii.a2b_base64(encoded, strict_mode=True).decode("utf-8", "replace")
        except ValueError:
            continue
        passwords.append(decoded.partition(":")[2])
    return passwords
