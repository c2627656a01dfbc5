"""The web application firewall. Host contract §2.11."""

import pytest

from tests.support.sandbox import Scripted

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]

VERDICT = '{"waf_response":200,"redirect_url":"","tags":[],"verdict":"allow","decision_ms":0}'


async def test_every_request_is_allowed(guest: Scripted) -> None:
    """§2.11, security `inspect`: fixed JSON; request and body stay usable."""
    got = await guest.json(
        """
        options = security.InspectOptions("c", "w", types.IpAddress_Ipv4((192, 0, 2, 1)), None)
        answer([security.inspect(request, body, options, 999),
                failure(security.inspect, request, body, options, 9),
                request.get_method(9), read_all(body).decode()])
        """,
        body=b"content",
    )
    assert got == [VERDICT, ["BufferLen", len(VERDICT)], "GET", "content"]


@pytest.mark.parametrize(
    ("corp", "workspace"), [(None, "w"), ("c", None), ("", "w"), ("c", ""), (None, None)]
)
async def test_who_asks_says_for_whom(
    guest: Scripted, corp: str | None, workspace: str | None
) -> None:
    """§2.11: corp and workspace both non-empty, else `invalid-argument`."""
    got = await guest.json(
        f"""
        options = security.InspectOptions({corp!r}, {workspace!r}, None, None)
        answer(failure(security.inspect, http_req.Request.new(), http_body.new(), options, 999))
        """
    )
    assert got == "InvalidArgument"
