import pytest

from kilocam.bitstream import (
    AudioSpecificConfig,
    BitstreamError,
    parse_adts,
    parse_audio_config,
    split_adts,
)


def _adts(frame: bytes, *, checksum: bool = False) -> bytes:
    """AAC-LC, 16 kHz, mono."""
    size = len(frame) + (9 if checksum else 7)
    head = bytes((0xFF, 0xF0 if checksum else 0xF1, 0x60, 0x40 | size >> 11, size >> 3 & 255,
                  (size & 7) << 5 | 31, 0xFC))  # fmt: skip
    return head + (b"\0\0" if checksum else b"") + frame


def test_a_usual_config_is_read() -> None:
    config = parse_audio_config(bytes.fromhex("1408"))
    assert config == AudioSpecificConfig(object_type=2, sample_rate=16000, channel_configuration=1)
    assert config.codec_string == "mp4a.40.2"
    assert config.to_bytes() == bytes.fromhex("1408")


def test_an_explicit_rate_and_short_frames_are_read() -> None:
    config = AudioSpecificConfig(
        object_type=2, sample_rate=12345, channel_configuration=7, frame_samples=960
    )
    assert parse_audio_config(config.to_bytes()) == config
    assert config.channels == 8


def test_object_types_above_30_take_eleven_bits() -> None:
    config = AudioSpecificConfig(object_type=39, sample_rate=48000, channel_configuration=2)
    assert parse_audio_config(config.to_bytes()).object_type == 39


def test_spectral_band_replication_tells_both_rates() -> None:
    config = parse_audio_config(bytes.fromhex("2b920800"))  # HE-AAC: 22.05 kHz core, 44.1 kHz out
    assert (config.object_type, config.sample_rate, config.output_rate) == (2, 22050, 44100)


@pytest.mark.parametrize("text", ["", "14", "1688", "17 80 00 00", "1478"])
def test_a_config_that_makes_no_sense_is_an_error(text: str) -> None:
    with pytest.raises(BitstreamError):
        parse_audio_config(bytes.fromhex(text))


def test_adts_frames_lose_their_headers() -> None:
    data = _adts(b"first") + _adts(b"second", checksum=True)
    assert split_adts(data) == [b"first", b"second"]
    header = parse_adts(data)
    assert header.config.to_bytes() == bytes.fromhex("1408")
    assert (header.header_size, header.frame_size) == (7, 12)


@pytest.mark.parametrize("cut", [3, 10])
def test_adts_that_is_cut_off_is_an_error(cut: int) -> None:
    with pytest.raises(BitstreamError):
        split_adts(_adts(b"first")[:cut])


def test_adts_with_a_reserved_rate_or_several_blocks_is_an_error() -> None:
    frame = bytearray(_adts(b"first"))
    frame[2] |= 0x3C
    with pytest.raises(BitstreamError, match="reserved rate"):
        parse_adts(bytes(frame))
    frame = bytearray(_adts(b"first"))
    frame[6] |= 1
    with pytest.raises(BitstreamError, match="several"):
        parse_adts(bytes(frame))
