"""TLS to backends on both event loops: a name that is checked but not sent (compute-host §2.2)."""

from pathlib import Path

import pytest

from host_sim.config.backends import Backend
from host_sim.edge.upstream import Backends
from host_sim.errors import BackendError, BackendFault
from host_sim.http1.client import HttpClient
from tests.support.requests import request
from tests.support.tls_server import TlsServer


@pytest.mark.parametrize(
    ("certified", "wanted", "fits"),
    [
        ("cert.test", "cert.test", True),
        ("cert.test", "other.test", False),
        ("*.cert.test", "a.cert.test", True),
        ("*.cert.test", "a.b.cert.test", False),
        ("127.0.0.1", None, True),
        ("192.0.2.1", None, False),
    ],
)
async def test_the_name_is_checked_without_sni(
    tmp_path: Path, certified: str, wanted: str | None, fits: bool
) -> None:
    client = HttpClient()
    async with TlsServer.running(tmp_path, certified) as server:
        backend = Backend(
            url=f"https://127.0.0.1:{server.port}",
            cert_host=wanted,
            use_sni=False,
            ca_certificates=server.authority.pem,
        )
        backends = Backends({"b": backend}, client)
        if fits:
            response = await backends.send(request(), "b")
            assert b'"sni": null' in (await response.body.whole(999) or b"")
        else:
            with pytest.raises(BackendError, match="the certificate is not for") as caught:
                await backends.send(request(), "b")
            assert caught.value.fault is BackendFault.UNREACHABLE
        assert set(server.handshakes) == {None}
        await client.close()
