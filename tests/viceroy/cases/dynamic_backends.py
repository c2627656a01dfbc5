"""Host contract §2.5: backends that the guest describes."""

from tests.viceroy.case import Cases
from tests.viceroy.cases.backends import FACTS

__all__ = ["CASES"]

CASES = Cases("§2.5")

# The guest learns where the origin is from one of its backends.
WHERE = (
    FACTS
    + """
def port_of(name):
    return backend.Backend.open(name).get_port()
def register(name, target, **options):
    made = backend.DynamicBackendOptions()
    for option, value in options.items():
        getattr(made, option)(*value if isinstance(value, tuple) else (value,))
    return backend.register_dynamic_backend(name, target, made)
def sent(b, path="/echo"):
    made = http_req.Request.new()
    made.set_uri("http://fetched.test" + path)
    response, got = http_req.send(made, http_body.new(), b)
    return json.loads(read_all(got))
plain = f"127.0.0.1:{port_of('origin')}"
secure = f"127.0.0.1:{port_of('secure')}"
"""
)
CASES.add(
    "dynamic-plain",
    WHERE
    + """
b = register("dynamic", plain)
facts("", b)
seen["origin"] = sent(b)
opened = see("opened", backend.Backend.open, "dynamic")
see("again", register, "dynamic", plain)
see("static", register, "origin", plain)
""",
)
CASES.add(
    "dynamic-with-host",
    WHERE
    + """
b = register("dynamic", plain, override_host="over.test")
facts("", b)
seen["origin"] = sent(b)
""",
)
CASES.add(
    "dynamic-targets",
    WHERE
    + """
targets = ("", "host", "host:0", "host:99999", "host:x", "a b", "http://host", "host/path",
           "[::1]:80", "u@host", "host:", ":80", "\\u00e9", "1.2.3.4")
for n, target in enumerate(targets):
    b = see("target " + target, register, f"t{n}", target)
    if b:
        see("port " + target, b.get_port)
        see("host " + target, b.get_host, 99)
""",
)
CASES.add(
    "dynamic-names",
    WHERE
    + """
for label, name in (("empty", ""), ("long", "x" * 300), ("odd", "a/b c"), ("nul", "a\\0b")):
    see(label, register, name, plain)
""",
)
CASES.add(
    "dynamic-options",
    WHERE
    + """
cases = dict(
    override_empty=dict(override_host=""),
    override_long=dict(override_host="h" * 1025),
    override_odd=dict(override_host="a\\nb"),
    cert_empty=dict(use_tls=True, cert_hostname=""),
    cert_long=dict(use_tls=True, cert_hostname="h" * 1025),
    cert_without_tls=dict(cert_hostname=""),
    sni_empty=dict(use_tls=True, sni_hostname=""),
    sni_long=dict(use_tls=True, sni_hostname="h" * 1025),
    sni_other=dict(use_tls=True, cert_hostname="a.test", sni_hostname="b.test"),
    sni_same=dict(use_tls=True, cert_hostname="a.test", sni_hostname="a.test"),
    ca_empty=dict(use_tls=True, ca_certificate=""),
    ca_none=dict(use_tls=True, ca_certificate="no PEM"),
    ca_long=dict(use_tls=True, ca_certificate="x" * 70000),
    ca_without_tls=dict(ca_certificate=""),
    zero=dict(connect_timeout=0, first_byte_timeout=0, between_bytes_timeout=0),
    versions=dict(use_tls=True, tls_min_version=0x304, tls_max_version=0x303),
    odd_version=dict(use_tls=True, tls_min_version=7),
    ciphers=dict(use_tls=True, tls_ciphers="nonsense"),
    pool=dict(max_connections=1, max_use=1, max_lifetime_ms=1, pooling=False, prefer_ipv6=False),
    keepalive=dict(http_keepalive_time_ms=1, tcp_keepalive_enable=1, tcp_keepalive_interval_secs=1,
                   tcp_keepalive_probes=1, tcp_keepalive_time_secs=1),
)
for label, options in cases.items():
    b = see(label, lambda: register(label, plain, **options))
    if b and not options.get("use_tls"):
        see(label + " host", b.get_override_host, 99)
secret = secret_store.Secret.from_bytes(b"no key")
see("client_cert", lambda: register("cc", plain, use_tls=True, client_cert=("no PEM", secret)))
""",
)
CASES.add(
    "dynamic-tls",
    WHERE
    + """
for label, options in dict(
    no_ca=dict(use_tls=True),
    name=dict(use_tls=True, cert_hostname="origin.test"),
    plain_to_tls=dict(),
).items():
    b = register(label, secure, **options)
    see(label, sent, b)
    facts(label + " ", b)
""",
)
CASES.add(
    "dynamic-timeouts",
    WHERE
    + """
b = register("first", plain, first_byte_timeout=200)
see("first byte", sent, b, "/hang")
b = register("between", plain, between_bytes_timeout=200)
see("between bytes", sent, b, "/hang-body")
b = register("connect", plain, connect_timeout=1)
see("connect", lambda: sent(b)["line"])
facts("", b)
""",
)
CASES.add(
    "dynamic-belongs-to-its-sandbox",
    WHERE + "\nsee('mine', register, 'dynamic-of-one', plain)\n",
)
CASES.add("dynamic-is-unknown-to-others", "see('open', backend.Backend.open, 'dynamic-of-one')")
