"""AAC: AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1) and ADTS (13818-7 section 6.2)."""

from dataclasses import dataclass

from kilocam.bitstream.bits import BitReader, BitWriter
from kilocam.bitstream.errors import BitstreamError

_RATES = (
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
)  # fmt: skip
_EXPLICIT_RATE = 15
_SBR, _PS = 5, 29
_GENERAL = frozenset({1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23})
"""Object types that go on with GASpecificConfig."""
_ADTS_HEADER = 7
_MOST_CHANNELS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSpecificConfig:
    """How an AAC stream is coded; `sample_rate` is the core's, `output_rate` what is heard."""

    object_type: int
    sample_rate: int
    channel_configuration: int
    frame_samples: int = 1024
    """Samples per frame at `sample_rate`: 1024, or 960 where frameLengthFlag says so."""
    output_rate: int = 0
    """Twice the core's rate with spectral band replication signalled; 0 stands for equal."""

    @property
    def channels(self) -> int:
        """Channels; 0 when a program config element tells."""
        return _MOST_CHANNELS if self.channel_configuration == 7 else self.channel_configuration

    @property
    def codec_string(self) -> str:
        """RFC 6381 name: `mp4a.40.2`."""
        return f"mp4a.40.{self.object_type}"

    def to_bytes(self) -> bytes:
        """The record as it stands in SDP (`config=`) and MP4, without explicit SBR."""
        bits = BitWriter()
        if self.object_type < 31:
            bits.u(5, self.object_type)
        else:
            bits.u(5, 31)
            bits.u(6, self.object_type - 32)
        if self.sample_rate in _RATES:
            bits.u(4, _RATES.index(self.sample_rate))
        else:
            bits.u(4, _EXPLICIT_RATE)
            bits.u(24, self.sample_rate)
        bits.u(4, self.channel_configuration)
        bits.u(1, self.frame_samples == 960)
        bits.u(2, 0)  # dependsOnCoreCoder, extensionFlag
        return bits.to_bytes()


def parse_audio_config(data: bytes) -> AudioSpecificConfig:
    """Read an AudioSpecificConfig.

    Raises:
        BitstreamError: it is cut off or names a reserved rate or channel configuration.
    """
    bits = BitReader(data[:64])
    object_type, rate, channels = _object_type(bits), _rate(bits), bits.u(4)
    output_rate = 0
    if object_type in (_SBR, _PS):
        output_rate = _rate(bits)
        object_type = _object_type(bits)
    if channels > 7:
        raise BitstreamError(f"channelConfiguration {channels} is reserved")
    short = object_type in _GENERAL and bits.left > 0 and bits.flag()
    return AudioSpecificConfig(
        object_type=object_type,
        sample_rate=rate,
        channel_configuration=channels,
        frame_samples=960 if short else 1024,
        output_rate=output_rate,
    )


def _object_type(bits: BitReader) -> int:
    kind = bits.u(5)
    return 32 + bits.u(6) if kind == 31 else kind


def _rate(bits: BitReader) -> int:
    index = bits.u(4)
    if index == _EXPLICIT_RATE:
        rate = bits.u(24)
        if rate:
            return rate
    elif index < len(_RATES):
        return _RATES[index]
    raise BitstreamError(f"samplingFrequencyIndex {index} gives no rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdtsHeader:
    """The header of one ADTS frame."""

    config: AudioSpecificConfig
    header_size: int
    """7 bytes, 9 with a checksum."""
    frame_size: int
    """Header and data."""


def parse_adts(data: bytes) -> AdtsHeader:
    """Read the ADTS header that `data` begins with.

    Raises:
        BitstreamError: it is none, is cut off, or holds several raw data blocks.
    """
    if len(data) < _ADTS_HEADER or data[0] != 0xFF or data[1] & 0xF6 != 0xF0:
        raise BitstreamError("no ADTS header")
    rate_index = data[2] >> 2 & 15
    size = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
    header = _ADTS_HEADER if data[1] & 1 else _ADTS_HEADER + 2
    if rate_index >= len(_RATES) or size < header:
        raise BitstreamError("ADTS header with a reserved rate or an impossible length")
    if data[6] & 3:
        raise BitstreamError("ADTS frame with several raw data blocks")
    return AdtsHeader(
        config=AudioSpecificConfig(
            object_type=(data[2] >> 6) + 1,
            sample_rate=_RATES[rate_index],
            channel_configuration=(data[2] & 1) << 2 | data[3] >> 6,
        ),
        header_size=header,
        frame_size=size,
    )


def split_adts(data: bytes) -> list[bytes]:
    """The bare AAC frames of a run of ADTS frames that fills `data` exactly.

    Raises:
        BitstreamError: it does not.
    """
    frames = []
    pos = 0
    while pos < len(data):
        header = parse_adts(data[pos : pos + _ADTS_HEADER])
        end = pos + header.frame_size
        if end > len(data):
            raise BitstreamError("ADTS frame reaches beyond the data")
        frames.append(data[pos + header.header_size : end])
        pos = end
    return frames
