"""A guest that runs scripts, on each of the two borders, for all tests of this folder."""

import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from host_sim.sandbox.data import AclEntry, BackendFacts, HostData, KvItem, Shield
from host_sim.sandbox.instance import Sandboxes
from host_sim.sandbox.waiting import Limits
from tests.support.inventory import listed, recorded
from tests.support.sandbox import Scripted, Upstream, build_guest

DATA = HostData(
    backends={
        "origin": BackendFacts(url="https://origin.test:8443/base", override_host="origin.test"),
        "plain": BackendFacts(url="http://plain.test", healthy=True),
        "self": BackendFacts(url="http://127.0.0.1:7676"),
    },
    config_stores={"settings": {"greeting": "grüß", "empty": ""}},
    secret_stores={"keys": {"hmac": b"\x00\xffkey"}},
    acls={
        "block": (
            AclEntry("192.0.2.0/24", "BLOCK"),
            AclEntry("192.0.2.128/25", "ALLOW"),
            AclEntry("2001:db8::/32", "BLOCK"),
        )
    },
    geo={"192.0.2.7": {"city": "Testville"}},
    devices={"probe/1": {"brand": "Probe"}},
    shields={"here": None, "there": Shield("http://there.test/", "https://there.test/")},
    fastly_keys=frozenset({"good-key"}),
    kv_stores={"things": {"old": KvItem(b"x", "first")}},
)


_begun: set[str] = set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Note which tests have begun, those that are skipped included."""
    _begun.add(item.nodeid)
    return (yield)


@pytest.fixture(autouse=True, scope="module")
def _calls(request: pytest.FixtureRequest) -> Iterator[None]:
    """See that a module calls the functions which the inventory says it calls."""
    failed = request.session.testsfailed
    with recorded() as called:
        yield
    items = {item.nodeid for item in request.session.items if item.path == request.path}
    config = request.config
    chosen = (config.option.keyword, config.option.markexpr, "::" in " ".join(config.args))
    if request.session.testsfailed == failed and items <= _begun and not any(chosen):
        name = request.path.stem
        missing = {key for key, module in listed().items() if module == name} - called
        assert not missing, f"functions.txt says that {name} calls {sorted(missing)}"


@pytest_asyncio.fixture(params=["direct", "public"], scope="module", loop_scope="module")
async def guest(request: pytest.FixtureRequest) -> AsyncIterator[Scripted]:
    """Guests, with values crossing the border one way or the other."""
    async with _guests("scripted", request.param) as guests:
        yield guests


@pytest_asyncio.fixture(params=["direct", "public"], scope="module", loop_scope="module")
async def newest(request: pytest.FixtureRequest) -> AsyncIterator[Scripted]:
    """Guests that import what the newest WIT has beyond the SDK's world."""
    async with _guests("newest", request.param) as guests:
        yield guests


@contextlib.asynccontextmanager
async def _guests(name: str, border: str) -> AsyncIterator[Scripted]:
    upstream = Upstream()
    limits = Limits(cpu_s=10.0, request_timeout_s=30.0)
    sandboxes = Sandboxes(
        upstream=upstream, send_dynamic=upstream.send_dynamic, data=DATA, limits=limits
    )
    await sandboxes.load(build_guest(name), border=border)
    yield Scripted(sandboxes, upstream)
    await sandboxes.close()
