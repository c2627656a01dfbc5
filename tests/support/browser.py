"""A real browser of one test: Chromium without a window, driven by chromedriver (W3C WebDriver)."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from tests.support.waiting import PATIENCE_S, soon

__all__ = ["Page", "browsing", "missing"]

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--proxy-server=direct://",
]


def missing() -> bool:
    """Tell whether there is no Chromium here, or no chromedriver."""
    return shutil.which("chromium") is None or shutil.which("chromedriver") is None


class Page:
    """The one page of a browser."""

    def __init__(self, session: httpx.AsyncClient) -> None:
        self._session = session

    async def open(self, url: str) -> None:
        """Go to `url` and wait until it is loaded."""
        await self._command("url", {"url": url})

    async def run(self, script: str) -> Any:
        """Return what the body of a function returns in the page; promises are waited for."""
        return await self._command("execute/sync", {"script": script, "args": []})

    async def until(self, script: str, wanted: object) -> None:
        """Wait until the body of a function returns `wanted` in the page."""
        seen = None
        try:
            async with asyncio.timeout(3 * PATIENCE_S):
                while (seen := await self.run(script)) != wanted:  # noqa: ASYNC110  the page is asked
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"expected {wanted!r}, got {seen!r} from: {script}") from None

    async def _command(self, path: str, parameters: dict[str, object]) -> Any:
        response = await self._session.post(path, json=parameters)
        value = response.json()["value"]
        assert response.status_code == 200, value
        return value


@contextlib.asynccontextmanager
async def browsing() -> AsyncIterator[Page]:
    """Run a browser with a fresh profile."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "chromedriver.log"
        with log.open("wb") as output:
            driver = await asyncio.create_subprocess_exec(
                "chromedriver", "--port=0", stdout=output, stderr=output, start_new_session=True
            )
        try:
            async with _session(await _port(driver, log), f"{folder}/profile") as session:
                yield Page(session)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(driver.pid, signal.SIGKILL)  # the browser, too
            await driver.wait()


async def _port(driver: asyncio.subprocess.Process, log: Path) -> int:
    """Wait until chromedriver says where it listens."""

    def started() -> re.Match[str] | None:
        assert driver.returncode is None, log.read_text()
        return re.search(r"successfully on port (\d+)", log.read_text())

    await soon(started)
    match = started()
    assert match is not None
    return int(match[1])


@contextlib.asynccontextmanager
async def _session(port: int, profile: str) -> AsyncIterator[httpx.AsyncClient]:
    options = {"args": [*ARGUMENTS, f"--user-data-dir={profile}"]}
    wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", timeout=6 * PATIENCE_S, trust_env=False
    ) as driver:
        response = await driver.post("/session", content=json.dumps(wanted))
        assert response.status_code == 200, response.text
        identifier = response.json()["value"]["sessionId"]
        driver.base_url = httpx.URL(f"http://127.0.0.1:{port}/session/{identifier}/")
        try:
            yield driver
        finally:
            await driver.delete("")
