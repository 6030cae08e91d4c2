import pytest

from kilocam.rtsp.depacketize import RawDepacketizer, UnitKind, format_parameters


@pytest.mark.parametrize(
    ("fmtp", "found"),
    [
        ("a=1;b=64001f", {"a": "1", "b": "64001f"}),
        ("96 packetization-mode=1; Config=1408;", {"packetization-mode": "1", "config": "1408"}),
        ("sprop-parameter-sets=Z00=,aO4=", {"sprop-parameter-sets": "Z00=,aO4="}),
        ("", {}),
        (" ; ;;", {}),
        ("96", {"96": ""}),
    ],
)  # fmt: skip
def test_parameters_of_a_format_are_read(fmtp: str, found: dict[str, str]) -> None:
    assert format_parameters(fmtp) == found


def test_packets_of_an_unknown_codec_pass_through() -> None:
    sound = RawDepacketizer(3, key=True)
    (unit,) = sound.push(b"ulaw", 160, marker=False, lost=2)
    assert (unit.track, unit.kind, unit.ts, unit.units) == (3, UnitKind.RAW, 160, (b"ulaw",))
    assert unit.key
    assert not unit.damaged
    picture = RawDepacketizer(0, key=False)
    assert picture.push(b"hevc", 0, marker=True, lost=1)[0].damaged
    assert picture.push(b"", 0, marker=True, lost=0) == []
    assert picture.settle() == picture.flush() == []
