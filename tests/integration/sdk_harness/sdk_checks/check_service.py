"""Checks of a service that was built before, with `ViceroyTestBase`."""

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from urllib.parse import quote

import pytest
from fastly_compute.testing import MockHttpServer, ViceroyTestBase

CONFIG = {
    "local_server": {
        "config_stores": {
            "settings": {"format": "inline-toml", "contents": {"greeting": "grüß"}},
        },
        "log_endpoints": {"checks": {"provider": "https"}},
        "viceroy_version": "0.16.4",
    }
}


class Slow(BaseHTTPRequestHandler):
    """Answers when it is told to: the `together` path when two ask, the rest never."""

    asked = 0
    both = Event()
    over = Event()

    def do_GET(self) -> None:
        if self.path == "/together":
            Slow.asked += 1
            if Slow.asked == 2:
                Slow.both.set()
            Slow.both.wait(30)
        else:
            Slow.over.wait(30)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module", autouse=True)
def slow() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    Slow.over.set()
    server.shutdown()


@pytest.fixture(scope="module", autouse=True)
def origin() -> Iterator[str]:
    server = MockHttpServer(responses={"/teapot": {"status": 418, "body": "short and stout"}})
    with server as url:
        TestService.set_up_backends({"origin": url})
        yield url


class TestService(ViceroyTestBase):
    WASM_FILE = os.environ["SDK_CHECKS_WASM"]
    REQUEST_TIMEOUT = 300  # on a busy machine it may still be compiled
    VICEROY_CONFIG = CONFIG

    def lines(self, text: str) -> list[str]:
        """Return what was printed with `text` in it, which is on its way when a response is."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            found = [line for line in self.server().output_lines if text in line]
            if found:
                return found
            time.sleep(0.01)
        return []

    def test_flask(self) -> None:
        response = self.get("/")
        assert response.status_code == 200
        assert response.json()["host"] == self.server().base_url.removeprefix("http://")
        assert self.get("/nothing").status_code == 404

    def test_bodies_of_all_sizes(self) -> None:
        for size in (0, 1, 4096, 4097, 300_000):
            sent = os.urandom(size)
            headers = {"Content-Type": "application/x-bytes"}
            response = self.post("/echo", data=sent, headers=headers)
            assert (response.status_code, response.content) == (201, sent)
            assert response.headers["content-type"] == "application/x-bytes"

    def test_bottle(self) -> None:
        response = self.get("/bottle/hello/you")
        assert (response.text, response.headers["x-framework"]) == ("hello you", "bottle")
        response = self.post("/bottle/form?a=b", data={"field": "x y"})
        assert response.json() == {"given": "x y", "query": {"a": "b"}}

    def test_config_store(self) -> None:
        assert self.get("/config/settings/greeting").json() == {"value": "grüß", "there": True}
        assert self.get("/config/settings/none").json() == {"value": None, "there": False}
        assert self.get("/config/elsewhere/x").status_code == 404

    def test_log_lines(self) -> None:
        assert self.get("/log?text=abc").text == "logged"
        assert self.lines("first abc") == ["checks :: first abc"]
        assert self.lines("lines abc") == ["checks :: two\\nlines abc"]
        assert self.lines("warned abc") == ["python-logs :: warned abc"]
        assert self.lines("printed abc") == ["printed abc"]

    def test_dynamic_backend(self, origin: str) -> None:
        asked = quote(f"{origin}/path?q=1")
        fetched = self.get(f"/fetch?url={asked}").json()
        assert fetched["status"] == 200
        seen = json.loads(fetched["body"])
        assert seen["path"] == "/path"
        assert seen["args"] == {"q": "1"}
        sent = {name.lower(): value for name, value in seen["headers"].items()}
        assert sent == {
            "x-sent": "yes",
            "content-length": "0",
            "host": origin.removeprefix("http://"),
        }

    def test_static_backend(self) -> None:
        fetched = self.get("/fetch?backend=origin&url=/teapot").json()
        assert (fetched["status"], fetched["body"]) == (418, "short and stout")
        assert self.get("/fetch?backend=none&url=/").json() == {"error": "RequestException"}

    def test_only_the_time_to_the_first_byte_is_limited(self, slow: str, origin: str) -> None:
        asked = self.get(f"/fetch?first_byte=0.2&url={quote(slow)}/never")
        assert asked.status_code == 502
        patient = self.get(f"/fetch?first_byte=30&url={quote(origin)}/")
        assert patient.json()["status"] == 200

    def test_requests_at_the_same_time(self, slow: str) -> None:
        """Neither is answered before both have asked."""
        with ThreadPoolExecutor(2) as threads:
            path = f"/fetch?url={quote(slow)}/together"
            for response in threads.map(self.get, [path, path]):
                assert response.json()["status"] == 200

    def test_many_requests_at_the_same_time(self) -> None:
        with ThreadPoolExecutor(16) as threads:
            names = [f"n{number}" for number in range(64)]
            responses = threads.map(lambda name: self.get(f"/bottle/hello/{name}"), names)
            for name, response in zip(names, responses, strict=True):
                assert response.text == f"hello {name}"

    def test_a_sandbox_is_reused(self) -> None:
        counts = (self.get("/count").json()["served"] for _ in range(200))
        assert any(count > 1 for count in counts), "each had a sandbox of its own"
        assert not [line for line in self.server().output_lines if "WebAssembly trapped" in line]
