import io
import logging
import os
import sys
import threading

import pytest

from kilocam.cli.child_logs import LineFormatter, PatientHandler, redact


def record(text: str, *, error: bool = False) -> logging.LogRecord:
    info = None
    if error:
        try:
            raise ValueError("broken\nin two lines")
        except ValueError:
            info = sys.exc_info()
    return logging.LogRecord("kilocam.ingest", logging.WARNING, "", 0, text, (), info)


def test_event_is_one_line_with_time_level_process_and_module() -> None:
    line = LineFormatter("recorder-0").format(record("two\nlines"))
    assert line.endswith("Z WARNING recorder-0 kilocam.ingest: two | lines")
    assert "\n" not in line


def test_traceback_is_joined_into_the_line() -> None:
    line = LineFormatter("recorder-0").format(record("failed", error=True))
    assert "\n" not in line
    assert "failed | Traceback" in line
    assert line.endswith("ValueError: broken | in two lines")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:hunter2@10.0.0.1/a: refused", "rtsp://***@10.0.0.1/a: refused"),
        ("postgresql://app:x@/db and nats://u@h", "postgresql://***@/db and nats://***@h"),
        ("Authorization: Bearer abcdefghijk", "Authorization: Bearer ***"),
        ("password=correct-horse next", "password=*** next"),
        ("camera gate is recording", "camera gate is recording"),
        ("the token is wrong", "the token is wrong"),
    ],
)
def test_secrets_are_blotted_out(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_lines_come_in_order_and_the_last_ones_are_written_on_closing() -> None:
    stream = io.StringIO()
    handler = PatientHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for number in range(100):
        handler.emit(record(str(number)))
    handler.close()
    assert stream.getvalue().splitlines() == [str(number) for number in range(100)]


def test_reader_that_has_stopped_reading_stops_nobody_and_hears_how_much_it_missed() -> None:
    reading, writing = os.pipe()
    handler = PatientHandler(os.fdopen(writing, "w"))
    handler.setFormatter(logging.Formatter("%(message)s"))
    for _ in range(5000):
        handler.emit(record("x" * 200))
    received = io.StringIO()

    def read() -> None:
        with os.fdopen(reading) as source:
            received.write(source.read())

    reader = threading.Thread(target=read)
    reader.start()
    handler.close()
    handler._stream.close()
    reader.join()
    assert "lines were dropped: nobody read them" in received.getvalue()
