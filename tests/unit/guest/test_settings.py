"""Whose signatures count: the default, what the config store can change, and what it cannot."""

import base64
import json

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from grip.errors import SignatureError
from grip.signature import FASTLY_FANOUT_KEY, Claims, Key, sign, verify
from guest import settings
from guest.messages import SetupError
from guest.settings import FRESH_S, MAX_TOKENS, Current, Trust, load

TOKEN = (
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJleHAiOjE2NzUzNjU0MjgsImlzcyI6ImZhc3RseSJ9."
    "QL2Pm1JnXV_vAYK7ijeD4U1CBjOTLihNMDZ-qfvjkKOTUiK1jyxGEwjZfeApijRaOtQT8fVkdPnKjF-tBiUzkA"
)
EXPIRED_AT = 1675365428
SECRET = "a secret of enough characters for HS256"
PRIVATE = ec.derive_private_key(20230202, ec.SECP256R1())
FORM = serialization.PublicFormat.SubjectPublicKeyInfo
PEM = PRIVATE.public_key().public_bytes(serialization.Encoding.PEM, FORM).decode()

PRIVATE_PEM = PRIVATE.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()


def loaded(**store: str) -> Trust:
    return load(store.get, lambda: "SU1Z0isxPaozGVKXdv0eY")


def test_without_a_store_fastlys_key_and_this_service_count() -> None:
    assert loaded() == Trust(FASTLY_FANOUT_KEY, "fastly:SU1Z0isxPaozGVKXdv0eY")


def test_fastlys_own_token_verifies_only_while_it_is_young() -> None:
    trust = loaded(issuer="fastly")
    trust.verify(TOKEN, EXPIRED_AT - 1)
    with pytest.raises(SignatureError, match="expired"):
        trust.verify(TOKEN, EXPIRED_AT)
    with pytest.raises(SignatureError, match="issuer"):
        loaded().verify(TOKEN, EXPIRED_AT - 1)


def test_the_store_of_the_manifest_trusts_the_local_proxy() -> None:
    trust = loaded(algorithm="HS256", key=SECRET, issuer="viceroy")
    trust.verify(sign(Key.secret(SECRET), "viceroy", 1000.0), 1000.0)
    for other in (
        sign(Key.secret("another secret"), "viceroy", 1000.0),
        sign(Key.secret(SECRET), "fastly", 1000.0),
    ):
        with pytest.raises(SignatureError):
            trust.verify(other, 1000.0)


def jwk() -> str:
    numbers = PRIVATE.public_key().public_numbers()
    x, y = (
        base64.urlsafe_b64encode(n.to_bytes(32)).decode().rstrip("=")
        for n in (numbers.x, numbers.y)
    )
    return json.dumps({"kty": "EC", "crv": "P-256", "x": x, "y": y})


@pytest.mark.parametrize("text", [PEM, PEM.replace("\n", "\r\n"), jwk()])
def test_another_public_key_can_be_named_as_pem_or_jwk(text: str) -> None:
    token = jwt.encode({"iss": "me", "exp": 2000}, PRIVATE, algorithm="ES256")
    loaded(key=text, issuer="me").verify(token, 1000.0)
    with pytest.raises(SignatureError):
        loaded(issuer="me").verify(token, 1000.0)


@pytest.mark.parametrize(
    "store",
    [
        {"algorithm": "RS256"},
        {"algorithm": "none"},
        {"algorithm": "hs256", "key": SECRET},
        {"algorithm": "HS256"},
        {"key": SECRET},
        {"algorithm": "HS256", "key": PEM},
        {"algorithm": "HS256", "key": jwk()},
        {"key": PEM.replace("MFkw", "MFkx")},
        {"key": PEM[:100]},
        {"key": "{"},
        {"key": '{"kty":"RSA"}'},
        {"key": PRIVATE_PEM},
    ],
    ids=str,
)
def test_a_store_that_makes_no_sense_is_an_error_and_not_a_default(store: dict[str, str]) -> None:
    with pytest.raises(SetupError) as error:
        loaded(**store)
    assert SECRET not in str(error.value)


def test_the_service_id_is_asked_only_where_it_matters() -> None:
    def unasked() -> str:
        raise AssertionError

    load({"issuer": "fastly:another"}.get, unasked)


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens that are really verified, in order."""
    verified: list[str] = []

    def noting(token: str, key: Key, issuer: str | None, now: float) -> Claims:
        verified.append(token)
        return verify(token, key, issuer, now)

    monkeypatch.setattr(settings, "verify", noting)
    return verified


def test_a_token_is_verified_once_but_expires_all_the_same(verifications: list[str]) -> None:
    trust = loaded(algorithm="HS256", key=SECRET, issuer="viceroy")
    token = sign(Key.secret(SECRET), "viceroy", 1000.0, lifetime_s=100)
    for now in (1000.0, 1000.5, 1099.5):
        trust.verify(token, now)
    assert verifications == [token]
    with pytest.raises(SignatureError, match="expired"):
        trust.verify(token, 1100.0)
    trust.verify(token, 999.0)  # a clock that was set back
    assert verifications == [token] * 3


def test_a_token_that_does_not_hold_is_not_remembered(verifications: list[str]) -> None:
    trust = loaded(algorithm="HS256", key=SECRET, issuer="viceroy")
    token = sign(Key.secret("another secret"), "viceroy", 1000.0)
    for _ in range(2):
        with pytest.raises(SignatureError):
            trust.verify(token, 1000.0)
    assert verifications == [token] * 2


def test_tokens_without_end_take_no_memory_without_end() -> None:
    trust = loaded(algorithm="HS256", key=SECRET, issuer="viceroy")
    for lifetime_s in range(1, 3 * MAX_TOKENS):
        trust.verify(sign(Key.secret(SECRET), "viceroy", 1000.0, lifetime_s), 1000.0)
    assert len(trust._valid) <= MAX_TOKENS


def test_settings_are_read_again_after_a_moment_and_the_old_key_counts_no_more() -> None:
    store = {"algorithm": "HS256", "key": SECRET, "issuer": "viceroy"}
    reads: list[None] = []

    def read() -> Trust:
        reads.append(None)
        return loaded(**store)

    current = Current(read)
    assert not reads, "the component would come with what is read while it is built"
    token = sign(Key.secret(SECRET), "viceroy", 1000.0)
    for now in (1000.0, 1000.0 + FRESH_S / 2):
        current.at(now).verify(token, now)
    assert len(reads) == 1

    now = 1000.0 + FRESH_S
    assert current.at(now) is current.at(1000.0 + FRESH_S), "nothing has changed"
    assert len(reads) == 2
    store["key"] = "another secret of enough characters"
    with pytest.raises(SignatureError):
        current.at(now + FRESH_S).verify(token, now + FRESH_S)
    del store["key"]
    with pytest.raises(SetupError):
        current.at(now + 2 * FRESH_S)
    with pytest.raises(SetupError):
        current.at(now + 2 * FRESH_S)  # an error is not remembered either
    store["key"] = SECRET
    current.at(now + 2 * FRESH_S).verify(token, now + 2 * FRESH_S)
    current.at(1000.0)  # a clock that was set back
    assert len(reads) == 7
