"""Whatever a guest says about a backend: it is one that can be reached, or a documented error."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from host_sim.config.backends import Backend, parse_backend
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.objects.dynamic_backends import Options, describe, is_url
from host_sim.sandbox.objects.healthchecks import HealthCheck

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
TARGETS = st.one_of(
    TEXT,
    st.from_regex(r"\A\[?[0-9a-z.:%@/?#\\-]{0,12}\]?(:[0-9]{0,6})?\Z"),
    st.ip_addresses().map(lambda address: f"[{address}]:443"),
)
CHOSEN = st.fixed_dictionaries(
    {},
    optional={
        "override_host": TEXT,
        "use_tls": st.booleans(),
        "cert_hostname": TEXT,
        "sni_hostname": TEXT,
        "ca_certificate": TEXT,
        "tls_min_version": st.integers(0, 0xFFFF),
        "tls_max_version": st.sampled_from([0x0301, 0x0304]),
        "first_byte_timeout": st.integers(0, (1 << 32) - 1),
    },
)


@given(TARGETS, CHOSEN)
def test_descriptions(target: str, chosen: dict[str, Any]) -> None:
    try:
        found = describe("name", target, Options(**chosen))
    except WitError as error:
        if str(error) not in ("invalid-argument", "generic-error"):
            raise
        return
    assert parse_backend({"url": found.facts.url}) == (known := Backend(url=found.facts.url))
    assert known.host
    assert 0 <= known.port < 1 << 16
    assert known.path == ""


@given(st.one_of(TEXT, TARGETS.map(lambda target: f"https://{target}")))
def test_urls(text: str) -> None:
    if is_url(text):
        assert parse_backend({"url": text}).host


@given(st.lists(st.tuples(st.sampled_from(["window", "threshold", "initial"]), st.integers(0, 20))))
def test_health_checks_stay_possible(changes: list[tuple[str, int]]) -> None:
    """After any changes, refused ones too."""
    check = HealthCheck("h")
    for field, value in changes:
        before = getattr(check, field)
        try:
            check.change(field, value)
        except WitError:
            assert getattr(check, field) == before
    assert max(check.threshold, check.initial) <= check.window <= 15
