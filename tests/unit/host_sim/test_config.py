"""`fastly.toml` as Viceroy reads it (compute-host §4)."""

import json
import re
from pathlib import Path

import pytest

from host_sim.config import (
    AclEntry,
    Backend,
    Geolocation,
    Health,
    KvItem,
    Manifest,
    ShieldingSite,
    load_manifest,
)
from host_sim.errors import ConfigError
from tests.support.certificates import Authority

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Load":
    monkeypatch.chdir(tmp_path)
    return Load(tmp_path)


class Load:
    """Writes files into the working directory and loads manifests from elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.project.mkdir()

    def write(self, name: str, content: object) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        (self.folder / name).write_text(text)

    def __call__(self, text: str) -> Manifest:
        path = self.project / "fastly.toml"
        path.write_text(text)
        return load_manifest(path)

    def refused(self, text: str) -> str:
        with pytest.raises(ConfigError) as caught:
            self(text)
        return str(caught.value)

    def backend(self, body: str) -> Backend:
        return self(f"[local_server.backends.b]\n{body}").backends["b"]

    def bad_backend(self, body: str) -> str:
        message = self.refused(f"[local_server.backends.b]\n{body}")
        prefix = "invalid configuration for 'b': "
        assert message.startswith(prefix)
        return message.removeprefix(prefix)


# The file.


@pytest.mark.parametrize(
    "text",
    [
        "",
        "manifest_version = 1",
        "[local_server]",
        '[setup.backends.x]\nport = "any"',
        "[local_server.pushpin]\nenable = true\n[local_server.log_endpoints.x]\ny = 1",
        '[local_server]\nviceroy_version = "0.1"\n[other]\nx = 1',
    ],
)
def test_everything_is_optional_and_the_unknown_ignored(load: Load, text: str) -> None:
    """§4: so that what is meant for the CLI or for later does not disturb."""
    assert load(text) == Manifest()


def test_name_and_service_id(load: Load) -> None:
    manifest = load('name = "x"\nservice_id = "abc"\nmanifest_version = 3')
    assert (manifest.name, manifest.service_id) == ("x", "abc")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = ", "error parsing `fastly.toml`: "),
        ("name = 1", "error parsing `fastly.toml`: expected a string for 'name'"),
        ('manifest_version = "3"', "error parsing `fastly.toml`: expected an integer for"),
        ("manifest_version = true", "error parsing `fastly.toml`: expected an integer for"),
        ("manifest_version = 4", "unsupported manifest version 4; max supported version is 3"),
        ("manifest_version = -1", "error parsing `fastly.toml`: expected an integer of 0 or more"),
        ("manifest_version = 3.0", "error parsing `fastly.toml`: expected an integer for"),
        ("description = 1", "error parsing `fastly.toml`: expected a string for 'description'"),
        ("language = []", "error parsing `fastly.toml`: expected a string for 'language'"),
        ('authors = "me"', "error parsing `fastly.toml`: expected an array of strings for 'author"),
        ("authors = [1]", "error parsing `fastly.toml`: expected an array of strings for 'author"),
        ("local_server = 1", "error parsing `fastly.toml`: expected a table for 'local_server'"),
        *(
            (
                f"[local_server]\n{key} = 1",
                f"error parsing `fastly.toml`: expected a table for '{key}",
            )
            for key in (
                *("backends", "config_stores", "dictionaries", "kv_stores", "object_stores"),
                *("object_store", "secret_stores", "geolocation", "device_detection", "acls"),
                "shielding_sites",
            )
        ),
        (
            "[local_server]\nconfig_stores = {}\ndictionaries = {}",
            "error parsing `fastly.toml`: 'dictionaries' and 'config_stores' are two names of one",
        ),
        (
            "[local_server]\nkv_stores = {}\nobject_store = {}",
            "error parsing `fastly.toml`: 'object_store' and 'kv_stores' are two names of one",
        ),
        (
            '[local_server]\nfake_valid_fastly_keys = "k"',
            "error parsing `fastly.toml`: expected an array of strings for 'fake_valid",
        ),
    ],
)
def test_a_bad_file_is_refused(load: Load, text: str, message: str) -> None:
    """§4, parsing order."""
    assert load.refused(text).startswith(message)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^error reading '.*none.toml': No such file"):
        load_manifest(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"^error reading '.*bytes.toml': 'utf-8' codec"):
        load_manifest(tmp_path / "bytes.toml")


def test_what_only_the_cli_reads_may_be_anything(load: Load) -> None:
    """§4.4"""
    manifest = load(
        'service_id = 1\nprofile = []\ncloned_from = 2\n[scripts]\nbuild = 3\nenv_vars = "x"\n'
        '[setup]\nbackends = 1\n[setup.products.fanout]\nenable = "yes"\n'
        "[local_server]\nviceroy_version = 1\n[local_server.pushpin]\nproxy_port = true\n"
        '[local_server.websockets_passthrough]\nenable = "no"'
    )
    assert manifest == Manifest()


def test_a_mark_of_the_byte_order_is_no_part_of_the_file(load: Load) -> None:
    assert load("\ufeffname = 'x'").name == "x"


def test_our_own_manifest_is_fit() -> None:
    assert "self" in load_manifest(ROOT / "fastly.toml").backends


# Backends.


def test_a_backend_with_everything(load: Load) -> None:
    """§4.1"""
    backend = load.backend(
        'url = "https://Example.com:8443/api/"\noverride_host = "other.example"\n'
        'cert_host = "cert.example"\nuse_sni = false\ngrpc = true\nhealth = "HEALTHY"\n'
        "first_byte_timeout_ms = 0\nbetween_bytes_timeout_ms = 1500\n"
    )
    assert backend == Backend(
        url="https://Example.com:8443/api/",
        override_host="other.example",
        cert_host="cert.example",
        use_sni=False,
        grpc=True,
        health=Health.HEALTHY,
        first_byte_timeout_ms=None,
        between_bytes_timeout_ms=1500,
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a", (False, "a", 80, "a", "")),
        ("https://a/", (True, "a", 443, "a", "")),
        ("http://a:81/x/y/", (False, "a", 81, "a:81", "/x/y")),
        ("wss://[::1]:8443/x", (True, "::1", 8443, "[::1]:8443", "/x")),
        ("ws://127.0.0.1", (False, "127.0.0.1", 80, "127.0.0.1", "")),
    ],
)
def test_parts_of_a_url(load: Load, url: str, expected: tuple[object, ...]) -> None:
    backend = load.backend(f'url = "{url}"')
    parts = (backend.is_tls, backend.host, backend.port, backend.authority, backend.path)
    assert parts == expected


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "missing 'url' field"),
        ('ca_certificate = {file = "blank.pem"}', "'ca_certificate' field is empty"),
        ("url = 1", "'url' field was not a string"),
        ('url = "x"', "invalid url: expected http(s)://HOST[:PORT][/PATH], got 'x'"),
        ('url = ""', "invalid url: expected http(s)://HOST[:PORT][/PATH], got ''"),
        ('url = "ftp://x"', "invalid url: expected http(s)://HOST[:PORT][/PATH], got 'ftp://x'"),
        ('url = "http://x:99999"', "invalid url: Port out of range 0-65535"),
        ('url = "http://u@x"', "invalid url: expected http(s)://HOST[:PORT][/PATH], got"),
        ('url = "http://a b"', "invalid url: expected http(s)://HOST[:PORT][/PATH], got"),
        ('override_host = " "', "'override_host' field is empty"),
        ("override_host = 1", "'override_host' field was not a string"),
        ('override_host = "a\\nb"', "invalid override_host: "),
        ('cert_host = ""', "'cert_host' field is empty"),
        ("cert_host = []", "'cert_host' field was not a string"),
        ("use_sni = 1", "'use_sni' field was not a boolean"),
        ('grpc = "yes"', "'grpc' field was not a boolean"),
        ('health = "ill"', "'health' field has invalid value 'ill' (expected"),
        ("health = 1", "'health' field has invalid value 'not a string' (expected"),
        ("first_byte_timeout_ms = -1", "Illegal timeout value (must be an integer >= 0)"),
        ("between_bytes_timeout_ms = 1.5", "Illegal timeout value (must be an integer >= 0)"),
        ("between_bytes_timeout_ms = true", "Illegal timeout value (must be an integer >= 0)"),
        ('ca_certificate = ""', "'ca_certificate' field is empty"),
        ('ca_certificate = "x"', "'ca_certificate' field was invalid: "),
        ("ca_certificate = 1", "'ca_certificate' field was invalid: expected a PEM string"),
        ('ca_certificate = {file = "none.pem"}', "'ca_certificate' field was invalid: error read"),
        ('ca_certificate = {file = "x", y = 1}', "'ca_certificate' field was invalid: expected"),
        ("client_certificate = 1", "expected a table for 'client_certificate'"),
        ("client_certificate = {}", "missing 'certificate' or 'certificate_file' in"),
        (
            'client_certificate = {certificate = "x", key = "y"}',
            "no certificates found in 'client_certificate'",
        ),
        (
            'client_certificate = {certificate = "-----BEGIN CERTIFICATE-----", key = "y"}',
            "expected one private key in 'client_certificate', found 0",
        ),
        ("hots = 1", "unrecognized key 'hots'"),
        (
            'override-host = "x"',
            "unrecognized key 'override-host' (did you mean 'override_host'?)",
        ),
    ],
)
def test_a_bad_backend_is_refused(load: Load, body: str, reason: str) -> None:
    """§4.1, the table of reasons; a suggestion may follow an unrecognized key."""
    load.write("blank.pem", "\n")
    url = "" if "url" in body or "missing 'url'" in reason else 'url = "http://x"\n'
    assert load.bad_backend(url + body).startswith(reason)


def test_a_backend_that_is_no_table(load: Load) -> None:
    message = load.refused("[local_server.backends]\nb = 1")
    assert message == ("invalid configuration for 'b': definition was not provided as a TOML table")


def test_certificates_in_every_form(load: Load) -> None:
    """§4.1: a string, a file, a value, an array of these."""
    first, second = Authority().pem, Authority().pem
    load.write("ca.pem", second)
    backend = load.backend(
        f'url = "https://x"\nca_certificate = ["""{first}""", {{file = "ca.pem"}}, '
        f'{{value = """{first}"""}}]'
    )
    assert backend.ca_certificates is not None
    assert backend.ca_certificates.count("BEGIN CERTIFICATE") == 3
    assert second in backend.ca_certificates


@pytest.mark.parametrize("in_files", [False, True])
def test_client_certificate(load: Load, in_files: bool) -> None:
    certificate, key = Authority().issue("me")
    load.write("me.pem", certificate)
    load.write("me.key", key)
    given = (
        'certificate_file = "me.pem"\nkey_file = "me.key"'
        if in_files
        else f'certificate = """{certificate}"""\nkey = """{key}"""'
    )
    backend = load.backend(
        f'url = "https://x"\n[local_server.backends.b.client_certificate]\n{given}'
    )
    assert backend.client_certificate is not None
    assert backend.client_certificate.certificate == certificate
    assert backend.client_certificate.key == key
    assert "PRIVATE" not in repr(backend)


# Stores.


def test_config_stores(load: Load) -> None:
    """§4.2: inline, from a file that is read anew, and under the old name."""
    load.write("c.json", {"k": "1"})
    stores = load(
        '[local_server.config_stores.a]\nformat = "inline-toml"\n'
        '[local_server.config_stores.a.contents]\nx = "y"\n"é" = ""\n'
        '[local_server.config_stores.b]\nformat = "json"\nfile = "c.json"\n'
    ).config_stores
    assert stores["a"] == {"x": "y", "é": ""}
    old = load('[local_server.dictionaries.c]\nformat = "inline-toml"\ncontents = {}')
    assert old.config_stores == {"c": {}}
    read = stores["b"]
    assert callable(read)
    assert read() == {"k": "1"}
    load.write("c.json", {"k": "2"})
    assert read() == {"k": "2"}
    load.write("c.json", "[")
    with pytest.raises(ConfigError, match=r"^invalid configuration for 'b': 'c.json' is not JSON"):
        read()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "missing 'format' field"),
        ("format = 1", "'format' field was not a string"),
        ('format = ""', "'format' field is empty"),
        ('format = "yaml"', "'yaml' is not a valid format, expected 'inline-toml' or 'json'"),
        ('format = "inline-toml"', "missing 'contents' field"),
        ('format = "inline-toml"\ncontents = 1', "'contents' was not provided as a TOML table"),
        ('format = "inline-toml"\ncontents = {a = 1}', "expected a string for 'a', got 1"),
        ('format = "inline-toml"\ncontents = {}\nfile = "x"', "unrecognized key 'file'"),
        ('format = "json"', "missing 'file' field"),
        ('format = "json"\nfile = "none.json"', "error reading 'none.json': No such file"),
        ('format = "json"\nfile = "list.json"', "'list.json' is not a JSON object"),
        (f'format = "inline-toml"\ncontents = {{{"k" * 257} = ""}}', "key 'kkkkkkkkkkkkkkkkkkkk…'"),
        (f'format = "inline-toml"\ncontents = {{k = "{"v" * 8001}"}}', "value of 'k' is too long"),
    ],
)
def test_a_bad_config_store_is_refused(load: Load, body: str, reason: str) -> None:
    """§4.2, §8"""
    load.write("list.json", [])
    message = load.refused(f"[local_server.config_stores.s]\n{body}")
    assert message.startswith(f"invalid configuration for 's': {reason}")


def test_kv_stores(load: Load) -> None:
    """§4.2: an array or a JSON file, under three names; `path` is the old `file`."""
    load.write("data.bin", "from a file")
    load.write("kv.json", {"a": "text", "b": {"file": "data.bin", "metadata": "m"}})
    stores = load(
        "[local_server.kv_stores]\nempty = []\n"
        'array = [{key = "a", data = "x"}, {key = "b", path = "data.bin", metadata = "m"}]\n'
        'file = {file = "kv.json", format = "json"}\n'
        'both = [{key = "a", file = "data.bin", path = "none"}]'
    ).kv_stores
    assert stores == {
        "empty": {},
        "array": {"a": KvItem(b"x"), "b": KvItem(b"from a file", "m")},
        "file": {"a": KvItem(b"text"), "b": KvItem(b"from a file", "m")},
        "both": {"a": KvItem(b"from a file")},
    }
    for name in ("object_stores", "object_store"):
        old = load(f'[[local_server.{name}.old]]\nkey = "k"\ndata = ""\n')
        assert old.kv_stores == {"old": {"k": KvItem(b"")}}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("1", "expected an array of tables, or a table with 'file' and 'format'"),
        ("[1]", "expected a table for each entry"),
        ('[{data = "x"}]', "missing 'key' field"),
        ('[{key = 1, data = "x"}]', "'key' field was not a string"),
        ('[{key = "a"}]', "expected exactly one of 'data', 'file', got 0"),
        ('[{key = "a", data = "x", file = "y"}]', "expected exactly one of"),
        ('[{key = "a", data = 1}]', "'data' field was not a string"),
        ('[{key = "a", data = "x", metadata = 1}]', "'metadata' field was not a string"),
        ('[{key = "a", file = "none"}]', "error reading 'none': No such file"),
        ('{file = "x"}', "a store in a file needs both 'file' and 'format'"),
        ('{format = "json"}', "a store in a file needs both 'file' and 'format'"),
        ('{file = "x", format = "toml"}', "'toml' is not a valid format, expected 'json'"),
        ('{file = "list.json", format = "json"}', "'list.json' is not a JSON object"),
        ('{file = "odd.json", format = "json"}', "expected a string or an object for 'a'"),
        ('[{key = "", data = ""}]', "expected a key of 1 to 1024 bytes"),
        (f'[{{key = "{"é" * 513}", data = ""}}]', "expected a key of 1 to 1024 bytes"),
        ('[{key = "a#b", data = ""}]', "expected a key without line ends and any of '#;?^|'"),
        ('[{key = "a\\nb", data = ""}]', "expected a key without line ends"),
        ('[{key = "..", data = ""}]', "expected a key that is no relative or reserved path"),
        ('[{key = "a/../b", data = ""}]', "expected a key that is no relative or reserved path"),
        ('[{key = "a/..", data = ""}]', "expected a key that is no relative or reserved path"),
        ('[{key = "a/.", data = ""}]', "expected a key that is no relative or reserved path"),
        ('[{key = "\\t", data = ""}]', "expected a key that is more than '\\t'"),
        ('[{key = "\\uffff", data = ""}]', "expected a key that is more than"),
        ('[{key = ".well-known/acme-challenge/x", data = ""}]', "expected a key that is no"),
    ],
)
def test_a_bad_kv_store_is_refused(load: Load, value: str, reason: str) -> None:
    """§4.2, key rules of §2.8"""
    load.write("list.json", [])
    load.write("odd.json", {"a": 1})
    message = load.refused(f"[local_server.kv_stores]\ns = {value}")
    assert message.startswith(f"invalid configuration for 's': {reason}")


def test_secret_stores(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """§4.2: exactly one source; an unset variable is an empty secret; never shown."""
    monkeypatch.setenv("A_SECRET", "from env")
    monkeypatch.delenv("NO_SECRET", raising=False)
    load.write("s.txt", "from file")
    load.write("s.json", {"k": "from json"})
    manifest = load(
        '[local_server.secret_stores]\na = [{key = "d", data = "given"}, '
        '{key = "f", file = "s.txt"}, {key = "e", env = "A_SECRET"}, '
        '{key = "n", env = "NO_SECRET"}]\nb = {file = "s.json", format = "json"}'
    )
    assert manifest.secret_stores == {
        "a": {"d": b"given", "f": b"from file", "e": b"from env", "n": b""},
        "b": {"k": b"from json"},
    }
    assert "given" not in repr(manifest)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('"a b" = []', "expected a store name of 1 to 255 letters"),
        ('s = [{key = "a b", data = ""}]', "expected secret names of 1 to 255 letters"),
        ("s = 1", "expected an array of tables"),
        ('s = [{key = "a"}]', "expected exactly one of 'data', 'file', 'env', got 0"),
        ('s = [{key = "a", data = "x", env = "y"}]', "expected exactly one of"),
        ('s = [{data = "x"}]', "missing 'key' field"),
        ('s = {file = "odd.json", format = "json"}', "expected a string for 'a'"),
    ],
)
def test_a_bad_secret_store_is_refused(load: Load, text: str, reason: str) -> None:
    load.write("odd.json", {"a": 1})
    assert f": {reason}" in load.refused(f"[local_server.secret_stores]\n{text}")


# The rest.


def test_geolocation(load: Load) -> None:
    """§4.3"""
    load.write("geo.json", {"::1": {"city": "B"}})
    inline = load(
        '[local_server.geolocation]\nformat = "inline-toml"\nuse_default_loopback = false\n'
        '[local_server.geolocation.addresses."192.0.2.1"]\ncity = "A"\nlatitude = 1.5'
    )
    assert inline.geolocation == Geolocation(False, {"192.0.2.1": {"city": "A", "latitude": 1.5}})
    file = load('[local_server.geolocation]\nformat = "json"\nfile = "geo.json"').geolocation
    assert file.use_default_loopback
    assert callable(file.addresses)
    assert file.addresses() == {"::1": {"city": "B"}}
    load.write("geo.json", {"2001:DB8:0::1": {"city": ["C"]}})
    assert file.addresses() == {"2001:db8::1": {"city": ["C"]}}
    load.write("geo.json", "[")
    with pytest.raises(ConfigError, match=r"^invalid configuration for 'geolocation_mapping': "):
        file.addresses()
    switch = load("[local_server.geolocation]\nuse_default_loopback = false")
    assert switch.geolocation == Geolocation(False, {})


def test_device_detection(load: Load) -> None:
    manifest = load(
        '[local_server.device_detection]\nformat = "inline-toml"\n'
        '[local_server.device_detection.user_agents."UA 1.0".device]\nname = "x"'
    )
    assert manifest.device_detection == {"UA 1.0": {"device": {"name": "x"}}}
    assert load("[local_server.device_detection]").device_detection == {}
    load.write("devices.json", {"a": {"b": [1]}})
    read = load(
        '[local_server.device_detection]\nformat = "json"\nfile = "devices.json"'
    ).device_detection
    assert callable(read)
    load.write("devices.json", {"c": {}})
    assert read() == {"c": {}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[kv_stores.s]]\nkey = "k"\ndata = ""\nmeta = ""', "'s': key 'meta' is ignored (did you"),
        ('[[secret_stores.s]]\nkey = "k"\ndata = ""\nx = 1', "'s': key 'x' is ignored"),
        (
            '[kv_stores.s]\nfile = "o.json"\nformat = "json"\nfiel = 1',
            "'s': key 'fiel' is ignored (",
        ),
        ('[acls.a]\nfile = "acl.json"\nop = 1', "'a': key 'op' is ignored"),
        (
            "[geolocation]\nfromat = 1",
            "'geolocation_mapping': key 'fromat' is ignored (did you mean ",
        ),
        ("[device_detection]\nfile = 1", "'device_detection_mapping': key 'file' is ignored"),
    ],
)
def test_keys_that_viceroy_ignores_are_warned_of(
    load: Load, caplog: pytest.LogCaptureFixture, text: str, said: str
) -> None:
    load.write("o.json", {})
    load.write("acl.json", {"entries": []})
    opening = re.match(r"\[+", text)
    assert opening is not None
    load(f"{opening[0]}local_server.{text[opening.end() :]}")
    assert said in caplog.text


def test_acls_sites_and_keys(load: Load) -> None:
    load.write(
        "acl.json", {"entries": [{"op": "create", "prefix": "1.2.0.0/16", "action": "BLOCK"}]}
    )
    manifest = load(
        '[local_server]\nfake_valid_fastly_keys = ["k"]\nacls = {a = "acl.json", '
        'b = {file = "acl.json"}}\n[local_server.shielding_sites]\nhere = "Local"\n'
        'there = {encrypted = "https://x", unencrypted = "http://x"}'
    )
    assert manifest.acls == {name: (AclEntry("1.2.0.0/16", "BLOCK"),) for name in ("a", "b")}
    assert manifest.shielding_sites == {
        "here": "local",
        "there": ShieldingSite(encrypted="https://x", unencrypted="http://x"),
    }
    assert manifest.fastly_keys == {"k"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("geolocation = {use_default_loopback = 1}", "'use_default_loopback' field was not a boo"),
        ('geolocation = {format = ""}', "'geolocation_mapping': 'format' field is empty"),
        ("geolocation = {format = 1}", "'geolocation_mapping': 'format' field was not a string"),
        ('geolocation = {format = "xml"}', "'geolocation_mapping': 'xml' is not a valid format"),
        ('geolocation = {format = "inline-toml"}', "missing 'addresses' field"),
        ('geolocation = {format = "json"}', "'geolocation_mapping': missing 'file' field"),
        ('geolocation = {format = "json", file = "list.json"}', "'list.json' is not a JSON object"),
        ('geolocation = {format = "json", file = "no"}', "error reading 'no': No such file"),
        (
            'geolocation = {format = "inline-toml", addresses = {x = {}}}',
            "'geolocation_mapping': IP address not valid: 'x'",
        ),
        ('geolocation = {format = "inline-toml", addresses = 1}', "'addresses' was not provided"),
        (
            'geolocation = {format = "inline-toml", addresses = {"::1" = 1}}',
            "expected a table for '::1'",
        ),
        (
            'geolocation = {format = "inline-toml", addresses = {"::1" = {a = [1]}}}',
            "expected strings, numbers and booleans for '::1'",
        ),
        (
            'device_detection = {format = "inline-toml", user_agents = {a = {b = {c = []}}}}',
            "expected strings, numbers, booleans and tables for 'a'",
        ),
        ('device_detection = {format = "inline-toml"}', "missing 'user_agents' field"),
        ('device_detection = {format = "csv"}', "'device_detection_mapping': 'csv' is not a valid"),
        ("acls = {a = 1}", "'a': expected a path, or a table with 'file'"),
        ('acls = {a = "none.json"}', "'a': error reading 'none.json'"),
        ('acls = {a = "list.json"}', "'a': expected an object with a list 'entries'"),
        ('acls = {a = "bad.json"}', "'a': invalid prefix: "),
        ('acls = {a = "plain.json"}', "'a': invalid prefix: expected ADDRESS/MASK, got '1.2.3.4'"),
        ('acls = {a = "all.json"}', "'a': invalid prefix: expected ADDRESS/MASK, got '0.0.0.0/0'"),
        ('acls = {a = "long.json"}', "'a': invalid prefix: "),
        ("acls = {a = {}}", "'a': missing 'file' field"),
        ('acls = {a = "odd.json"}', "'a': expected strings 'prefix' and 'action' in each entry"),
        ('shielding_sites = {s = "x"}', "'s': expected 'local', or a table"),
        ('shielding_sites = {s = {encrypted = "x:y"}}', "'s': missing 'unencrypted' field"),
        (
            'shielding_sites = {s = {encrypted = "x:y", unencrypted = "x"}}',
            "'s': expected a URL for 'unencrypted', got 'x'",
        ),
        (
            'shielding_sites = {s = {encrypted = "x:y", unencrypted = "x:y", url = "z"}}',
            "'s': unrecognized key 'url'",
        ),
    ],
)
def test_other_bad_tables_are_refused(load: Load, text: str, reason: str) -> None:
    load.write("list.json", [])
    load.write("bad.json", {"entries": [{"prefix": "x", "action": "BLOCK"}]})
    load.write("odd.json", {"entries": [{"prefix": "1.2.3.4"}]})
    for name, prefix in (("plain", "1.2.3.4"), ("all", "0.0.0.0/0"), ("long", "1.2.3.4/33")):
        load.write(f"{name}.json", {"entries": [{"prefix": prefix, "action": "BLOCK"}]})
    message = load.refused(f"[local_server]\n{text}")
    assert message.startswith("invalid configuration for '")
    assert reason in message
