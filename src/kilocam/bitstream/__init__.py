"""What the bytes of H.264, H.265, AAC and Opus mean, without decoding them.

Owns: NAL units, parameter sets, slice headers, key frames, the quantiser, AAC and Opus headers,
and the records MP4 wants of them.
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
from kilocam.bitstream.errors import BitsExhausted, BitstreamError
from kilocam.bitstream.h265 import (
    H265Kind,
    h265_kind,
    is_h265_base,
    is_h265_first_slice,
    is_h265_key,
    is_h265_leading,
    is_h265_picture,
    is_irap,
)
from kilocam.bitstream.h265_config import (
    build_h265_config,
    parse_h265_config,
)
from kilocam.bitstream.h265_pps import H265Pps, parse_h265_pps
from kilocam.bitstream.h265_quantiser import H265QpReader
from kilocam.bitstream.h265_slices import (
    H265SliceHeader,
    H265SliceKind,
    parse_h265_slice,
)
from kilocam.bitstream.h265_sps import (
    H265Coding,
    H265Sps,
    parse_h265_coding,
    parse_h265_sps,
)
from kilocam.bitstream.nal import (
    NalKind,
    escape,
    is_picture,
    join_avcc,
    nal_kind,
    split_annex_b,
    split_avcc,
    unescape,
)
from kilocam.bitstream.opus import opus_samples
from kilocam.bitstream.pictures import (
    is_first_slice,
    is_idr,
    is_key,
    is_leading,
)
from kilocam.bitstream.pps import Pps, parse_pps
from kilocam.bitstream.quantiser import QpReader
from kilocam.bitstream.slices import (
    SliceHeader,
    SliceKind,
    parse_slice_header,
    slice_kind,
)
from kilocam.bitstream.sps import Sps, Vui, parse_sps

__all__ = [
    "AdtsHeader",
    "AudioSpecificConfig",
    "BitReader",
    "BitWriter",
    "BitsExhausted",
    "BitstreamError",
    "H265Coding",
    "H265Kind",
    "H265Pps",
    "H265QpReader",
    "H265SliceHeader",
    "H265SliceKind",
    "H265Sps",
    "NalKind",
    "Pps",
    "QpReader",
    "SliceHeader",
    "SliceKind",
    "Sps",
    "Vui",
    "build_avc_config",
    "build_h265_config",
    "escape",
    "h265_kind",
    "is_first_slice",
    "is_h265_base",
    "is_h265_first_slice",
    "is_h265_key",
    "is_h265_leading",
    "is_h265_picture",
    "is_idr",
    "is_irap",
    "is_key",
    "is_leading",
    "is_picture",
    "join_avcc",
    "nal_kind",
    "opus_samples",
    "parse_adts",
    "parse_audio_config",
    "parse_avc_config",
    "parse_h265_coding",
    "parse_h265_config",
    "parse_h265_pps",
    "parse_h265_slice",
    "parse_h265_sps",
    "parse_pps",
    "parse_slice_header",
    "parse_sps",
    "slice_kind",
    "split_adts",
    "split_annex_b",
    "split_avcc",
    "unescape",
]
