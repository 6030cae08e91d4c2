from kilocam.api.operations.footage import header_text


def test_what_a_camera_calls_its_codec_breaks_no_header() -> None:
    sent = "track 1 (audio, \N{GREEK CAPITAL LETTER OMEGA}\x00\r\nSet-Cookie: a) is recorded"
    assert header_text(sent) == "track 1 (audio, ????Set-Cookie: a) is recorded"
    assert len(header_text("x" * 100_000)) == 1000
