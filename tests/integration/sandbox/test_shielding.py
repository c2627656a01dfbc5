"""Shielding. Host contract §2.11."""

import pytest

from host_sim.messages import Request, Response
from host_sim.sandbox.data import BackendFacts, DynamicBackend
from tests.support.sandbox import Scripted, response

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]


async def test_which_site_this_is(guest: Scripted) -> None:
    """§2.11, `shield-info`: one byte, then both URLs, a NUL after each."""
    got = await guest.json(
        r"""
        answer([shielding.shield_info("here", 3), shielding.shield_info("there", 99),
                failure(shielding.shield_info, "nowhere", 99),
                failure(shielding.shield_info, "here", 2),
                failure(shielding.shield_info, "there", 9)])
        """
    )
    assert got == [
        "\x01\0\0",
        "\0http://there.test/\0https://there.test/\0",
        *("InvalidArgument", ["BufferLen", 0], ["BufferLen", 0]),
    ]


async def test_backends_for_shields(guest: Scripted) -> None:
    """§2.11, `backend-for-shield`: a dynamic backend `******{uri}*****`, once per sandbox."""
    name = "******https://there.test:8443/base*****"

    async def shield(request: Request) -> Response:
        return response(request.target.encode())

    guest.upstream.backends[name] = shield
    got = await guest.json(
        """
        options = shielding.ShieldBackendOptions()
        options.set_cache_key("key"), options.set_first_byte_timeout(7)
        url = "https://there.test:8443/base"
        own = shielding.backend_for_shield(url, options)
        out = http_req.Request.new()
        out.set_uri("/p")
        content = read_all(http_req.send(out, http_body.new(), own)[1]).decode()
        again = backend.Backend.open(own.get_name())
        answer([own.get_name(), own.is_dynamic(), own.is_tls(), own.get_host(99), own.get_port(),
                own.get_first_byte_timeout_ms(), own.get_between_bytes_timeout_ms(), content,
                again.is_dynamic(), failure(shielding.backend_for_shield, url, None),
                shielding.backend_for_shield("http://there.test", None).get_port()])
        """
    )
    assert got == [
        *(name, True, True, "there.test", 8443, 7, 0, "/p"),
        *(True, "GenericError", 80),
    ]
    assert guest.upstream.described[-1] == DynamicBackend(
        name=name,
        facts=BackendFacts(url="https://there.test:8443/base", first_byte_timeout_ms=7),
        use_sni=False,
    )


async def test_time_between_bytes(newest: Scripted) -> None:
    """The newest WIT, `set-between-bytes-timeout`."""

    async def shield(request: Request) -> Response:
        return response(b"")

    newest.upstream.backends["******http://there.test*****"] = shield
    await newest.bytes(
        """
        options = shielding.ShieldBackendOptions()
        options.set_between_bytes_timeout(8)
        own = shielding.backend_for_shield("http://there.test", options)
        http_req.send(http_req.Request.new(), http_body.new(), own)
        """
    )
    assert newest.upstream.described[-1].facts.between_bytes_timeout_ms == 8


@pytest.mark.parametrize("url", ["", "there.test", "/p", "ftp://t", "http://", "http://a:b", "h t"])
async def test_what_is_no_url(guest: Scripted, url: str) -> None:
    """§2.11: `invalid-argument`."""
    got = await guest.json(f"answer(failure(shielding.backend_for_shield, {url!r}, None))")
    assert got == "InvalidArgument"
