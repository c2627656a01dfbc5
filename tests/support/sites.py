"""A backend in a process of its own and a proxy in front of it: ours, or a real Pushpin."""

import asyncio
import base64
import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from urllib.parse import urlencode

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from grip.signature import Key
from host_sim.fanout.routes import Route, Routes
from host_sim.fanout.signer import Signer
from host_sim.messages import Address
from host_sim.proxy import GripProxy, ProxySettings
from tests.support import pushpin
from tests.support.pushpin import Pushpin
from tests.support.serving import bound
from tests.support.waiting import PATIENCE_S

__all__ = ["ISSUER", "KEY", "PROXIES", "Serve", "Site", "site_of"]

ISSUER, KEY = "clients", "a-key-of-these-tests-0123456789-0123456789"
PROXIES = [
    "ours",
    pytest.param(
        "pushpin", marks=pytest.mark.skipif(pushpin.missing(), reason="Pushpin is not installed")
    ),
]
"""What a fixture of sites takes as its parameters."""

type Serve = Callable[[socket.socket, Mapping[str, str]], contextlib.AbstractContextManager[None]]
"""Serves an application on a listening socket, with more in its environment, for a while."""


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """A backend behind a proxy.

    Attributes:
        kind: of the proxy.
        address: of the proxy.
        url: of the proxy; `direct` leads past it.
        http: a client of the proxy.
    """

    kind: str
    address: Address
    direct: str
    http: httpx.AsyncClient

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self.address)

    def ws_url(self, path: str) -> str:
        return "ws://{}:{}".format(*self.address) + path

    async def publish(self, text: str) -> None:
        """Let the backend publish, with the client library it uses."""
        response = await self.http.post(f"{self.direct}/publish", data={"text": text})
        assert (response.status_code, response.text) == (200, "published\n")

    async def publish_until(self, task: asyncio.Task[object]) -> None:
        """Publish `hello 1`, `hello 2` and so on until a task has been helped by it.

        Only the proxy knows when a long poll is held or a WebSocket subscribed.
        """
        sent = 0
        async with asyncio.timeout(PATIENCE_S):
            while not task.done():
                sent += 1
                await self.publish(f"hello {sent}")
                await asyncio.wait([task], timeout=0.2)


@contextlib.asynccontextmanager
async def site_of(
    serve: Serve,
    kind: str,
    *,
    es256: bool = False,
    publish_key: str | None = None,
    sent_key: str = "any",
) -> AsyncIterator[Site]:
    """Run a backend, which finds `GRIP_URL` in its environment, and a proxy.

    Args:
        serve: runs the backend.
        kind: `ours` or `pushpin`; only ours can do what follows.
        es256: sign with a private key, as Fastly does.
        publish_key: what publishers have to present.
        sent_key: what the backend presents; `django-grip` insists on presenting something.
    """
    signing, verifying = _key_pair() if es256 else (KEY, KEY)
    with bound() as (listening, backend):
        async with _proxy(backend, kind, Key.parse(signing), publish_key) as proxy:
            grip_url = "http://{}:{}/?".format(*proxy.publish_address) + urlencode(
                {"key": sent_key, "verify-iss": ISSUER, "verify-key": verifying}
            )
            with serve(listening, {"GRIP_URL": grip_url}):
                url = "http://{}:{}".format(*proxy.address)
                async with httpx.AsyncClient(
                    base_url=url, timeout=PATIENCE_S, trust_env=False
                ) as http:
                    yield Site(kind, proxy.address, "http://{}:{}".format(*backend), http)


def _proxy(backend: Address, kind: str, key: Key, publish_key: str | None) -> GripProxy | Pushpin:
    if kind == "pushpin":
        return Pushpin(backend, issuer=ISSUER, key=KEY)
    return GripProxy(
        ProxySettings(
            routes=Routes([Route.parse("app=http://{}:{}".format(*backend))]),
            sign=Signer(key, ISSUER),
            address=("127.0.0.1", 0),
            publish_address=("127.0.0.1", 0),
            publish_key=publish_key,
        )
    )


def _key_pair() -> tuple[str, str]:
    """Return the PEM of a new key, and its public half as it stands in a `GRIP_URL`."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), "base64:" + base64.b64encode(public).decode()
