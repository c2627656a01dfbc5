"""How guests end, what their clients get, and what they leave behind. Host contract §1, §7, §8."""

import asyncio
import contextlib
import logging
import textwrap
import threading
import time
from collections.abc import AsyncIterator

import pytest

from host_sim.body import Body
from host_sim.errors import BodyError
from host_sim.messages import Failed, HandedOff, Request, Responded, Response
from host_sim.sandbox.data import BackendFacts, HostData
from host_sim.sandbox.instance import Sandboxes
from host_sim.sandbox.surroundings import environment
from host_sim.sandbox.waiting import STOPPING, Limits
from tests.support.sandbox import Scripted, Upstream, build_guest, response
from tests.support.waiting import soon

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize("script", ["pass", "sys.exit()", "raise SystemExit(0)"])
async def test_a_guest_that_ends_well_without_answering(guest: Scripted, script: str) -> None:
    """§1.2, rows 1 and 2: 200 and nothing in it."""
    response = await guest.respond(script)
    assert (response.status, response.body.length, list(response.headers)) == (200, 0, [])


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("raise Err(None)", "handler returned an error"),
        ("sys.exit(3)", "exited with a failure"),
        ("sys.exit('no database')", "exited with a failure: no database"),
        ("raise ValueError('boom')", "trapped: ValueError: boom"),
        ("os.abort()", "trapped: wasm `unreachable`"),
        ("f = lambda n: f(n + 1)\nf(0)", "RecursionError"),
        ("hoard = [bytes(1 << 20) for _ in range(200)]", "ran out of memory"),
        ("bytearray(1 << 30)", "ran out of memory"),
        ("async_io.select([])", "nothing to wait for"),
        ("http_req.await_response(http_body.new())", "a GuestBody cannot be used here"),
        ("http_body.read(async_io.Pollable.new_ready(), 1)", "a Ready cannot be used here"),
    ],
)
async def test_a_guest_that_fails(guest: Scripted, script: str, reason: str) -> None:
    """§1.2, the other rows: 500; the reason is for the log, in one line."""
    failed = await guest.fail(script)
    assert failed.status == 500
    assert reason in failed.reason
    assert "\n" not in failed.reason


async def test_what_a_guest_says_is_logged_in_whole_lines(
    guest: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    """§7: pieces are collected to lines, tracebacks are whole, and lines say whose they are."""
    caplog.set_level(logging.INFO, "host_sim.guest")
    await guest.fail(
        """
        print("a", "b", end=" ")
        print("c")
        sys.stdout.write("no end")
        sys.stdout.flush()
        raise KeyError("k")
        """
    )
    lines = [r.getMessage() for r in caplog.records if r.name == "host_sim.guest"]
    assert lines[0] == "stdout :: a b c"
    assert "stdout :: no end" in lines
    assert "stderr :: Traceback (most recent call last):" in lines
    assert "stderr :: KeyError: 'k'" in lines
    assert {r.__dict__["stream"] for r in caplog.records} == {"stdout", "stderr"}
    assert len({r.__dict__["request_id"] for r in caplog.records}) == 1


async def test_the_answer_does_not_wait_for_the_guests_end(
    guest: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    """§1.1, Answer, and §1.5: the guest goes on in the background; its failure is only logged."""
    caplog.set_level(logging.INFO, "host_sim")
    gate = asyncio.Event()

    async def gated() -> AsyncIterator[bytes]:
        await gate.wait()
        yield b"late"

    assert await guest.bytes(
        "answer(b'early'); print('then', read_all(body)); raise ValueError('after')",
        body=Body(gated(), None),
    ) == b"early"  # fmt: skip
    assert not any("then" in message for message in caplog.messages)
    gate.set()
    await soon(lambda: "the guest trapped: ValueError: after" in caplog.messages)
    assert "stdout :: then b'late'" in caplog.messages


async def test_a_hand_off_passes_what_the_guest_passed(guest: Scripted) -> None:
    """§3.1: a copy of the request at that moment; the backend's name; no answer afterwards."""
    outcome = await guest.run(
        """
        request.insert_header("x-added", b"1")
        request.remove_header("x-script")
        request.set_method("PUT")
        request.redirect_to_grip_proxy(backend.Backend.open("self"))
        request.insert_header("x-late", b"1")
        print(failure(http_resp.send_downstream, http_resp.Response.new(), http_body.new()))
        """,
        target="/stream?x=1",
    )
    assert isinstance(outcome, HandedOff)
    assert (outcome.backend, outcome.to_fanout) == ("self", True)
    assert (outcome.method, outcome.target) == ("PUT", "/stream?x=1")
    assert list(outcome.headers) == [("host", "edge.test"), ("x-added", "1")]


async def test_a_hand_off_to_a_backend_for_websockets(guest: Scripted) -> None:
    """§3: `redirect-to-websocket-proxy`."""
    outcome = await guest.run(
        "request.redirect_to_websocket_proxy(backend.Backend.open('plain')); raise Err(None)"
    )
    assert isinstance(outcome, HandedOff)
    assert (outcome.backend, outcome.to_fanout) == ("plain", False)


async def test_a_hand_off_leaves_the_clients_body_unread(guest: Scripted) -> None:
    """§3.2: the original body goes out again, whatever the guest did with it."""

    async def arriving() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    body = Body(arriving(), None, keep=99)
    outcome = await guest.run(
        "read_all(body); request.redirect_to_grip_proxy(backend.Backend.open('self'))", body=body
    )
    assert isinstance(outcome, HandedOff)
    assert await body.replay().whole(99) == b"onetwo"


async def test_surroundings_are_the_platforms_and_not_the_hosts(
    guest: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """§7: environment, arguments, no files, no input."""
    monkeypatch.setenv("SECRET_OF_THE_HOST", "1")
    got = await guest.json(
        """
        try:
            files = os.listdir("/")
        except OSError as error:
            files = error.errno
        answer([dict(os.environ), sys.argv, files, sys.stdin.read()])
        """
    )
    environment, *rest = got
    trace_id = environment.pop("FASTLY_TRACE_ID")
    assert int(trace_id, 16) >= 0
    assert len(trace_id) == 32
    assert environment == {
        "FASTLY_CACHE_GENERATION": "0",
        "FASTLY_CUSTOMER_ID": "0" * 22,
        "FASTLY_HOSTNAME": "localhost",
        "FASTLY_IS_STAGING": "0",
        "FASTLY_POP": "XXX",
        "FASTLY_REGION": "Somewhere",
        "FASTLY_SERVICE_ID": "0" * 22,
        "FASTLY_SERVICE_VERSION": "0",
    }
    assert rest == [["compute-app"], 44, ""]


async def test_clocks_and_random_numbers_are_real(guest: Scripted) -> None:
    """§7: not those of the build, and others in each sandbox."""
    script = """
        answer([time.time(), time.monotonic() >= 0, os.urandom(16).hex(), random.random(),
                random.Random().random()])
        """
    before = time.time()
    first, second = await guest.json(script), await guest.json(script)
    after = time.time()
    assert before <= first[0] <= second[0] <= after
    assert first[1:2] == second[1:2] == [True]
    assert not set(first[2:]) & set(second[2:])


@pytest.mark.parametrize(
    ("script", "status"),
    [("sys.exit(0)", 200), ("sys.exit(None)", 200), ("sys.exit(1)", 500), ("sys.exit(255)", 500)],
)
async def test_exit_codes(guest: Scripted, script: str, status: int) -> None:
    """§7: a guest can say only whether all went well, which is all its client hears."""
    outcome = await guest.run(f"print('before')\n{script}\nprint('after')")
    if isinstance(outcome, Failed):
        assert (outcome.status, status) == (500, 500)
        assert "exited with a failure" in outcome.reason
    else:
        assert isinstance(outcome, Responded)
        assert outcome.response.status == status


async def test_sandboxes_share_no_memory(guest: Scripted) -> None:
    """§1.1, Instance: a fresh one for each request."""
    script = "types.leak = getattr(types, 'leak', 0) + 1; answer(types.leak)"
    assert [await guest.json(script) for _ in range(3)] == [1, 1, 1]


async def test_many_at_once_get_their_own_answers(guest: Scripted) -> None:
    """Answers, backends and logs of requests that run side by side do not mix."""

    async def backend(request: Request) -> Response:
        await asyncio.sleep(0)
        return response(request.target.encode() + b":" + (await request.body.whole(999) or b""))

    guest.upstream.backends["origin"] = backend

    async def one(number: int) -> None:
        got = await guest.json(
            """
            out = http_req.Request.new()
            out.set_uri("http://origin.test" + request.get_uri(999).partition("edge.test")[2])
            _, back = http_req.send(out, written(read_all(body)), backend.Backend.open("origin"))
            name = request.get_header_value("x-number", 99).decode()
            answer([name, read_all(back).decode(), failure(request.get_uri, 1)])
            """,
            target=f"/{number}",
            headers=(("X-Number", str(number)),),
            body=str(number * 7).encode(),
        )
        size = len(f"http://edge.test/{number}")
        assert got == [str(number), f"/{number}:{number * 7}", ["BufferLen", size]]

    await asyncio.gather(*(one(number) for number in range(64)))


async def test_failures_leave_others_alone(guest: Scripted) -> None:
    """Guests that trap, exit or leave things open do not disturb those beside them."""
    bad = [
        "raise ValueError",
        "sys.exit(1)",
        "keep = [http_body.new() for _ in range(99)]",
        "http_resp.send_downstream_streaming(http_resp.Response.new(), http_body.new())",
        "async_io.select([])",
    ]
    outcomes = await asyncio.gather(
        *(guest.run(bad[i % 5]) if i % 2 else guest.bytes(f"answer(b'{i}')") for i in range(40))
    )
    assert outcomes[::2] == [str(i).encode() for i in range(0, 40, 2)]


@pytest.fixture(params=["direct", "public"])
def border(request: pytest.FixtureRequest) -> str:
    """The way values cross."""
    return str(request.param)


@contextlib.asynccontextmanager
async def limited(border: str, limits: Limits) -> AsyncIterator[Scripted]:
    """Guests with little time."""
    upstream = Upstream()
    data = HostData(backends={"origin": BackendFacts(url="http://origin.test")})
    sandboxes = Sandboxes(upstream=upstream, data=data, limits=limits)
    await sandboxes.load(build_guest(), border=border)
    yield Scripted(sandboxes, upstream)
    await sandboxes.close()


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize("script", ["while True: pass", "while True: http_body.new()"])
async def test_a_guest_that_loops_is_ended(border: str, script: str) -> None:
    """§8, CPU time."""
    async with limited(border, Limits(cpu_s=0.3)) as guest:
        failed = await guest.fail(script)
    assert "does it loop?" in failed.reason


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize(
    "script",
    [
        "read_all(body)",
        "http_req.send(http_req.Request.new(), http_body.new(), origin)",
        """
        pending = http_req.send_async(http_req.Request.new(), http_body.new(), origin)
        async_io.select([pending, body])
        """,
        """
        new = http_body.new()
        pending = http_req.send_async_streaming(http_req.Request.new(), new, origin)
        while True:
            http_body.write(new, b"nobody reads it")
        """,
        """
        new = http_body.new()
        http_req.send_async_streaming(http_req.Request.new(), new, origin)
        http_body.append(new, body)
        """,
    ],
)
async def test_a_guest_that_waits_for_ever_is_ended(border: str, script: str) -> None:
    """§8, wall time: a backend that never answers, or a body that never comes; others go on."""
    never = asyncio.Event()

    async def silent() -> AsyncIterator[bytes]:
        await never.wait()
        yield b""

    async def origin(_request: Request) -> Response:
        await never.wait()
        return response(b"")

    script = "origin = backend.Backend.open('origin')\n" + textwrap.dedent(script)
    async with limited(border, Limits(request_timeout_s=0.5)) as guest:
        guest.upstream.backends["origin"] = origin
        ended = asyncio.create_task(guest.fail(script, body=Body(silent(), None)))
        assert await guest.bytes("answer(b'meanwhile')") == b"meanwhile"
        assert "longer than 0.5 s" in (await ended).reason


@pytest.mark.asyncio(loop_scope="function")
async def test_a_guest_whose_client_does_not_read_is_ended(
    border: str, caplog: pytest.LogCaptureFixture
) -> None:
    """§8, wall time: the client has its head; the stream breaks off behind what was written."""
    async with limited(border, Limits(request_timeout_s=2)) as guest:
        answer = await guest.respond(
            """
            new = http_body.new()
            http_resp.send_downstream_streaming(http_resp.Response.new(), new)
            while True:
                http_body.write(new, b"x")
            """
        )
        await soon(lambda: any("longer than 2 s" in message for message in caplog.messages))
        assert [await answer.body.read() for _ in range(8)] == [b"x"] * 8
        with pytest.raises(BodyError):
            await answer.body.read()


@pytest.mark.asyncio(loop_scope="function")
async def test_a_guest_that_sleeps_does_not_keep_its_client(border: str) -> None:
    """A sleep in WASI cannot be ended, but the client need not wait for it."""
    async with limited(border, Limits(request_timeout_s=0.5)) as guest:
        failed = await guest.fail("time.sleep(2)")
    assert failed.reason == "the guest gave no answer for 0.5 s"


@pytest.mark.asyncio(loop_scope="function")
async def test_waiting_costs_no_cpu_time(border: str) -> None:
    """Blocked guests are not taken for looping ones, nor do they hold others up."""
    gate = asyncio.Event()

    async def gated() -> AsyncIterator[bytes]:
        await gate.wait()
        yield b"x"

    script = "read_all(body); answer(b'x')"
    async with limited(border, Limits(cpu_s=2)) as guest:
        waiting = [
            asyncio.create_task(guest.bytes(script, body=Body(gated(), None))) for _ in range(20)
        ]
        assert await guest.bytes("answer(b'quick')") == b"quick"
        gate.set()
        assert await asyncio.gather(*waiting) == [b"x"] * 20


@pytest.mark.asyncio(loop_scope="function")
async def test_closing_ends_all_guests(border: str) -> None:
    """Blocked in the host or computing, guests end when the simulator does; streams break off."""
    sandboxes = Sandboxes(upstream=Upstream())
    await sandboxes.load(build_guest(), border=border)
    guest = Scripted(sandboxes, Upstream())
    never = asyncio.Event()

    async def silent() -> AsyncIterator[bytes]:
        await never.wait()
        yield b""

    stream = await guest.respond(
        """
        new = http_body.new()
        http_resp.send_downstream_streaming(http_resp.Response.new(), new)
        read_all(body)
        """,
        body=Body(silent(), None),
    )
    loops = asyncio.create_task(guest.run("while True: pass"))
    waits = asyncio.create_task(guest.run("read_all(body)", body=Body(silent(), None)))
    await asyncio.sleep(0)
    await sandboxes.close(grace_s=10)
    for outcome in await asyncio.gather(loops, waits):
        assert outcome == Failed(status=500, reason=STOPPING)
    with pytest.raises(BodyError):
        await stream.body.read()


@pytest.mark.asyncio(loop_scope="function")
async def test_closing_ends_a_guest_that_is_just_starting(
    border: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However late its store is made, it is not left to compute."""
    gate = Gate()

    def gated(sandbox_id: str) -> list[tuple[str, str]]:
        gate.pass_through()
        return environment(sandbox_id)

    monkeypatch.setattr("host_sim.sandbox.guest.environment", gated)
    await end_at(gate, border, "while True: pass")


@pytest.mark.asyncio(loop_scope="function")
async def test_closing_ends_a_guest_while_the_host_works_for_it(border: str) -> None:
    """It does not get to compute once more after the call."""
    gate = Gate()

    def contents() -> dict[str, str]:
        gate.pass_through()
        return {}

    script = """
    config_store.Store.open("gated")
    while True: pass
    """
    await end_at(gate, border, script, HostData(config_stores={"gated": contents}))


@pytest.mark.asyncio(loop_scope="function")
async def test_no_guest_starts_once_the_simulator_closes(border: str) -> None:
    """Neither for requests that come late, nor for those that waited in line meanwhile."""
    sandboxes = Sandboxes(upstream=Upstream())
    await sandboxes.load(build_guest(), border=border)
    guest = Scripted(sandboxes, Upstream())
    assert await guest.bytes("answer(b'x')") == b"x"
    await sandboxes.close()
    assert await guest.fail("answer(b'x')") == Failed(status=500, reason=STOPPING)


class Gate:
    """Holds a guest's thread up at one place."""

    def __init__(self) -> None:
        self.reached, self._opened = threading.Event(), threading.Event()

    def pass_through(self) -> None:
        self.reached.set()
        assert self._opened.wait(60)

    def open(self) -> None:
        self._opened.set()


async def end_at(gate: Gate, border: str, script: str, data: HostData | None = None) -> None:
    """Close while a guest is held up there; see that it ends, long before its own limits end it."""
    limits = Limits(cpu_s=600, request_timeout_s=60)
    sandboxes = Sandboxes(upstream=Upstream(), data=data, limits=limits)
    await sandboxes.load(build_guest(), border=border)
    run = asyncio.create_task(Scripted(sandboxes, Upstream()).run(script))
    assert await asyncio.to_thread(gate.reached.wait, 60)
    closing = asyncio.create_task(sandboxes.close(grace_s=5))
    await asyncio.sleep(0)  # it has been stopped now, and time has passed for who runs
    gate.open()
    assert await run == Failed(status=500, reason=STOPPING)
    await closing


@pytest.mark.asyncio(loop_scope="function")
async def test_a_client_that_goes_before_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    """The guest's answer finds nobody; its stream is closed, so that its writes fail."""
    sandboxes = Sandboxes(upstream=Upstream())
    await sandboxes.load(build_guest())
    guest = Scripted(sandboxes, Upstream())
    gate = asyncio.Event()
    reached = asyncio.Event()

    async def gated() -> AsyncIterator[bytes]:
        reached.set()
        await gate.wait()
        yield b"x"

    run = asyncio.create_task(
        guest.run(
            """
            read_all(body)
            new = http_body.new()
            http_resp.send_downstream_streaming(http_resp.Response.new(), new)
            while True:
                http_body.write(new, b"x")
            """,
            body=Body(gated(), None),
        )
    )
    await reached.wait()
    run.cancel()
    gate.set()
    await soon(
        lambda: any(
            "http-body/write failed with generic-error" in message for message in caplog.messages
        )
    )
    await sandboxes.close()


async def test_requests_are_counted_from_nought_in_hexadecimal(guest: Scripted) -> None:
    """§2.6, §2.10: sandbox id and request id are the number of the request."""
    script = (
        "answer([compute_runtime.get_sandbox_id(),"
        " http_downstream.downstream_client_request_id(request, 32)])"
    )
    first, second = await guest.json(script), await guest.json(script)
    assert first[0] == first[1]
    assert int(second[0], 16) == int(first[0], 16) + 1
