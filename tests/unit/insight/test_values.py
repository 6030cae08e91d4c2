"""Values survive the ways they travel."""

import json
from contextlib import suppress
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.insight import ChangeKind, Cursor, EventChange, EventFilter, Invalid, admits
from kilocam.insight.values import read_event


@given(st.integers(0, 10**18 - 1), st.uuids())
@settings(max_examples=50)
def test_a_cursor_is_read_as_it_was_written(transaction: int, event: object) -> None:
    cursor = Cursor(transaction, str(event))
    assert Cursor.parse(str(cursor)) == cursor
    assert Cursor.before(transaction) <= cursor


@given(st.text(max_size=60))
@settings(max_examples=100)
def test_any_other_text_is_no_cursor_and_no_other_error(text: str) -> None:
    with suppress(Invalid):
        Cursor.parse(text)


def test_a_change_comes_out_of_the_outbox_as_it_went_in() -> None:
    change = EventChange(
        tenant="default",
        camera="gate",
        event_id="5c6b0f0e-6a6c-4a0e-8b9e-0a4d4b9d4a11",
        kind=ChangeKind.EXTENDED,
        label="car",
        score=0.5,
        start_us=1,
        end_us=3,
        best_us=2,
        box=(0.0, 0.25, 0.5, 1.0),
    )
    assert EventChange.from_body(json.loads(json.dumps(asdict(change)))) == change


@pytest.mark.parametrize(
    ("wanted", "admitted"),
    [
        (EventFilter(), True),
        (EventFilter(labels=("vehicle",)), True),
        (EventFilter(labels=("person",)), False),
        (EventFilter(cameras=("gate", "yard")), True),
        (EventFilter(labels=("car",), cameras=("yard",)), False),
    ],
)
def test_listeners_choose_by_camera_and_class(wanted: EventFilter, admitted: bool) -> None:
    row = {
        "id": "5c6b0f0e-6a6c-4a0e-8b9e-0a4d4b9d4a11", "camera": "gate", "label": "car",
        "score": 0.5, "start_us": 1, "end_us": 3, "best_us": 2, "box": [0, 0, 1, 1],
        "still": False, "colours": "red black", "text": "", "description": "A car.",
        "described_by": "eye-1", "zones": ["yard"], "changed": 7,
    }  # fmt: skip
    assert read_event(row).colours == ("red", "black")
    assert read_event(row).zones == ("yard",)
    assert admits(wanted, read_event(row)) is admitted
