"""A site for each module of tests, once behind our proxy and once behind a real Pushpin."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.sites import PROXIES, Site, site_of


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=PROXIES)
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """What the `serve` of the module serves, behind a proxy."""
    async with site_of(request.module.serve, request.param) as site:
        yield site
