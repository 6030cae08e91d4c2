"""G.711 and Opus, of which each packet stands alone."""

import pytest

from kilocam.rtsp.depacketize import UnitKind
from kilocam.rtsp.depacketize_sound import SoundDepacketizer

OPUS_20_MS, OPUS_TOO_LONG = b"\xf8body", b"\xfb\x07body"


@pytest.mark.parametrize("kind", [UnitKind.PCMU, UnitKind.PCMA])
def test_bytes_of_g711_are_a_unit_as_they_came(kind: UnitKind) -> None:
    reader = SoundDepacketizer(2, kind)
    units = reader.push(b"\x7f" * 160, 480, marker=True, lost=0)
    units += reader.push(b"\xff", 640, marker=False, lost=0)
    assert [(u.track, u.kind, u.ts, u.units) for u in units] == [
        (2, kind, 480, (b"\x7f" * 160,)),
        (2, kind, 640, (b"\xff",)),
    ]
    assert all(unit.key and not unit.damaged for unit in units)
    assert reader.settle() == reader.flush() == []


def test_a_loss_hurts_none_of_the_packets_that_came() -> None:
    (unit,) = SoundDepacketizer(1, UnitKind.OPUS).push(OPUS_20_MS, 960, marker=False, lost=3)
    assert unit.key
    assert not unit.damaged


def test_what_is_no_opus_packet_says_so() -> None:
    reader = SoundDepacketizer(1, UnitKind.OPUS)
    (unit,) = reader.push(OPUS_TOO_LONG, 0, marker=False, lost=0)
    assert unit.damaged
    # To G.711 every byte is sound.
    (unit,) = SoundDepacketizer(1, UnitKind.PCMA).push(OPUS_TOO_LONG, 0, marker=False, lost=0)
    assert not unit.damaged


@pytest.mark.parametrize("kind", [UnitKind.PCMU, UnitKind.OPUS])
def test_an_empty_packet_is_no_unit(kind: UnitKind) -> None:
    assert SoundDepacketizer(1, kind).push(b"", 0, marker=True, lost=0) == []
