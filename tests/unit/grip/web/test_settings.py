"""`GRIP_URL` and `GRIP_VERIFY_KEY` as applications are given them (GRIP §14)."""

import pytest

from grip.endpoint import Endpoint
from grip.errors import LocalProtocolError
from grip.signature import FASTLY_FANOUT_KEY, Key
from grip.web.settings import load_endpoints

OTHER = "another-secret"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("GRIP_URL", "GRIP_VERIFY_KEY"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_environment_is_the_default(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GRIP_URL", "http://a:5561/?verify-iss=i, http://b/x")
    environment.setenv("GRIP_VERIFY_KEY", OTHER)
    assert load_endpoints() == (
        Endpoint(url="http://a:5561/publish/", verify_issuer="i", verify_key=Key.secret(OTHER)),
        Endpoint(url="http://b/x/publish/", verify_key=Key.secret(OTHER)),
    )


def test_what_is_given_goes_before_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GRIP_URL", "http://a")
    environment.setenv("GRIP_VERIFY_KEY", "nobody's")
    (endpoint,) = load_endpoints("http://b", OTHER)
    assert (endpoint.url, endpoint.verify_key) == ("http://b/publish/", Key.secret(OTHER))


def test_endpoints_may_be_objects() -> None:
    endpoint = Endpoint(url="http://a/publish/", verify_key=Key.secret("x"))
    assert load_endpoints([endpoint], OTHER) == (endpoint,)


@pytest.mark.parametrize(
    ("url", "verify_key", "expected"),
    [
        ("http://a/?verify-key=k", OTHER, Key.secret("k")),
        ("http://a/", OTHER, Key.secret(OTHER)),
        ("http://a/?verify-iss=fastly:123", None, FASTLY_FANOUT_KEY),
        ("http://a/?verify-iss=fastly:123", OTHER, Key.secret(OTHER)),
        ("http://a/?iss=i&key=shared", None, Key.secret("shared")),
        ("http://a/?key=token", None, None),
        ("http://a/", None, None),
        ("http://a/", "", None),
    ],
)
def test_which_key_verifies(url: str, verify_key: str | None, expected: Key | None) -> None:
    (endpoint,) = load_endpoints(url, verify_key)
    assert endpoint.verify_key == expected


def test_a_public_key_of_fastly_may_be_given_as_its_documentation_has_it() -> None:
    pem = str(FASTLY_FANOUT_KEY.material)
    assert load_endpoints("http://a", pem)[0].verify_key == FASTLY_FANOUT_KEY


@pytest.mark.parametrize("value", [None, "", " "])
def test_no_proxy_is_an_error_that_names_the_variable(
    environment: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is not None:
        environment.setenv("GRIP_URL", value)
    with pytest.raises(LocalProtocolError, match="GRIP_URL"):
        load_endpoints()


def test_no_endpoint_is_an_error() -> None:
    with pytest.raises(LocalProtocolError, match="expected an endpoint"):
        load_endpoints([])


def test_a_bad_key_is_an_error_that_does_not_repeat_it() -> None:
    with pytest.raises(LocalProtocolError) as error:
        load_endpoints("http://a", '{"kty": "EC", "crv": "P-256", "x": "c2VjcmV0"}')
    assert "c2VjcmV0" not in str(error.value)
