"""Content filters under any input (GRIP §10)."""

from hypothesis import given
from hypothesis import strategies as st

from grip.errors import RemoteProtocolError
from grip.filters import content_filters, delivers, filter_content, filter_reply

NAMES = st.sampled_from(
    ["skip-self", "skip-users", "require-sub", "var-subst", "build-id", "unknown"]
)
FILTERS = st.lists(NAMES, max_size=4)
META = st.dictionaries(
    st.sampled_from(["user", "id_format", "id_encoding", "a"]),
    st.text("%()sIax\\", max_size=6) | st.just("hex"),
)
PREV_IDS = st.dictionaries(st.text("a", max_size=2), st.none() | st.text(max_size=3), max_size=2)
TEMPLATES = st.binary(max_size=20) | st.text("%()sIax\\", max_size=20).map(str.encode)


def escape(text: str) -> bytes:
    """Return a variable's name as it stands in a directive."""
    return text.encode().replace(b"\\", b"\\\\").replace(b")", b"\\)")


@given(FILTERS, TEMPLATES, META, PREV_IDS)
def test_anything_is_filtered_or_a_fault(
    filters: list[str], content: bytes, meta: dict[str, str], prev_ids: dict[str, str | None]
) -> None:
    try:
        filtered = filter_content(filters, content, meta=meta, prev_ids=prev_ids)
        filter_reply(filters, content, meta=meta)
    except RemoteProtocolError:
        return
    if not content_filters(filters):
        assert filtered == content


@given(st.binary())
def test_doubled_percent_signs_come_back(content: bytes) -> None:
    template = content.replace(b"%", b"%%")
    assert filter_content(["var-subst"], template, meta={}, prev_ids={}) == content


@given(st.text(min_size=1), st.text(), st.binary(), st.binary())
def test_any_variable_is_replaced(name: str, value: str, before: bytes, after: bytes) -> None:
    content = b"%%".join([before.replace(b"%", b""), b"%(" + escape(name) + b")s", b""])
    content += after.replace(b"%", b"")
    expected = b"%".join([before.replace(b"%", b""), value.encode(), after.replace(b"%", b"")])
    assert filter_content(["var-subst"], content, meta={name: value}, prev_ids={}) == expected


@given(st.text(min_size=1), st.text())
def test_ids_name_any_channel(channel: str, prev_id: str) -> None:
    meta = {"id_format": f"%({escape(channel).decode()})s"}
    prev_ids = {channel: prev_id}
    assert filter_content(["build-id"], b"%I", meta=meta, prev_ids=prev_ids) == prev_id.encode()


@given(FILTERS, META, st.dictionaries(st.sampled_from(["sender", "skip_users"]), st.text("ab,")))
def test_content_filters_skip_nothing(
    filters: list[str], meta: dict[str, str], item_meta: dict[str, str]
) -> None:
    context = {"meta": meta, "item_meta": item_meta}
    names = content_filters(filters)
    others = [name for name in filters if name not in names]
    assert delivers(names, channels=(), **context)
    assert delivers(filters, channels=(), **context) == delivers(others, channels=(), **context)
