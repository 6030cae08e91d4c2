"""ISO base media file format boxes that every MP4 of ours shares (ISO 14496-12, -14, -15).

Owns: packing of boxes, sample entries and the headers of tracks. Tables of samples belong to
`mp4.py`, fragments to `fmp4.py`.
"""

import struct

from kilocam.media.samples import AudioFormat, Format, MediaTrack, OpusFormat, VideoFormat

MOVIE_TIMESCALE = 90_000
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_UNDETERMINED = 0x55C4
"""ISO 639-2/T "und" in three times five bits."""


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box: size, kind, content."""
    return b"".join((struct.pack(">I4s", 8 + sum(map(len, parts)), kind), *parts))


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """A box with version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def file_type(major: bytes, *compatible: bytes) -> bytes:
    """`ftyp`."""
    return box(b"ftyp", major, struct.pack(">I", 0x200), major, *compatible)


def movie_header(duration: int, next_track: int) -> bytes:
    """`mvhd`; `duration` in ticks of the movie."""
    return full_box(
        b"mvhd", 1, 0,
        struct.pack(">QQIQ", 0, 0, MOVIE_TIMESCALE, duration),
        struct.pack(">IHHQ", 0x10000, 0x100, 0, 0), _MATRIX, bytes(24),
        struct.pack(">I", next_track),
    )  # fmt: skip


def track_box(
    track: MediaTrack, sample_table: bytes, *, shown: int, duration: int, edit: bytes = b""
) -> bytes:
    """`trak` around the tables of a track.

    Args:
        track: whose.
        sample_table: its `stbl`.
        shown: how long it is shown, in ticks of the movie.
        duration: of its media, in its own ticks.
        edit: its `edts` box or nothing.
    """
    media = box(
        b"mdia",
        full_box(
            b"mdhd", 1, 0,
            struct.pack(">QQIQHH", 0, 0, track.timescale, duration, _UNDETERMINED, 0),
        ),
        _handler(track),
        box(b"minf", _media_header(track), _DATA_INFORMATION, sample_table),
    )  # fmt: skip
    return box(b"trak", _track_header(track, shown), edit, media)


def edit_list(shown: int, media_time: int, empty: int = 0) -> bytes:
    """`edts`: the track from `media_time` on, after `empty` ticks of the movie with nothing."""
    entries = [struct.pack(">QqI", shown, media_time, 0x10000)]
    if empty:
        entries.insert(0, struct.pack(">QqI", empty, -1, 0x10000))
    return box(b"edts", full_box(b"elst", 1, 0, struct.pack(">I", len(entries)), b"".join(entries)))


def sample_description(track: MediaTrack) -> bytes:
    """`stsd` with one entry per format."""
    entries = b"".join(_sample_entry(f) for f in track.formats)
    return full_box(b"stsd", 0, 0, struct.pack(">I", len(track.formats)), entries)


def _track_header(track: MediaTrack, shown: int) -> bytes:
    first = track.formats[0]
    width, height = first.display_size if isinstance(first, VideoFormat) else (0, 0)
    volume = 0 if track.video else 0x100
    return full_box(
        b"tkhd", 1, 3,
        struct.pack(">QQIIQ", 0, 0, track.id, 0, shown),
        struct.pack(">QHHHH", 0, 0, 0, volume, 0), _MATRIX,
        struct.pack(">II", width << 16, height << 16),
    )  # fmt: skip


def _handler(track: MediaTrack) -> bytes:
    kind, name = (b"vide", b"video\0") if track.video else (b"soun", b"sound\0")
    return full_box(b"hdlr", 0, 0, bytes(4), kind, bytes(12), name)


def _media_header(track: MediaTrack) -> bytes:
    if track.video:
        return full_box(b"vmhd", 0, 1, bytes(8))
    return full_box(b"smhd", 0, 0, bytes(4))


_DATA_INFORMATION = box(
    b"dinf", full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1))
)


def _sample_entry(entry: Format) -> bytes:
    match entry:
        case VideoFormat():
            return _avc_entry(entry)
        case AudioFormat():
            return _aac_entry(entry)
        case OpusFormat():
            return _opus_entry(entry)


def _avc_entry(entry: VideoFormat) -> bytes:
    """`avc1` (ISO 14496-15 section 5.4.2); `pasp` only where pixels are not square."""
    aspect = b""
    if entry.sar[0] != entry.sar[1]:
        aspect = box(b"pasp", struct.pack(">II", *entry.sar))
    return box(
        b"avc1",
        struct.pack(">6xH16xHH", 1, entry.width, entry.height),
        struct.pack(">III", 0x480000, 0x480000, 0),
        struct.pack(">H32xHh", 1, 24, -1),
        box(b"avcC", entry.config),
        aspect,
    )


def _aac_entry(entry: AudioFormat) -> bytes:
    """`mp4a` with its `esds` (ISO 14496-14 section 5.6)."""
    decoder = _descriptor(
        4, struct.pack(">BBxxxII", 0x40, 0x15, 0, 0), _descriptor(5, entry.config)
    )
    stream = _descriptor(3, struct.pack(">HB", 0, 0), decoder, _descriptor(6, b"\x02"))
    return box(
        b"mp4a",
        struct.pack(">6xH8xHHI", 1, entry.channels, 16, 0),
        # 16.16 fixed point: rates of 64 kHz and over do not fit; the config has the truth.
        struct.pack(">I", (entry.sample_rate << 16) & 0xFFFFFFFF),
        full_box(b"esds", 0, 0, stream),
    )


def _opus_entry(entry: OpusFormat) -> bytes:
    """`Opus` (Encapsulation of Opus in ISO BMFF, section 4.3.1)."""
    return box(
        b"Opus",
        struct.pack(">6xH8xHHI", 1, 2, 16, 0),
        struct.pack(">I", 48_000 << 16),
        box(b"dOps", entry.config),
    )


def _descriptor(tag: int, *parts: bytes) -> bytes:
    """An MPEG-4 descriptor with a length of four bytes (ISO 14496-1 section 8.3.3)."""
    size = sum(map(len, parts))
    length = bytes((size >> 21 & 127 | 128, size >> 14 & 127 | 128, size >> 7 & 127 | 128))
    return b"".join((bytes((tag,)), length, bytes((size & 127,)), *parts))
