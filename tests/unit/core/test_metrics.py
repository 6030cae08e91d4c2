import os
import time
from pathlib import Path

from kilocam.core.metrics import STALE_S, MetricsPage, collect_metrics


def test_every_sample_says_which_process_it_is_from() -> None:
    page = MetricsPage(process="recorder-0", role="recorder")
    metrics = page.metrics("record")
    metrics.counter("drops", "Dropped.", ["cause"]).labels("ring, full").inc(2)
    metrics.gauge("ring_bytes", "Waiting.").set(7)
    metrics.histogram("write_seconds", "Writes.", [0.1, 1]).observe(0.5)
    lines = page.text().splitlines()
    own = 'process="recorder-0",role="recorder"'
    assert f'kilocam_record_drops_total{{{own},cause="ring, full"}} 2.0' in lines
    assert f"kilocam_record_ring_bytes{{{own}}} 7.0" in lines
    assert f'kilocam_record_write_seconds_bucket{{{own},le="1.0"}} 1.0' in lines
    assert all(own in line for line in lines if not line.startswith("#"))


def test_plain_attributes_are_read_when_the_page_is_written() -> None:
    page = MetricsPage(process="a", role="a")
    packets = 0
    states = {"recording": 3, "stalled": 1}
    metrics = page.metrics("ingest")
    metrics.watch_counter("packets", "Packets.", lambda: packets)
    metrics.watch_gauge("lag_seconds", "Lag.", lambda: 0.5)
    metrics.watch_gauges(
        "cameras", "By state.", ["state"], lambda: [((k,), v) for k, v in states.items()]
    )
    packets = 5
    text = page.text()
    assert 'kilocam_ingest_packets_total{process="a",role="a"} 5.0\n' in text
    assert 'kilocam_ingest_lag_seconds{process="a",role="a"} 0.5\n' in text
    assert 'kilocam_ingest_cameras{process="a",role="a",state="stalled"} 1.0\n' in text


def test_pages_are_merged_by_metric_with_one_head_each(tmp_path: Path) -> None:
    for process in ("recorder-0", "recorder-1"):
        page = MetricsPage(process=process, role="recorder")
        page.metrics("record").gauge("files", "Files.").set(1)
        page.metrics("ingest").gauge("cameras", "Cameras.").set(1)
        page.write(tmp_path / "metrics", page.text())
    lines = collect_metrics(tmp_path / "metrics").splitlines()
    assert lines == [
        "# HELP kilocam_record_files Files.",
        "# TYPE kilocam_record_files gauge",
        'kilocam_record_files{process="recorder-0",role="recorder"} 1.0',
        'kilocam_record_files{process="recorder-1",role="recorder"} 1.0',
        "# HELP kilocam_ingest_cameras Cameras.",
        "# TYPE kilocam_ingest_cameras gauge",
        'kilocam_ingest_cameras{process="recorder-0",role="recorder"} 1.0',
        'kilocam_ingest_cameras{process="recorder-1",role="recorder"} 1.0',
    ]


def test_page_of_a_process_that_is_gone_is_left_out(tmp_path: Path) -> None:
    page = MetricsPage(process="analyst-0", role="analyst")
    page.metrics("analyse").gauge("looks", "Looks.").set(1)
    page.write(tmp_path, page.text())
    then = time.time() - STALE_S - 1
    os.utime(tmp_path / "analyst-0.prom", (then, then))
    assert collect_metrics(tmp_path) == ""


def test_no_folder_means_no_metrics(tmp_path: Path) -> None:
    assert collect_metrics(tmp_path / "metrics") == ""
