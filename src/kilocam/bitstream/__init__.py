"""What the bytes of H.264 and AAC mean, without decoding them.

Owns: NAL units, parameter sets, slice headers, access units, key frames, decoding times, the
quantiser, AAC and G.711 headers, and the records MP4 wants of them.
Never does: packets, files, input or output; it knows nothing else of ours.
Start reading at: `nal.py`, then `sps.py`.
"""

from kilocam.bitstream.aac import (
    AdtsHeader,
    AudioSpecificConfig,
    parse_adts,
    parse_audio_config,
    split_adts,
)
from kilocam.bitstream.avc_config import build_avc_config, parse_avc_config
from kilocam.bitstream.bits import BitReader, BitWriter
from kilocam.bitstream.decoding_times import DecodingTimes, reorder_depth
from kilocam.bitstream.errors import BitsExhausted, BitstreamError
from kilocam.bitstream.g711 import g711_samples
from kilocam.bitstream.nal import (
    NalKind,
    escape,
    is_picture,
    join_annex_b,
    join_avcc,
    nal_kind,
    split_annex_b,
    split_avcc,
    unescape,
)
from kilocam.bitstream.pictures import (
    AccessUnitBoundary,
    access_units,
    is_first_slice,
    is_idr,
    is_key,
    is_leading,
)
from kilocam.bitstream.pps import Pps, parse_pps
from kilocam.bitstream.quantiser import QpReader
from kilocam.bitstream.slices import (
    PictureOrder,
    SliceHeader,
    SliceKind,
    parse_slice_header,
    slice_kind,
)
from kilocam.bitstream.sps import Sps, Vui, parse_sps

__all__ = [
    "AccessUnitBoundary",
    "AdtsHeader",
    "AudioSpecificConfig",
    "BitReader",
    "BitWriter",
    "BitsExhausted",
    "BitstreamError",
    "DecodingTimes",
    "NalKind",
    "PictureOrder",
    "Pps",
    "QpReader",
    "SliceHeader",
    "SliceKind",
    "Sps",
    "Vui",
    "access_units",
    "build_avc_config",
    "escape",
    "g711_samples",
    "is_first_slice",
    "is_idr",
    "is_key",
    "is_leading",
    "is_picture",
    "join_annex_b",
    "join_avcc",
    "nal_kind",
    "parse_adts",
    "parse_audio_config",
    "parse_avc_config",
    "parse_pps",
    "parse_slice_header",
    "parse_sps",
    "reorder_depth",
    "slice_kind",
    "split_adts",
    "split_annex_b",
    "split_avcc",
    "unescape",
]
