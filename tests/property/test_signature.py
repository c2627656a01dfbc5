"""Tokens under any input (GRIP §2.2)."""

import base64

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grip.errors import LocalProtocolError, SignatureError
from grip.signature import FASTLY_FANOUT_KEY, Key, sign, verify

SECRETS = st.binary(min_size=1, max_size=40).filter(lambda secret: b"kty" not in secret)
TIMES = st.integers(0, 2**40)
SEGMENTS = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"", b"{}", b'{"alg":"HS256"}', b'{"alg":"ES256"}', b'{"alg":"none"}', b'{"exp":1e999}']
    ),
).map(lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode())
TOKENS = st.text() | st.lists(SEGMENTS | st.text(max_size=5), max_size=5).map(".".join)


@given(SECRETS, st.text(), TIMES, st.integers(1, 10_000), st.integers(0, 20_000))
def test_tokens_hold_for_their_lifetime(
    secret: bytes, issuer: str, now: int, lifetime_s: int, later: int
) -> None:
    key = Key.secret(secret)
    token = sign(key, issuer, now, lifetime_s)
    try:
        claims = verify(token, key, issuer, now + later)
    except SignatureError:
        assert later >= lifetime_s
    else:
        assert later < lifetime_s
        assert (claims.issuer, claims.expires_at) == (issuer, now + lifetime_s)


@given(TOKENS, TIMES)
@settings(max_examples=50)
def test_garbage_is_refused_and_nothing_else_happens(token: str, now: int) -> None:
    for key in (Key.secret("secret"), FASTLY_FANOUT_KEY):
        with pytest.raises(SignatureError):
            verify(token, key, None, now)


@given(SECRETS, SECRETS)
def test_another_secret_does_not_do(one: bytes, other: bytes) -> None:
    token = sign(Key.secret(one), "me", 0)
    try:
        verify(token, Key.secret(other), "me", 0)
    except SignatureError:
        # HMAC fills keys up with zeros, so secrets that differ in those are the same.
        assert one.rstrip(b"\0") != other.rstrip(b"\0")
    else:
        assert one.rstrip(b"\0") == other.rstrip(b"\0")


@given(st.binary(max_size=60))
def test_signed_nonsense_is_refused(payload: bytes) -> None:
    token = jwt.PyJWS().encode(payload, "k" * 32, algorithm="HS256")
    try:
        claims = verify(token, Key.secret("k" * 32), None, 0)
    except SignatureError:
        return
    assert claims.expires_at > 0


@given(st.text() | st.binary())
def test_any_text_is_a_key_or_refused(text: str | bytes) -> None:
    try:
        key = Key.parse(text)
    except LocalProtocolError:
        return
    try:
        token = sign(key, "me", 0)
    except LocalProtocolError:
        return
    assert verify(token, key, "me", 0).issuer == "me"
