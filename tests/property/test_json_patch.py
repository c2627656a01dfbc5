"""JSON Patch under any input (RFC 6902)."""

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from grip.errors import RemoteProtocolError
from grip.json_patch import apply_patch, patch_body

KEYS = st.sampled_from(["a", "b", "0", "/", "~", ""])
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
CONTAINERS = st.lists(DOCUMENTS, max_size=3) | st.dictionaries(KEYS, DOCUMENTS, max_size=3)
POINTERS = st.lists(
    st.sampled_from(["a", "b", "0", "1", "-", "~1", "~0", "", "01", "~"]), max_size=3
).map(lambda tokens: "".join(f"/{token}" for token in tokens))
OPERATIONS = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "other"]),
        "path": POINTERS,
    },
    optional={"from": POINTERS, "value": DOCUMENTS},
)


@given(DOCUMENTS, st.lists(OPERATIONS, max_size=4))
def test_anything_applies_or_is_a_fault(document: Any, operations: list[dict[str, Any]]) -> None:
    before = copy.deepcopy((document, operations))
    try:
        result = apply_patch(document, operations)
    except RemoteProtocolError:
        result = None
    json.dumps(result)
    assert (document, operations) == before, "nothing is changed in place"


@given(CONTAINERS, st.lists(OPERATIONS, max_size=4))
def test_the_result_is_the_same_whatever_the_body_looked_like(
    document: Any, operations: list[dict[str, Any]]
) -> None:
    def patched(body: str) -> bytes | str:
        try:
            return patch_body(body.encode(), operations)
        except RemoteProtocolError:
            return "refused"

    compact = patched(json.dumps(document, sort_keys=True, separators=(",", ":")))
    spacious = patched(json.dumps(document, indent=2, ensure_ascii=False))
    assert compact == spacious


@given(st.lists(DOCUMENTS), DOCUMENTS, st.data())
def test_what_is_added_can_be_tested_and_removed(
    document: list[Any], value: Any, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(document)))
    patch = [
        {"op": "add", "path": f"/{at}", "value": value},
        {"op": "test", "path": f"/{at}", "value": value},
    ]
    assert apply_patch(document, patch) == [*document[:at], value, *document[at:]]
    assert apply_patch(document, [*patch, {"op": "remove", "path": f"/{at}"}]) == document
