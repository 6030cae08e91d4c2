"""Times, durations, sizes and ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilocam.core import (
    CameraKey,
    ConfigError,
    check_id,
    format_duration,
    format_time,
    parse_duration,
    parse_retry_after,
    parse_size,
    parse_time,
)


@given(st.integers(0, 4_000_000_000_000_000))
def test_a_time_survives_being_written_and_read(wall_us: int) -> None:
    assert parse_time(format_time(wall_us)) == wall_us


def test_offsets_are_understood_and_naive_times_refused() -> None:
    assert parse_time("2026-11-23T01:00:00+01:00") == parse_time("2026-11-23T00:00:00Z")
    with pytest.raises(ConfigError, match="write it as 2026-11-23T21:40:14Z"):
        parse_time("2026-11-23T00:00:00")


@pytest.mark.parametrize(
    "text",
    ["9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"],
)
def test_times_at_the_end_of_the_calendar_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="out of reach: give a year from 1900 to 9998"):
        parse_time(text)


def test_durations_are_written_as_they_are_read() -> None:
    for text in ("30d", "36h", "5m", "90s", "1500ms"):
        assert format_duration(parse_duration(text)) == text
    assert format_duration(parse_duration("1w")) == "7d"
    assert format_duration(parse_duration("1h30m")) == "90m"


def test_durations_and_sizes() -> None:
    assert parse_duration("1h30m") == 5_400_000_000
    assert parse_size("500MB") == 500_000_000
    assert parse_size("2TiB") == 2 << 40
    for text in ("", "7", "d", "7 days"):
        with pytest.raises(ConfigError):
            parse_duration(text)
    for text in ("", "7", "MB", "7 potatoes"):
        with pytest.raises(ConfigError):
            parse_size(text)


def test_ids_are_checked_and_partitions_are_stable() -> None:
    assert check_id("camera", "gate-1") == "gate-1"
    for bad in ("", "Gate", "-gate", "g" * 64, "ä"):
        with pytest.raises(ConfigError):
            check_id("camera", bad)
    assert CameraKey("default", "gate").partition == CameraKey("default", "gate").partition
    assert {CameraKey("t", f"c{n}").partition for n in range(2000)} == set(range(64))


@pytest.mark.parametrize(
    ("text", "wait_us"),
    [
        ("7", 7_000_000),
        ("Thu, 01 Jan 1970 00:01:00 GMT", 60_000_000),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("999999", 3_600_000_000),
        ("soon", 0),
        ("", 0),
    ],
)
def test_how_long_a_server_asks_to_be_left_alone(text: str, wait_us: int) -> None:
    assert parse_retry_after(text, 0) == wait_us
