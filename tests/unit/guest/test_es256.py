"""ES256 by `ecdsa` beside ES256 by `cryptography`: they accept and refuse the same."""

import base64

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import get_default_algorithms

from grip.signature import FASTLY_FANOUT_KEY
from guest.es256 import ES256

FASTLY_KEY = str(FASTLY_FANOUT_KEY.material)

# Given by Fastly: issuer `fastly`, expired at 1675365428.
TOKEN = (
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJleHAiOjE2NzUzNjU0MjgsImlzcyI6ImZhc3RseSJ9."
    "QL2Pm1JnXV_vAYK7ijeD4U1CBjOTLihNMDZ-qfvjkKOTUiK1jyxGEwjZfeApijRaOtQT8fVkdPnKjF-tBiUzkA"
)
MESSAGE = TOKEN.rpartition(".")[0].encode()
SIGNATURE = base64.urlsafe_b64decode(TOKEN.rpartition(".")[2] + "==")
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PRIVATE = ec.derive_private_key(20230202, ec.SECP256R1())
ORACLE = get_default_algorithms()["ES256"]


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def test_fastlys_own_token_verifies_with_fastlys_key() -> None:
    assert ES256().verify(MESSAGE, ES256().prepare_key(FASTLY_KEY), SIGNATURE)


def test_it_works_in_pyjwts_place_for_it() -> None:
    plain = jwt.PyJWS(algorithms=[])
    plain.register_algorithm("ES256", ES256())
    assert plain.decode(TOKEN, FASTLY_KEY, algorithms=["ES256"]).startswith(b'{"exp"')
    with pytest.raises(jwt.InvalidSignatureError):
        plain.decode(TOKEN, pem(PRIVATE), algorithms=["ES256"])


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        SIGNATURE[:-1],
        SIGNATURE + b"\0",
        bytes(64),
        bytes(32) + SIGNATURE[32:],
        SIGNATURE[:32] + bytes(32),
        ORDER.to_bytes(32) + SIGNATURE[32:],
        SIGNATURE[:32] + ORDER.to_bytes(32),
        (int.from_bytes(SIGNATURE[:32]) + ORDER & (1 << 256) - 1).to_bytes(32) + SIGNATURE[32:],
        b"\xff" * 64,
        SIGNATURE[32:] + SIGNATURE[:32],
    ],
    ids=lambda value: value.hex()[:8] + f"-{len(value)}",
)
def test_bad_lengths_and_ranges_are_no_signature(signature: bytes) -> None:
    assert not ES256().verify(MESSAGE, FASTLY_KEY, signature)


@given(st.binary(max_size=80), st.integers(0, 511), st.booleans())
def test_it_agrees_with_cryptography(message: bytes, bit: int, flip: bool) -> None:
    signature = bytearray(ORACLE.sign(message, PRIVATE))
    if flip:
        signature[bit // 8] ^= 1 << bit % 8
    expected = ORACLE.verify(message, PRIVATE.public_key(), bytes(signature))
    assert expected is not flip
    assert ES256().verify(message, pem(PRIVATE), bytes(signature)) is expected


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a secret",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        FASTLY_KEY.replace("MFkw", "MFkx"),
        FASTLY_KEY.replace("CKo5", "CKo6"),
        pem(ec.derive_private_key(7, ec.SECP384R1())),
        pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        '{"kty":"EC","crv":"P-256","x":"","y":""}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_key_on_p256_is_refused(key: object) -> None:
    with pytest.raises(jwt.InvalidKeyError):
        ES256().prepare_key(key)


def test_it_never_signs() -> None:
    with pytest.raises(NotImplementedError):
        ES256().sign(b"", FASTLY_KEY)
