import io
from collections.abc import Callable

import av
import pytest

from kilocam.bitstream import (
    BitstreamError,
    build_avc_config,
    join_avcc,
    nal_kind,
    parse_avc_config,
    split_annex_b,
)

Encode = Callable[..., list[tuple[int, int, bool, bytes]]]


@pytest.mark.parametrize("profile", ["Baseline", "High"])
def test_the_record_is_the_one_ffmpeg_writes(encode: Encode, profile: str) -> None:
    packets = encode(frames=4, profile=profile)
    source = av.open(io.BytesIO(b"".join(p[3] for p in packets)), "r", format="h264")
    file = io.BytesIO()
    with source, av.open(file, "w", format="mp4") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size:
                packet.pts = packet.dts = number
                packet.stream = stream
                sink.mux(packet)
    file.seek(0)
    with av.open(file, "r") as written:
        theirs = written.streams.video[0].codec_context.extradata
    sets = [nal for nal in split_annex_b(packets[0][3]) if nal_kind(nal) in (7, 8)]
    assert build_avc_config(sets) == theirs
    assert parse_avc_config(theirs or b"") == (4, tuple(sets))


def test_a_decoder_takes_record_and_samples(encode: Encode) -> None:
    packets = encode(frames=6, **{"x264-params": "bframes=2"})
    sets = [nal for nal in split_annex_b(packets[0][3]) if nal_kind(nal) in (7, 8)]
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.extradata = build_avc_config(sets)
    pictures = []
    for *_, data in packets:
        pictures += decoder.decode(av.Packet(join_avcc(split_annex_b(data))))
    pictures += decoder.decode(None)
    assert [(p.width, p.height) for p in pictures] == [(322, 182)] * 6


def test_a_missing_parameter_set_is_an_error() -> None:
    with pytest.raises(BitstreamError, match="needed"):
        build_avc_config([b"\x67\x64\x00\x0d"])


@pytest.mark.parametrize("size", [0, 6, 7, 9, 30])
def test_a_record_that_is_cut_off_is_an_error(encode: Encode, size: int) -> None:
    packets = encode(frames=4, profile="High")
    sets = [nal for nal in split_annex_b(packets[0][3]) if nal_kind(nal) in (7, 8)]
    with pytest.raises(BitstreamError):
        parse_avc_config(build_avc_config(sets)[:size])
