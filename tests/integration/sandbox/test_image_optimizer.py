"""The image optimizer, which is refused. Host contract §2.11."""

import pytest

from tests.support.sandbox import Scripted

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize("body", ["None", "written(b'x')"])
async def test_it_is_unsupported(guest: Scripted, body: str) -> None:
    """§2.11; the handles that are given away are used up, those that are lent are not."""
    got = await guest.json(
        f"""
        io, own = image_optimizer, http_req.Request.new()
        options = io.ImageOptimizerTransformOptions("region=eu", None)
        origin = backend.Backend.open("origin")
        answer([failure(io.transform_image_optimizer_request, own, {body}, origin, options),
                own.get_method(9), origin.get_name()])
        """
    )
    assert got == ["Unsupported", "GET", "origin"]


async def test_it_is_unsupported_by_its_newest_name(newest: Scripted) -> None:
    """The newest WIT, `send-to-image-optimizer`."""
    got = await newest.json(
        """
        io = image_optimizer
        options = io.ImageOptimizerTransformOptions(None, None)
        answer([failure(io.send_to_image_optimizer, http_req.Request.new(), body,
                        backend.Backend.open("origin"), options)
                for body in (None, http_body.new())])
        """
    )
    assert got == ["Unsupported"] * 2
