"""Where the proxies are and whose signatures count: `GRIP_URL` and `GRIP_VERIFY_KEY`.

The one module of the package that reads the environment, and only for what it is not given.
Source: GRIP §2.2 (signatures), §14 (configuration of client libraries).
"""

import dataclasses
import os
from collections.abc import Iterable

from grip.endpoint import Endpoint, parse_grip_url
from grip.errors import LocalProtocolError
from grip.signature import FASTLY_FANOUT_KEY, Algorithm, Key

__all__ = ["Proxies", "load_endpoints"]

type Proxies = str | Iterable[Endpoint] | None
"""The proxies of an application: the text of a `GRIP_URL`, endpoints, or None for the variable."""


def load_endpoints(proxies: Proxies = None, verify_key: str | None = None) -> tuple[Endpoint, ...]:
    """Return the endpoints to publish to, each with the key its requests are signed with.

    That key is, in this order: `verify-key` of the URL; `verify_key`; Fastly's, if `verify-iss` is
    a Fastly service; `key` of the URL if it is a secret with an `iss`, as Pushpin and the
    application may share one. Else none is known.

    Args:
        proxies: where they are; by default the environment variable `GRIP_URL` says so.
        verify_key: a secret, PEM or JWK; by default `GRIP_VERIFY_KEY`, if there is one.

    Raises:
        LocalProtocolError: no proxy, or a URL or key that cannot be used; no key is repeated.
    """
    if proxies is None:
        proxies = os.environ.get("GRIP_URL", "")
        if not proxies.strip():
            raise LocalProtocolError("expected the environment variable GRIP_URL, got none")
    if verify_key is None:
        verify_key = os.environ.get("GRIP_VERIFY_KEY")
    default = Key.parse(verify_key) if verify_key else None
    endpoints = parse_grip_url(proxies) if isinstance(proxies, str) else tuple(proxies)
    if not endpoints:
        raise LocalProtocolError("expected an endpoint, got none")
    return tuple(
        dataclasses.replace(endpoint, verify_key=_verify_key(endpoint, default))
        for endpoint in endpoints
    )


def _verify_key(endpoint: Endpoint, default: Key | None) -> Key | None:
    key = endpoint.verify_key or default
    if key is None and (endpoint.verify_issuer or "").startswith("fastly:"):
        key = FASTLY_FANOUT_KEY
    if key is None and endpoint.key is not None and endpoint.key.algorithm is Algorithm.HS256:
        key = endpoint.key
    return key
