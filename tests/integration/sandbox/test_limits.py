"""What a sandbox may use, row by row. Host contract §8.

Enforced are memory, CPU time, wall time and what `test_reuse.py` has; the rest of what production
limits is told in the log, once, and changes nothing else.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from host_sim.messages import Request, Response
from host_sim.sandbox import production
from host_sim.sandbox.data import BackendFacts, HostData
from host_sim.sandbox.instance import Sandboxes
from host_sim.sandbox.waiting import Limits
from tests.support.sandbox import Scripted, Upstream, build_guest, response
from tests.support.waiting import soon

pytestmark = pytest.mark.wasm

DATA = HostData(
    backends={"origin": BackendFacts(url="http://origin.test")},
    config_stores={"settings": {"a": "1"}},
)


@pytest.fixture(params=["direct", "public"])
async def guest(request: pytest.FixtureRequest) -> AsyncIterator[Scripted]:
    """Guests that nobody has told anything yet."""
    upstream = Upstream()

    async def origin(_request: Request) -> Response:
        return response(b"hi")

    upstream.backends |= {"origin": origin, "mine": origin}
    sandboxes = Sandboxes(upstream=upstream, send_dynamic=upstream.send_dynamic, data=DATA)
    await sandboxes.load(build_guest(), border=request.param)
    yield Scripted(sandboxes, upstream)
    await sandboxes.close()


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What production would not allow, as far as it was told."""
    caplog.set_level(logging.INFO, "host_sim.sandbox")
    return caplog


def told(warnings: pytest.LogCaptureFixture, *texts: str) -> list[str]:
    """Return the messages that have all of these texts in them."""
    return [message for message in warnings.messages if all(text in message for text in texts)]


# Enforced.


async def test_heap(guest: Scripted) -> None:
    """Row `heap`: 128 MiB, of which the interpreter needs some; then `MemoryError`."""
    got = await guest.json(
        """
        hoard = []
        try:
            while True:
                hoard.append(bytes(1 << 20))
        except MemoryError:
            size = len(hoard)
            hoard.clear()
        answer(size)
        """
    )
    assert 90 <= got < 128


async def test_heap_is_one_sandboxs_own(guest: Scripted) -> None:
    """Row `heap`: what one holds is not missing for others."""
    script = "hoard = bytes(80 << 20); answer(len(hoard))"
    assert await asyncio.gather(*(guest.json(script) for _ in range(3))) == [80 << 20] * 3


async def test_heap_too_small_to_start() -> None:
    """§1.2, instantiation fails: 500, and the next one is tried."""
    sandboxes = Sandboxes(upstream=Upstream(), limits=Limits(memory_bytes=1 << 20))
    await sandboxes.load(build_guest())
    guest = Scripted(sandboxes, Upstream())
    for _ in range(2):
        failed = await guest.fail("answer(1)")
        assert failed.status == 500
        assert "memory" in failed.reason
    await sandboxes.close()


async def test_stack(guest: Scripted) -> None:
    """Row `stack`: a guest that overflows it fails alone, wherever the overflow is found."""
    for script in ("f = lambda: f()\nf()", "x = []\nfor _ in range(10**5): x = [x]\nrepr(x)"):
        failed = await guest.fail(script)
        assert failed.status == 500
    assert await guest.json("answer(1)") == 1


# Told.

SEND = "http_req.send(http_req.Request.new(), http_body.new(), backend.Backend.open('origin'))"
DYNAMIC = """
options = backend.DynamicBackendOptions()
mine = backend.register_dynamic_backend("mine", "mine.test", options)
"""
LOOKUP = "store.get('a', 9)"


@pytest.mark.parametrize(
    ("prepare", "step", "what"),
    [
        ("", SEND, "requests to backends"),
        (DYNAMIC, SEND.replace("backend.Backend.open('origin')", "mine"), "requests to backends"),
        (
            "store = config_store.Store.open('settings')",
            LOOKUP,
            "lookups in config stores",
        ),
        (
            "store = dictionary.Dictionary.open('settings')",
            LOOKUP.replace("get", "lookup"),
            "lookups in config stores",
        ),
    ],
)
async def test_counts(
    guest: Scripted, warnings: pytest.LogCaptureFixture, prepare: str, step: str, what: str
) -> None:
    """Rows `backend requests` and `config-store lookups`: 32 for one request."""
    script = f"{prepare}\nfor _ in range({{}}): {step}\nanswer(1)"
    assert await guest.json(script.format(32)) == 1
    assert await guest.json(script.format(32)) == 1
    assert told(warnings, what) == []
    for _ in range(2):
        assert await guest.json(script.format(40)) == 1
    [message] = told(warnings, what)
    assert message.startswith(f"more than 32 {what} for one request; production allows no more")


async def test_counts_begin_anew_with_each_request(
    guest: Scripted, warnings: pytest.LogCaptureFixture
) -> None:
    """Rows `backend requests`, `reuse`: a sandbox that is used again may do it all again."""
    script = f"""
        for _ in range(20): {SEND}
        answer(1)
        pending = http_downstream.next_request(http_downstream.NextRequestOptions(5000, None))
        http_downstream.await_request(pending)
        for _ in range(20): {SEND}
        answer(2)
        """
    assert await guest.json(script) == 1
    await soon(lambda: guest.sandboxes.parked == 1)
    assert await guest.json("") == 2
    assert told(warnings, "requests to backends") == []


async def test_cpu_time(guest: Scripted, warnings: pytest.LogCaptureFixture) -> None:
    """Row `CPU time`: 50 ms, told once and not as a warning, because machines differ."""
    for _ in range(2):
        assert await guest.json("while compute_runtime.get_vcpu_ms() < 60: pass\nanswer(1)") == 1
    await soon(lambda: told(warnings, "the guest computed for", "production allows 50 ms"))
    assert [r.levelname for r in warnings.records if "computed for" in r.message] == ["INFO"]


@pytest.mark.parametrize("size", [8192, 8193])
async def test_url(guest: Scripted, warnings: pytest.LogCaptureFixture, size: int) -> None:
    """Row `URL, method`: of the client and towards backends."""
    target = "/".ljust(size - len("http://edge.test"), "x")
    url = "http://origin.test/".ljust(size + len("http://"), "x")
    script = f"""
        out = http_req.Request.new()
        out.set_uri("{url}")
        out.set_method("M" * {size})
        http_req.send(out, http_body.new(), backend.Backend.open("origin"))
        answer(1)
        """
    for _ in range(2):
        assert await guest.json(script, target=target, method="N" * size) == 1
    bytes_ = f"{size} bytes; production takes 8192"
    expected = 0 if size == 8192 else 1
    for what in ("the client's request", "a request to a backend"):
        assert len(told(warnings, f"{what} has a URL of {bytes_}")) == expected
        assert len(told(warnings, f"{what} has a method of {bytes_}")) == expected


async def test_headers(guest: Scripted, warnings: pytest.LogCaptureFixture) -> None:
    """Row `headers`: 69 KB each way; what comes in is limited by the HTTP server and client."""
    script = """
        out = http_req.Request.new()
        out.append_header("x", b"v" * {size})
        http_req.send(out, http_body.new(), backend.Backend.open("origin"))
        answer(1, headers=[("y", "v" * {size})])
        """
    assert await guest.json(script.format(size=60_000)) == 1
    assert told(warnings, "header fields") == []
    for _ in range(2):
        assert await guest.json(script.format(size=70_000)) == 1
    assert len(told(warnings, "a request to a backend has 70")) == 1
    assert len(told(warnings, "the answer to the client has 70", "takes 69000")) == 1


async def test_package(warnings: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row `package`: told at the start."""
    monkeypatch.setattr(production, "MAX_PACKAGE_BYTES", 1_000_000)
    sandboxes = Sandboxes(upstream=Upstream())
    await sandboxes.load(build_guest())
    await sandboxes.close()
    assert len(told(warnings, "production takes packages up to 100 MB")) == 1


async def test_ordinary_guests_are_told_nothing(
    guest: Scripted, warnings: pytest.LogCaptureFixture
) -> None:
    """No warning without a reason."""
    assert await guest.json("answer(1)") == 1
    assert told(warnings, "production", "has") == []
