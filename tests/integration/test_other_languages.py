"""Services in JavaScript and Rust, with the vendor's SDKs: the same here and on Viceroy.

Skipped where their toolchains are not installed, see `tests.support.toolchains`.
"""

import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.support import toolchains
from tests.viceroy.case import Ask, Case
from tests.viceroy.compare import places
from tests.viceroy.runtimes import Answer, Runtime, ours, viceroy

pytestmark = [pytest.mark.wasm, pytest.mark.slow]

BUILDS = {"javascript": toolchains.build_javascript, "rust": toolchains.build_rust}
MAKERS = {"here": ours, "viceroy": viceroy}


class Served(NamedTuple):
    """A service that runs."""

    language: str
    runtime: Runtime

    def ask(self, path: str, **request: object) -> Answer:
        """Ask it once."""
        asked = Ask(script="", target=path, **request)  # type: ignore[arg-type]
        (answer,) = self.runtime.run(Case(name=path, section="", asks=(asked,)))
        return answer


@pytest.fixture(
    scope="module",
    params=[f"{language}-{host}" for language in BUILDS for host in MAKERS],
)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    language, _, host = request.param.partition("-")
    lacking = toolchains.missing(language)
    if lacking is not None:
        pytest.skip(lacking)
    wasm = BUILDS[language]()
    folder = tmp_path_factory.mktemp(f"{language}-{host}")
    with places(folder) as at:
        runtime = MAKERS[host](wasm, at.manifest, at.proxy_port)
        with runtime.open(folder):
            yield Served(language, runtime)


def test_answers(served: Served) -> None:
    answer = served.ask("/answer", method="PUT", headers=(("X-Asked", "this"),))
    assert (answer.status, answer.body, answer.truncated) == (201, "PUT this\n", False)
    fields = sorted(field for field in answer.headers if field[0].startswith("x-"))
    # the SDK for JavaScript joins them
    two = {"javascript": [("x-two", "a, b")], "rust": [("x-two", "a"), ("x-two", "b")]}
    assert fields == [("x-one", "1"), *two[served.language]]


@pytest.mark.parametrize("chunks", [(), (b"one ", b"two")])
def test_bodies_come_back(served: Served, chunks: tuple[bytes, ...]) -> None:
    body = b"" if chunks else b"content \xff" * 20_000
    answer = served.ask("/echo", method="POST", body=body, chunks=chunks)
    assert answer.status == 200
    assert answer.body.encode("latin-1") == (b"".join(chunks) or body)
    assert ("content-type", "text/plain") in answer.headers


def test_backends_are_asked(served: Served) -> None:
    answer = served.ask("/fetch")
    assert answer.body == "200 POST /echo?a=b HTTP/1.1 sent\n"


def test_config_stores_are_read(served: Served) -> None:
    answer = served.ask("/config")
    assert answer.body.encode("latin-1").decode() == "grüß null\n"


def test_kv_stores_keep_values(served: Served) -> None:
    assert served.ask("/kv").body == "value null\n"


def test_streams_end_well(served: Served) -> None:
    answer = served.ask("/stream")
    assert (answer.body, answer.truncated) == ("one two three\n", False)
    assert ("transfer-encoding", "chunked") in answer.headers


def test_endpoints_are_logged_to(served: Served) -> None:
    answer = served.ask("/log", lines=1)
    assert (answer.body, answer.log) == ("logged\n", ("mine :: a line",))


def test_clients_are_handed_off(served: Served) -> None:
    answer = served.ask("/fanout?x", method="POST", body=b"the client's")
    received = json.loads(answer.body)
    assert received["line"] == "POST /fanout?x HTTP/1.1"
    assert received["body"] == "the client's"
    assert ["pushpin-route", "origin"] in received["fields"]
