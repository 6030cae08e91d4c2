"""Codecs and containers: samples in, MP4, pictures and sound out; PyAV stays inside.

Owns: samples and their formats, fragmented and plain MP4, decoding, JPEG, reading and drawing
test footage.
Never does: know where bytes come from or what wall time they have.
Start reading at: `samples.py`, then `fmp4.py`.
"""

from kilocam.media.decode import (
    DecodedPicture,
    KeyFrameDecoder,
    Pixels,
    decode_all,
    decode_until,
    encode_jpeg,
)
from kilocam.media.errors import DecodeError, MediaError
from kilocam.media.files import (
    FileSample,
    FileTrack,
    MediaFile,
    Picture,
    Sound,
    decode_pictures,
    encode_media,
    open_media,
)
from kilocam.media.fmp4 import fragment, init_segment
from kilocam.media.formats import aac_format, h265_format, mp4_sound, sound_format, video_format
from kilocam.media.mp4 import Mp4Writer
from kilocam.media.pattern import (
    PatternSpec,
    StillSpec,
    draw_pattern,
    draw_still,
    pattern_media,
    read_frame_number,
    resized,
    still_media,
    write_frame_number,
)
from kilocam.media.samples import (
    AudioFormat,
    Format,
    G711Format,
    H265Format,
    MediaTrack,
    Mp4Sound,
    OpusFormat,
    PictureFormat,
    Sample,
    SoundFormat,
    VideoFormat,
    mime_type,
)
from kilocam.media.sound import SOUND_RATE, HeardSound, SoundDecoder, Waveform, decode_sound
from kilocam.media.transcode import H265Encoding, VideoEncoding

__all__ = [
    "SOUND_RATE",
    "AudioFormat",
    "DecodeError",
    "DecodedPicture",
    "FileSample",
    "FileTrack",
    "Format",
    "G711Format",
    "H265Encoding",
    "H265Format",
    "HeardSound",
    "KeyFrameDecoder",
    "MediaError",
    "MediaFile",
    "MediaTrack",
    "Mp4Sound",
    "Mp4Writer",
    "OpusFormat",
    "PatternSpec",
    "Picture",
    "PictureFormat",
    "Pixels",
    "Sample",
    "Sound",
    "SoundDecoder",
    "SoundFormat",
    "StillSpec",
    "VideoEncoding",
    "VideoFormat",
    "Waveform",
    "aac_format",
    "decode_all",
    "decode_pictures",
    "decode_sound",
    "decode_until",
    "draw_pattern",
    "draw_still",
    "encode_jpeg",
    "encode_media",
    "fragment",
    "h265_format",
    "init_segment",
    "mime_type",
    "mp4_sound",
    "open_media",
    "pattern_media",
    "read_frame_number",
    "resized",
    "sound_format",
    "still_media",
    "video_format",
    "write_frame_number",
]
