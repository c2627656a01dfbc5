"""What guests may set: URIs, and header changes that are made later."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from grip.headers import Headers
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.objects.headers import HeaderTable
from host_sim.sandbox.objects.messages import Uri
from host_sim.sandbox.objects.pending import HeaderChanges

PIECES = st.sampled_from(
    ["http", "://", "/", "?", "#", "@", ":", "[", "]", "%41", "h", "é", "*", " "]
)
NAMES = st.sampled_from(["a", "A", "b", "c"])
VALUES = st.binary(max_size=2).filter(lambda value: value.isalnum() or not value)


@given(st.text() | st.lists(PIECES).map("".join))
def test_any_text_is_a_uri_or_a_documented_error(text: str) -> None:
    uri = None
    with contextlib.suppress(WitError):
        uri = Uri.parse(text)
    if uri is not None:
        assert Uri.parse(str(uri)) == uri
        assert uri.target[0] in "/*"
        assert not set(uri.target) & set(" #\r\n\0")


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), NAMES, VALUES),
        st.tuples(st.just("append"), NAMES, VALUES),
        st.tuples(st.just("remove"), NAMES, st.just(b"")),
    )
)


@given(CHANGES, st.lists(st.tuples(NAMES, st.just("there"))))
def test_changes_of_one_name_leave_what_was_said_last(
    changes: list[tuple[str, str, bytes]], there: list[tuple[str, str]]
) -> None:
    """Removals come first, so what is inserted or appended after one is there in the end."""
    queued, table = HeaderChanges(), HeaderTable.of(Headers(there))
    expected: dict[str, list[bytes]] = {}
    for name, was in there:
        expected.setdefault(name.lower(), []).append(was.encode())
    for name in {name.lower() for _, name, _ in changes}:
        ours = [(change, value) for change, other, value in changes if other.lower() == name]
        removed = [place for place, (change, _) in enumerate(ours) if change == "remove"]
        after = ours[removed[-1] + 1 :] if removed else ours
        inserted = [place for place, (change, _) in enumerate(after) if change == "insert"]
        kept = [] if removed or inserted else expected.get(name, [])
        expected[name] = kept + [value for _, value in after[inserted[-1] if inserted else 0 :]]
    for change, name, value in changes:
        if change == "remove":
            queued.remove(name)
        else:
            getattr(queued, change)(name, value)
    queued.apply(table)
    assert dict(table) == {name: values for name, values in expected.items() if values}
