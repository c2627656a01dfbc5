"""A real Pushpin of one test (Debian package `pushpin`), in front of one backend."""

import shutil
from typing import Self

from grip.signature import Key
from host_sim.messages import Address
from host_sim.pushpin import process

__all__ = ["Pushpin", "missing"]


def missing() -> bool:
    """Tell whether Pushpin is not installed here."""
    return shutil.which("pushpin") is None


class Pushpin:
    """Runs while an `async with` block does.

    Attributes:
        address: where it takes clients.
        publish_address: where it takes publishers.
    """

    def __init__(self, backend: Address, *, issuer: str, key: str) -> None:
        host, port = backend
        self.address, self.publish_address = process.free_addresses("127.0.0.1", [0, 0])
        self._process = process.Pushpin(
            process.PushpinSettings(
                address=self.address,
                publish_address=self.publish_address,
                routes=(f"*,id=self {host}:{port},over_http",),
                sig_iss=issuer,
                sig_key=Key.secret(key),
            )
        )

    async def __aenter__(self) -> Self:
        await self._process.start()
        try:
            await self._process.ready()
        except BaseException:
            await self._process.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._process.stop()
