"""Sound to pictures: where a sound's timestamp lies on the pictures' time line.

RTP clocks of two tracks start anywhere and drift apart, so the relation is measured anew every five
minutes, from packets of at most 15 s: by sender reports (RFC 3550 section 6.4.1) where both tracks
have them and they agree with arrival within 0.5 s, else by arrival.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from kilocam.rtsp.depacketize import Depacketizer, RawDepacketizer
from kilocam.rtsp.streamreader import StreamReader, TrackLike, depacketizer_for

SYNC_PERIOD_US = 300_000_000
SYNC_WINDOW_US = 15_000_000
_TRUSTED_S = 0.5
_MASK, _HALF = 0xFFFFFFFF, 0x80000000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """At one moment the sound's timestamp was `sound_ts` and the pictures' `video_ts`."""

    sound_ts: int
    video_ts: int
    sound_rate: int
    video_rate: int

    def ticks(self, ts: int) -> int:
        """The sound's time on the pictures' time line, in ticks of the sound.

        Timestamps of sound are known modulo 2^32 only: readers start anywhere.
        """
        step = (ts - self.sound_ts) & _MASK
        step -= (1 << 32) if step >= _HALF else 0
        return self.heard_at(self.video_ts) + step

    def heard_at(self, video_ts: int) -> int:
        """A time of the pictures in ticks of the sound."""
        return round(video_ts * self.sound_rate / self.video_rate)


def measure_sync(
    video: TrackLike, sound: TrackLike, payloads: Iterable[tuple[bytes, int]]
) -> Sync | None:
    """The relation in some payloads of a session, in order; None when no sound follows a picture.

    Args:
        video: the session's reference track.
        sound: the one to be placed.
        payloads: each with its `media_ts`, see `StreamReader.feed`.
    """

    def depacketize(track: TrackLike) -> Depacketizer:
        # Of pictures only the times matter; their packets need not be put together.
        if track.index == video.index:
            return RawDepacketizer(video.index, key=True)
        return depacketizer_for(track)

    reader = StreamReader((video, sound), depacketize=depacketize)
    behind: list[float] = []
    newest: int | None = None
    reference: tuple[int, int] | None = None
    for payload, media_ts in payloads:
        for unit in reader.feed(payload, media_ts):
            if unit.track == video.index:
                newest = unit.ts
            elif newest is not None:
                reference = reference or (unit.ts, newest)
                since_s = (unit.ts - reference[0]) / sound.clock_rate
                behind.append(newest / video.clock_rate - since_s)
    if reference is None:
        return None
    arrived = Sync(
        sound_ts=reference[0],
        video_ts=round(median(behind) * video.clock_rate),
        sound_rate=sound.clock_rate,
        video_rate=video.clock_rate,
    )
    return _reported(reader, video.index, sound.index, arrived) or arrived


def _reported(reader: StreamReader, video: int, sound: int, arrived: Sync) -> Sync | None:
    """What the sender reports say, if they are to be believed."""
    pictures, sounds = reader.sender_clock(video), reader.sender_clock(sound)
    if pictures is None or sounds is None:
        return None
    told = Sync(
        sound_ts=sounds.ts,
        video_ts=pictures.ts_of(sounds.ntp_us),
        sound_rate=arrived.sound_rate,
        video_rate=arrived.video_rate,
    )
    apart = told.ticks(arrived.sound_ts) - arrived.ticks(arrived.sound_ts)
    return told if abs(apart) <= _TRUSTED_S * arrived.sound_rate else None
