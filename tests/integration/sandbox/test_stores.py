"""What guests look up: stores, lists, records; and the limits of rates. Host contract §2.8."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from host_sim.config.manifest import load_manifest
from host_sim.lookups import host_data
from host_sim.sandbox.data import HostData
from host_sim.sandbox.stores.rates import Rates
from tests.support.hosts import guests
from tests.support.sandbox import Scripted

pytestmark = [pytest.mark.wasm, pytest.mark.asyncio(loop_scope="module")]


async def test_config_stores_and_dictionaries(guest: Scripted) -> None:
    """§2.8, config-store and dictionary: the same data under two names."""
    got = await guest.json(
        """
        trace = []
        for opened, get in ((config_store.Store, "get"), (dictionary.Dictionary, "lookup")):
            store = opened.open("settings")
            look = getattr(store, get)
            trace.append([look("greeting", 6), look("empty", 0), look("none", 9),
                          failure(look, "greeting", 5), failure(opened.open, "other")])
        answer(trace)
        """
    )
    assert got == [["grüß", "", None, ["BufferLen", 6], "NOT_FOUND"]] * 2


async def test_secret_stores(guest: Scripted) -> None:
    """§2.8, secret-store: unknown store, unknown secret; too small a buffer is `buffer-len(0)`."""
    got = await guest.json(
        """
        store = secret_store.Store.open("keys")
        secret = store.get("hmac")
        own = secret_store.Secret.from_bytes(b"mine")
        answer([secret.plaintext(5).hex(), failure(secret.plaintext, 4), store.get("none"),
                own.plaintext(9).decode(), failure(own.plaintext, 3),
                secret_store.Secret.from_bytes(b"").plaintext(0).decode(),
                failure(secret_store.Store.open, "other")])
        """
    )
    assert got == [
        *(b"\x00\xffkey".hex(), ["BufferLen", 0], None, "mine", ["BufferLen", 0], ""),
        "NOT_FOUND",
    ]


async def test_access_control_lists(guest: Scripted) -> None:
    """§2.8, acl: the longest match, as JSON in a body."""
    got = await guest.json(
        """
        blocked = acl.Acl.open("block")
        found = []
        four, six = types.IpAddress_Ipv4, types.IpAddress_Ipv6
        for address in (four((192, 0, 2, 1)), four((192, 0, 2, 200)),
                        six((0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), four((198, 51, 100, 1)),
                        six((0, 0, 0, 0, 0, 0xffff, 0xc000, 0x201))):
            body = blocked.lookup(address)
            found.append(body and json.loads(read_all(body)))
        answer([found, failure(acl.Acl.open, "other")])
        """
    )
    assert got == [
        [
            {"prefix": "192.0.2.0/24", "action": "BLOCK"},
            {"prefix": "192.0.2.128/25", "action": "ALLOW"},
            {"prefix": "2001:db8::/32", "action": "BLOCK"},
            None,
            None,  # an IPv4 address in IPv6 clothes is none
        ],
        "NOT_FOUND",
    ]


async def test_places_and_devices(guest: Scripted) -> None:
    """§2.8, geo and device-detection: known, loopback and unknown ones; too long."""
    got = await guest.json(
        """
        four, six = types.IpAddress_Ipv4, types.IpAddress_Ipv6
        answer([
            geo.lookup(four((192, 0, 2, 7)), 99),
            json.loads(geo.lookup(four((127, 0, 0, 1)), 9999))["country_code"],
            json.loads(geo.lookup(six((0, 0, 0, 0, 0, 0, 0, 1)), 9999))["as_number"],
            geo.lookup(four((8, 8, 8, 8)), 99),
            failure(geo.lookup, four((192, 0, 2, 7)), 3),
            device_detection.lookup("probe/1", 99),
            device_detection.lookup("other", 99),
            failure(device_detection.lookup, "probe/1", 3),
        ])
        """
    )
    assert got == [
        '{"city":"Testville"}',
        "US",
        54113,
        "",
        ["BufferLen", 0],
        '{"brand":"Probe"}',
        None,
        ["BufferLen", 17],
    ]


FILES = {
    "config.json": {"k": "one"},
    "acl.json": {
        "entries": [
            {"op": "create", "prefix": "192.0.2.7/24", "action": "block"},
            {"op": "create", "prefix": "192.0.2.0/24", "action": "Allow"},
            {"op": "update", "prefix": "203.0.113.0/24", "action": "WATCH"},
        ]
    },
    "geo.json": {"2001:0DB8::1": {"city": "Zürich"}},
    "devices.json": {"probe": {"device": {"brand": "Probe"}}},
}

MANIFEST = """
[local_server.config_stores.s]
format = "json"
file = "{folder}/config.json"
[local_server.acls]
list = "{folder}/acl.json"
[local_server.geolocation]
use_default_loopback = false
format = "json"
file = "{folder}/geo.json"
[local_server.device_detection]
format = "json"
file = "{folder}/devices.json"
[[local_server.secret_stores.keys]]
key = "k"
data = "secret"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_text(json.dumps(content))
    return tmp_path


@pytest.fixture
def data(folder: Path) -> HostData:
    """What a manifest with files of its own gives to look up."""
    path = folder / "fastly.toml"
    path.write_text(MANIFEST.format(folder=folder))
    return host_data(load_manifest(path))


@pytest.fixture(params=["direct", "public"])
async def own(request: pytest.FixtureRequest, data: HostData) -> AsyncIterator[Scripted]:
    async with guests(request.param, data=data) as scripted:
        yield scripted


@pytest.mark.asyncio(loop_scope="function")
async def test_a_config_store_in_a_file_is_read_again_at_each_open(
    own: Scripted, folder: Path
) -> None:
    """§2.8, config-store: re-read at every open, `generic-error` when unreadable."""
    script = """
    trace = []
    for opened, get in ((config_store.Store, "get"), (dictionary.Dictionary, "lookup")):
        trace.append(failure(opened.open, "s") or getattr(opened.open("s"), get)("k", 99))
    answer(trace)
    """
    assert await own.json(script) == ["one", "one"]
    (folder / "config.json").write_text('{"k": "two"}')
    assert await own.json(script) == ["two", "two"]
    for broken in ("no JSON", '{"k": 1}', "[]", json.dumps({"k": "v" * 8001})):
        (folder / "config.json").write_text(broken)
        assert await own.json(script) == ["GENERIC_ERROR"] * 2
    (folder / "config.json").unlink()
    assert await own.json(script) == ["GENERIC_ERROR"] * 2


@pytest.mark.asyncio(loop_scope="function")
async def test_an_open_store_stays_as_it_was(own: Scripted, folder: Path) -> None:
    """§2.8: what is read is read at `open`."""
    got = await own.json(
        """
        store = config_store.Store.open("s")
        answer([store.get("k", 9), secret_store.Store.open("keys").get("k").plaintext(9).decode()])
        """
    )
    assert got == ["one", "secret"]


@pytest.mark.asyncio(loop_scope="function")
async def test_loopback_addresses_are_nowhere_if_the_manifest_says_so(own: Scripted) -> None:
    """§4.3: `use_default_loopback = false`; other addresses keep their records."""
    got = await own.json(
        """
        four, six = types.IpAddress_Ipv4, types.IpAddress_Ipv6
        answer([geo.lookup(four((127, 0, 0, 1)), 9999),
                geo.lookup(six((0, 0, 0, 0, 0, 0, 0, 1)), 9999),
                geo.lookup(six((0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 99),
                device_detection.lookup("probe", 99)])
        """
    )
    assert got == [
        *("", ""),
        *('{"city":"Zürich"}', '{"device":{"brand":"Probe"}}'),
    ]


@pytest.mark.asyncio(loop_scope="function")
async def test_lists_of_a_manifest(own: Scripted) -> None:
    """§2.8, acl: of two equals the later entry, laid out as by the platform."""
    got = await own.json(
        """
        found = acl.Acl.open("list")
        four = types.IpAddress_Ipv4
        answer([read_all(found.lookup(four((192, 0, 2, 1)))).decode(),
                json.loads(read_all(found.lookup(four((203, 0, 113, 9)))))])
        """
    )
    assert got == [
        '{\n  "prefix": "192.0.2.0/24",\n  "action": "ALLOW"\n}',
        {"prefix": "203.0.113.0/24", "action": "WATCH"},
    ]


async def test_rate_limiting_counts(guest: Scripted) -> None:
    """§2.8, erl: better than stubs. Counts, rates and penalties, the same in every sandbox."""
    first = """
    counter, box = erl.RateCounter.open("c"), erl.PenaltyBox.open("p")
    counter.increment("e", 50)
    answer([counter.get_name(), box.get_name(), box.has("e")])
    """
    second = """
    counter, box = erl.RateCounter.open("c"), erl.PenaltyBox.open("p")
    trace = [counter.lookup_count("e", 60), counter.lookup_rate("e", 60), box.has("e")]
    trace += [counter.check_rate("e", 10, 60, 1, box, 60), box.has("e")]
    trace += [counter.check_rate("e", 1, 60, 1, box, 60), box.has("e")]
    trace += [counter.check_rate("e", 0, 60, 1000, box, 60), counter.lookup_count("e", 60)]
    box.add("other", 60)
    trace += [box.has("other"), erl.PenaltyBox.open("q").has("other")]
    answer(trace + [erl.RateCounter.open("d").lookup_count("e", 60)])
    """
    guest.sandboxes._rates = Rates(lambda: 1000.0)
    assert await guest.json(first) == ["c", "p", False]
    assert await guest.json(second) == [
        *(50, 0, False),
        *(False, False),  # 60 in 60 s is one a second, which is not above the limit
        *(True, True),
        *(True, 61),  # who is in the box is refused, whatever the rate is
        *(True, False),
        0,
    ]


async def test_what_is_counted_is_forgotten_in_time(guest: Scripted) -> None:
    """§2.8, erl: on a clock that the test turns."""
    clock = [1000.0]
    guest.sandboxes._rates = Rates(lambda: clock[0])
    script = """
    counter, box = erl.RateCounter.open("c"), erl.PenaltyBox.open("p")
    answer([[counter.lookup_count("e", s) for s in (0, 1, 10, 60, 4000)],
            [counter.lookup_rate("e", s) for s in (0, 1, 10, 60)], box.has("e"), box.has("f")])
    """
    await guest.bytes(
        """
        erl.RateCounter.open("c").increment("e", 120)
        erl.PenaltyBox.open("p").add("e", 119)
        erl.PenaltyBox.open("p").add("f", 2 ** 32 - 1)
        """
    )
    assert await guest.json(script) == [[120] * 5, [120, 120, 12, 2], True, True]
    clock[0] += 1
    assert await guest.json(script) == [[0, 0, 120, 120, 120], [0, 0, 12, 2], True, True]
    clock[0] += 58
    assert await guest.json(script) == [[0, 0, 0, 120, 120], [0, 0, 0, 2], True, True]
    clock[0] += 1  # one minute, which 119 s are cut down to
    assert await guest.json(script) == [[0] * 5, [0] * 4, False, True]
    clock[0] += 3539
    assert (await guest.json(script))[3] is True
    clock[0] += 1
    assert (await guest.json(script))[3] is False


async def test_names_of_counters_and_boxes(guest: Scripted) -> None:
    """§2.8, erl; the WIT says `name-too-long` above 1024 bytes."""
    got = await guest.json(
        """
        answer([failure(kind.open, "é" * n)
                for kind in (erl.RateCounter, erl.PenaltyBox) for n in (512, 513)])
        """
    )
    assert got == [None, "NAME_TOO_LONG"] * 2
