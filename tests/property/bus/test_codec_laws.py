"""Laws of the codec: what we emit comes back; garbage gives a value or `Unreadable`."""

from contextlib import suppress
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.bus.codec import from_json, to_json
from kilocam.bus.errors import Unreadable
from kilocam.core import GapCause

finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    number: int
    share: float
    cause: GapCause
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    name: str
    sure: bool
    leaf: Leaf | None
    leaves: tuple[Leaf, ...]
    box: tuple[float, int]
    counts: dict[str, int]


leaves = st.builds(
    Leaf, number=st.integers(), share=finite, cause=st.sampled_from(GapCause), raw=st.binary()
)
trees = st.builds(
    Tree,
    name=st.text(),
    sure=st.booleans(),
    leaf=st.none() | leaves,
    leaves=st.lists(leaves, max_size=3).map(tuple),
    box=st.tuples(finite, st.integers()),
    counts=st.dictionaries(st.text(), st.integers(), max_size=3),
)


@settings(max_examples=60)
@given(trees)
def test_what_is_written_is_read_again(tree: Tree) -> None:
    assert from_json(Tree, to_json(Tree, tree)) == tree


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_garbage_is_unreadable_and_nothing_else(body: bytes) -> None:
    with suppress(Unreadable):
        from_json(Tree, body)


@settings(max_examples=100)
@given(trees, st.sampled_from(["name", "sure", "leaf", "leaves", "box", "counts"]), json_values)
def test_any_json_in_any_field_gives_a_value_that_can_be_written_or_unreadable(
    tree: Tree, field: str, value: object
) -> None:
    import json

    plain = json.loads(to_json(Tree, tree))
    plain[field] = value
    with suppress(Unreadable):
        read = from_json(Tree, json.dumps(plain).encode())
        assert from_json(Tree, to_json(Tree, read)) == read
