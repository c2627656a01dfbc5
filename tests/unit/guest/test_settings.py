"""Whose signatures count: the default, what the config store can change, and what it cannot."""

import base64
import json

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from grip.errors import SignatureError
from grip.signature import FASTLY_FANOUT_KEY, Key, sign
from guest.messages import SetupError
from guest.settings import Trust, load

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
