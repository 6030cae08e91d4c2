"""Sounds that go on from one listening to the next are one event."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from kilocam.analyse.results import SOUND, BoxAt, ObjectSeen, event_id
from kilocam.analyse.utterances import Noise, Utterance
from kilocam.core import CameraKey

EVERYWHERE = (0.0, 0.0, 1.0, 1.0)
"""Where something heard is in a picture: sound has no place in it."""
GOES_ON_US = 5_000_000
"""The same sound again after so short a pause is the same."""


@dataclass(slots=True)
class Noises:
    """What sounded last at each camera: one event a label."""

    _last: dict[CameraKey, dict[str, tuple[str, int]]] = field(default_factory=dict)

    def events(self, key: CameraKey, noises: Sequence[Noise]) -> tuple[ObjectSeen, ...]:
        """What noises, in order of time, add to which events."""
        last = dict(self._last.get(key, {}))
        events = []
        for noise in noises:
            id_, end_us = last.get(noise.label, ("", 0))
            opens = not (id_ and 0 <= noise.from_us - end_us <= GOES_ON_US)
            if opens:
                id_ = event_id(key, noise.from_us, 0, noise.label)
            last[noise.label] = id_, noise.to_us
            events.append(heard(noise, id_, SOUND, noise.label, opens=opens))
        return tuple(events)

    def kept(self, key: CameraKey, events: Sequence[ObjectSeen]) -> None:
        """What `events` gave is stored: what comes goes on from there."""
        last = self._last.setdefault(key, {})
        for event in events:
            last[event.text] = event.event_id, event.last_us

    def forget(self, key: CameraKey) -> None:
        """The camera is somebody else's."""
        self._last.pop(key, None)


def heard(
    what: Utterance | Noise, id_: str, label: str, text: str, *, opens: bool = True
) -> ObjectSeen:
    """What something heard adds to its event."""
    return ObjectSeen(
        event_id=id_,
        opens=opens,
        label=label,
        still=False,
        text=text,
        boxes=tuple(
            BoxAt(at_us=at_us, box=EVERYWHERE, score=what.score)
            for at_us in (what.from_us, what.to_us)
        ),
    )
