"""Host functions called with arbitrary arguments, by a real guest: errors and named traps only.

A Python exception in a host function is in the log as `host function ... failed`; it must never be.
"""

import asyncio
import contextlib
import json
import logging
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host_sim.body import Body
from host_sim.errors import BodyError
from host_sim.messages import Failed, Outcome, Request, Responded, Response
from host_sim.sandbox.data import DynamicBackend
from host_sim.sandbox.instance import Sandboxes
from host_sim.sandbox.waiting import Limits
from tests.integration.sandbox.conftest import DATA
from tests.support.calls import Operation, beginnings, functions, operations, script
from tests.support.sandbox import Scripted, Upstream, build_guest, response

pytestmark = pytest.mark.wasm

EXAMPLES = int(os.environ.get("HOSTCALL_EXAMPLES", "60"))
"""Guests for each border; set the variable for a long run."""

PATIENCE_S = 15
"""How long a guest may take to end: its time, a wait for another request, and its time again."""


async def answer_at_once(request: Request) -> Response:
    """Answer as a backend that does not care what it was sent."""
    await request.body.aclose()
    return response(b"answer", headers=(("X-Two", "1"), ("X-Two", "2")))


async def answer_dynamic(request: Request, _backend: DynamicBackend) -> Response:
    return await answer_at_once(request)


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(3):
        await asyncio.sleep(0)
        yield b"piece of the client's"


class Fuzzed(logging.Handler):
    """Guests that make arbitrary calls, and what became of them.

    Attributes:
        faults: what the host logged about mistakes of its own.
        came: what the calls came to: `key: ok`, `key: error ...`.
        reasons: why guests ended, without their numbers.
    """

    def __init__(self, border: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.came: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self._runner = asyncio.Runner()
        self._runner.run(self._load(border))
        self.operations = operations(self.types)

    async def _load(self, border: str) -> None:
        upstream = Upstream()
        upstream.backends |= dict.fromkeys(("origin", "plain", "self"), answer_at_once)
        self._sandboxes = Sandboxes(
            upstream=upstream,
            send_dynamic=answer_dynamic,
            data=DATA,
            # One that waits for its next request may hold a stream open; see `PATIENCE_S`.
            limits=Limits(cpu_s=10.0, request_timeout_s=5.0, parked_s=2.0),
        )
        loaded = await self._sandboxes.load(build_guest(), border=border)
        self._guest = Scripted(self._sandboxes, upstream)
        self.types = functions(loaded)
        self._beginnings = beginnings(self.types)

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info or "host function" in text or "host failed" in text:
            self.faults.append(text)
        elif text.startswith("stdout :: made: "):
            for key, outcomes in json.loads(text.removeprefix("stdout :: made: ")).items():
                self.came.update(f"{key}: {outcome}" for outcome in outcomes)

    def perform(self, calls: list[Operation]) -> Outcome:
        """Let one guest make the calls and return what the client got; then serve another."""
        return self._runner.run(self._perform(calls))

    def run(self, code: str) -> Outcome:
        """Let a guest run a script of its own."""
        return self.run_until(self._guest.run(code))

    def run_until[Result](self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run something on the event loop, for a few seconds at most."""
        return self._runner.run(asyncio.wait_for(coroutine, PATIENCE_S))

    async def _perform(self, calls: list[Operation]) -> Outcome:
        code = script([*self._beginnings, *calls])
        outcome = await self._guest.run(code, method="POST", body=Body(pieces(), None))
        if isinstance(outcome, Responded):
            with contextlib.suppress(BodyError):  # the guest may have broken off
                await asyncio.wait_for(outcome.response.body.whole(1 << 30), PATIENCE_S)
        await asyncio.wait_for(self._sandboxes._idle.wait(), PATIENCE_S)
        assert await self._guest.bytes("answer(request.get_method(9).encode())") == b"GET"
        await asyncio.wait_for(self._sandboxes._idle.wait(), PATIENCE_S)
        return outcome

    def end(self) -> None:
        self._runner.run(self._sandboxes.close())
        self._runner.close()


@pytest.fixture(scope="module", params=["direct", "public"])
def fuzzed(request: pytest.FixtureRequest) -> Iterator[Fuzzed]:
    fuzzed = Fuzzed(request.param)
    loggers = [
        logging.getLogger(name) for name in ("host_sim.sandbox", "host_sim.guest", "asyncio")
    ]
    for logger in loggers:
        logger.addHandler(fuzzed)
    logging.getLogger("host_sim.guest").setLevel(logging.INFO)
    yield fuzzed
    for logger in loggers:
        logger.removeHandler(fuzzed)
    fuzzed.end()


MISTAKES = re.compile(r"host function|the host failed|Result::unwrap|\w+(Error|Exception)\b")
"""What the reason of a failure never has: words of the host's mistakes, or of the script's."""


@settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)
@given(data=st.data())
def test_arbitrary_calls_end_in_answers_errors_and_named_traps(
    fuzzed: Fuzzed, data: st.DataObject
) -> None:
    fuzzed.faults.clear()
    outcome = fuzzed.perform(data.draw(fuzzed.operations))
    assert not fuzzed.faults
    if isinstance(outcome, Failed):
        assert outcome.status == 500
        assert not MISTAKES.search(outcome.reason), outcome.reason


def test_the_calls_are_made(fuzzed: Fuzzed) -> None:
    """What the strategies say reaches the platform as it was meant."""
    fuzzed.came.clear()
    fuzzed.perform(
        [
            ["http-req/[method]request.set-method", [handle("*", 0), "PUT"], "body"],
            ["http-req/[method]request.get-method", [handle("*", 0), 2], "body"],
            ["async-io/select", [{"list": [handle("ready", 0), handle("body", 1)]}], "body"],
            [
                "http-req/send-async",
                [handle("*", 1, own=True), handle("body", 1, own=True), handle("*", 0)],
                "response",
            ],
            ["http-req/await-response", [handle("response", 0, own=True)], "body"],
            ["http-req/await-response", [handle("response", 0, own=True)], "body"],
            ["kv-store/[method]store.lookup", [handle("*", 0), "old"], "body"],
            ["kv-store/[method]entry.generation", [handle("*", 0)], "body"],
            [
                "http-req/[method]request.set-cache-override",
                [handle("*", 0), {"variant": [2, {"record": [1, None, True, "key", None]}]}],
                "body",
            ],
            ["geo/lookup", [{"variant": [0, {"tuple": [192, 0, 2, 7]}]}, 99], "body"],
            ["secret-store/[method]secret.plaintext", [handle("*", 0), 99], "body"],
            ["drop", [0, 0], ""],
        ]
    )
    assert not fuzzed.faults
    assert fuzzed.came & Counter(
        {
            "http-req/[method]request.set-method: ok": 1,
            "http-req/[method]request.get-method: error Error_BufferLen": 1,
            "async-io/select: ok": 1,
            "http-req/send-async: ok": 1,
            "http-req/await-response: ok": 1,
            "http-req/await-response: left out": 1,
            "kv-store/[method]store.lookup: ok": 1,
            "kv-store/[method]entry.generation: ok": 1,
            "http-req/[method]request.set-cache-override: ok": 1,
            "geo/lookup: ok": 1,
            "secret-store/[method]secret.plaintext: ok": 1,
        }
    )


def test_a_handle_that_is_used_up_is_a_named_trap(fuzzed: Fuzzed) -> None:
    outcome = fuzzed.perform(
        [
            ["http-body/close", [handle("body", 9, own=True)], "body"],
            ["http-body/get-known-length", [handle("dead", 0)], "body"],
        ]
    )
    assert isinstance(outcome, Failed)
    assert "unknown handle index" in outcome.reason


def test_one_pollable_passed_for_another_is_a_named_trap(fuzzed: Fuzzed) -> None:
    outcome = fuzzed.perform([["http-req/await-response", [handle("body", 1, own=True)], "body"]])
    assert outcome == Failed(
        status=500,
        reason="http-req/await-response: argument 1: a GuestBody cannot be used here",
    )


def handle(kind: str, number: int, *, own: bool = False) -> object:
    return {"handle": [kind, number, own]}


@pytest.mark.parametrize(
    "failing",
    [
        "failure(http_resp.send_downstream, http_resp.Response.new(), stream)",  # an error
        "http_req.await_response(stream)",  # a trap
    ],
)
def test_what_a_failed_call_was_given_is_dropped(fuzzed: Fuzzed, failing: str) -> None:
    """The reader of a stream learns that its write end is gone."""
    outcome = fuzzed.run(
        f"""
        stream = written(b"begun")
        http_resp.send_downstream_streaming(http_resp.Response.new(), stream)
        {failing}
        """
    )
    assert isinstance(outcome, Responded)
    with pytest.raises(BodyError, match="the guest ended or dropped the body"):
        fuzzed.run_until(outcome.response.body.whole(99))
