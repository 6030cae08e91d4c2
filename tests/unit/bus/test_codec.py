import json
from dataclasses import dataclass, replace

import pytest

from kilocam.bus.codec import Codec, Schema, from_json, to_json
from kilocam.bus.errors import NotEncodable, Unreadable
from kilocam.core import GapCause, GopRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    box: tuple[float, float]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    number: int
    cause: GapCause
    inner: Inner
    raw: bytes = b""
    maybe: Inner | None = None
    counts: dict[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Untyped:
    anything: object


REF = GopRef(
    tenant="default",
    camera="gate",
    session=1,
    epoch=2,
    start_us=3,
    gop_us=4,
    complexity=5.5,
    onset=0.0,
    bytes_before=6,
    codec="h264",
    durable=True,
)
OUTER = Outer(
    number=1,
    cause=GapCause.REFUSED,
    inner=Inner(box=(0.5, 1.0), labels=("a", "b")),
    raw=b"\x00\xff",
    counts={"x": 1},
)


def test_value_goes_round_with_its_schema() -> None:
    codec = Codec([Schema("gop", 1, GopRef), Schema("outer", 3, Outer)])
    for value, schema in ((REF, "gop/1"), (OUTER, "outer/3")):
        header, body = codec.encode(value)
        assert header == schema
        assert codec.decode(header, body) == value


def test_fields_are_read_in_any_order_and_whole_numbers_as_fractions() -> None:
    body = json.loads(to_json(GopRef, REF)) | {"complexity": 7}
    turned = json.dumps(dict(reversed(body.items()))).encode()
    for one in (json.dumps(body).encode(), turned):
        read = from_json(GopRef, one)
        assert read == replace(REF, complexity=7.0)
        assert type(read.complexity) is float


def test_body_is_plain_json() -> None:
    assert to_json(Inner, Inner(box=(0.5, 1), labels=("a",))) == b'{"box":[0.5,1],"labels":["a"]}'


def test_missing_field_with_a_default_takes_it() -> None:
    assert from_json(Inner, b'{"box":[1,2]}') == Inner(box=(1.0, 2.0))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", r"Inner expected, \[\] found"),
        (b"{}", "Inner lacks box"),
        (b'{"box":[1,2],"size":3}', "Inner has no size"),
        (b'{"box":[1]}', "Inner.box: tuple"),
        (b'{"box":[1,true]}', "Inner.box: float expected, true found"),
        (b'{"box":[1,"2"]}', 'Inner.box: float expected, "2" found'),
        (b'{"box":[1,NaN]}', "NaN is not a number"),
        (b'{"box":[1,2],"labels":"ab"}', "Inner.labels"),
        (b'{"box":[1,2],"labels":[1]}', "Inner.labels: str expected, 1 found"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(body: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        from_json(Inner, body)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", "1.0"),
        ("number", "true"),
        ("number", "null"),
        ("cause", '"nonsense"'),
        ("cause", "1"),
        ("raw", '"!"'),
        ("raw", "1"),
        ("maybe", "1"),
        ("counts", '{"a":"b"}'),
    ],
)
def test_each_kind_of_field_is_checked(field: str, value: str) -> None:
    good = to_json(Outer, OUTER)
    body = b'{"number":1,"cause":"refused","inner":{"box":[1,2]}'
    assert from_json(Outer, good) == OUTER
    if field in ("number", "cause"):
        body = body.replace(b'"number":1,' if field == "number" else b'"cause":"refused",', b"")
    with pytest.raises(Unreadable, match=f"Outer.{field}"):
        from_json(Outer, body + f',"{field}":{value}}}'.encode())


def test_unknown_schema_and_version_are_unreadable() -> None:
    codec = Codec([Schema("gop", 1, GopRef)])
    _, body = codec.encode(REF)
    with pytest.raises(Unreadable, match="schema gop/2 is not known here"):
        codec.decode("gop/2", body)
    with pytest.raises(Unreadable, match="no Kilocam-Schema header"):
        codec.decode(None, body)


def test_type_that_cannot_be_carried_is_found_when_registered() -> None:
    with pytest.raises(TypeError, match="cannot be carried by the bus"):
        Codec([Schema("untyped", 1, Untyped)])


def test_number_that_is_not_finite_cannot_be_sent() -> None:
    with pytest.raises(NotEncodable, match="Inner cannot be sent"):
        to_json(Inner, Inner(box=(0.0, float("inf"))))
