"""Waiting for a condition instead of for a time."""

import asyncio
from collections.abc import Callable

__all__ = ["PATIENCE_S", "soon"]

PATIENCE_S = 60.0
"""How long anything that is expected may take; only reached by a failing test."""


async def soon(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  what is waited for has no event of its own
            await asyncio.sleep(0.001)
