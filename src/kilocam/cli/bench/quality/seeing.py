"""The detector and the tracker against labels: what is found, and who keeps their identity."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kilocam.analyse.detector import FLOOR, KIND_OF, KINDS, THRESHOLD, Detector, iou
from kilocam.analyse.difference import HEIGHT, WIDTH, Background, compare
from kilocam.analyse.models import Model
from kilocam.analyse.stored import StoredPicture
from kilocam.analyse.tiles import joined, tiles, untiled
from kilocam.analyse.tracker import Tracker
from kilocam.cli.bench.quality.figures import Figure, Section
from kilocam.cli.bench.quality.labels import LabelledPicture, Labels, Seen, Span
from kilocam.cli.bench.quality.scores import (
    Found,
    Identities,
    Matched,
    average_precision,
    identities,
    match,
    tally,
)
from kilocam.core import CameraKey, Detection
from kilocam.media import DecodedPicture

_KEY_S = 2
_WINDOW = 4
"""Labelled pictures in a window of 2 s, as a look at the whole of it takes them."""
_KEPT_OVERLAP = 0.3
"""Of the reference tracker: Bochinski's threshold for few pictures a second."""
_CLOSE = 0.1
"""Overlap of what is in each other's way."""
_FAR = 0.1
"""Of the picture's height."""
_EDGE = 0.005
_BEFORE = {
    ("vtest.avi", "person"): (
        0.95, 0.85, "74 other people of this campus, labelled before this code was written"
    )
}  # fmt: skip
"""Precision and recall that were measured by others."""
_COCO = "COCO mAP .5:.95, 80 classes, as published (Sandler 2018); not comparable: other pictures"
_IOU = "IOU tracker (Bochinski 2017), the same boxes"
_PUBLISHED = (
    "published, for scale: IDF1 .77 of ByteTrack on MOT17 (Zhang 2022); not comparable: "
    "30 pictures a second, a far larger detector"
)

Pictures = Sequence[tuple[LabelledPicture, Sequence[Detection]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A span of a film, and what the detector says of each labelled picture of it."""

    labels: Labels
    span: Span
    aspect: float
    pictures: Pictures


def watch(
    labels: Labels, shown: Iterable[DecodedPicture], detector: Detector, *, enlarge: bool = False
) -> list[Watched]:
    """Run the detector over a film's labelled pictures, as looks run it.

    With `enlarge` over parts of them too, around what differs from a background that is learnt from
    a picture every 2 s.
    """
    wanted = {each.number for span in labels.spans for each in span.pictures}
    found: dict[int, Sequence[Detection]] = {}
    aspect, background = 1.0, None
    for number, each in enumerate(shown):
        picture = StoredPicture(number * 1_000_000 // labels.fps, each)
        if number % (_KEY_S * labels.fps) == 0:
            background = compare(background, picture.grey(WIDTH, HEIGHT), picture.at_us)[1]
        if number in wanted:
            aspect = picture.width / picture.height
            pixels = picture.rgb(detector.width, detector.height)
            found[number] = detector.detect(pixels, aspect, picture.at_us)
            if enlarge:
                found[number] = _enlarged(picture, background, detector, found[number])
        if number >= max(wanted):
            break
    return [
        Watched(
            labels=labels,
            span=span,
            aspect=aspect,
            pictures=[(each, found[each.number]) for each in span.pictures],
        )
        for span in labels.spans
    ]


def _enlarged(
    picture: StoredPicture,
    background: Background | None,
    detector: Detector,
    found: Sequence[Detection],
) -> Sequence[Detection]:
    change, _ = compare(background, picture.grey(WIDTH, HEIGHT), picture.at_us)
    parts: list[Detection] = []
    if change.changed and change.cells is not None:
        for pixels, tile in tiles(picture, change.cells, detector.width, detector.height):
            aspect = picture.width * tile[2] / (picture.height * tile[3])
            parts += untiled(detector.detect(pixels, aspect, picture.at_us), tile)
    return joined([*found, *parts]) if parts else found


def detector_section(model: Model, watched: Sequence[Watched]) -> Section:
    """Precision and recall at the threshold that opens events, by film, use and kind."""
    figures: list[Figure] = []
    for name, some in _by_use(watched).items():
        judged = [each for one in some for each in judge(one, THRESHOLD)]
        for kind in sorted({seen.kind for one in some for p, _ in one.pictures for seen in p.seen}):
            count = tally(judged, kind)
            before = _BEFORE.get((some[0].labels.film, kind), (None, None, ""))
            figures += [
                Figure(name=f"{name}, {kind}: precision", value=count.precision,
                       of=count.right + count.wrong, reference=before[0], reference_is=before[2]),
                Figure(name=f"{name}, {kind}: recall", value=count.recall, of=count.there,
                       reference=before[1], reference_is=before[2]),
            ]  # fmt: skip
        everything = [each for one in some for each in judge(one, FLOOR)]
        people = tally(everything, "person").there
        ap = average_precision(everything, "person")
        figures.append(
            Figure(name=f"{name}, person: AP .5", value=ap, of=people, reference=0.22,
                   reference_is=_COCO)
        )  # fmt: skip
    every = [(one.labels, each) for one in watched for each in judge(one, THRESHOLD)]
    return Section(
        name="detector",
        model=f"{model.manifest.name} {model.manifest.version}, from score {THRESHOLD} up",
        figures=tuple(figures),
        notes=(*_missed(every), *_wrong(every)),
    )


def judge(watched: Watched, least: float) -> list[Matched]:
    """Each picture, with what scored at least so much; kinds without labels are left out."""
    return [
        match(picture, [_found(each) for each in found if _judged(watched, each, least)])
        for picture, found in watched.pictures
    ]


def tracker_section(watched: Sequence[Watched]) -> Section:
    """IDF1 of people, at the two rates at which looks come, beside other trackers and inputs."""
    figures: list[Figure] = []
    notes: list[str] = []
    for one in watched:
        if not one.labels.identities:
            continue
        name = f"{one.labels.film}, {one.span.use}"
        for rate, step in (("2 pictures a second", 1), ("key frames alone", _WINDOW)):
            shown = one.pictures[::step]
            ideal = [(picture, _as_detections(picture, one.labels.fps)) for picture, _ in shown]
            ours = _people(shown, tracked(shown, one.labels.fps, one.aspect, _WINDOW // step))
            plain = _people(shown, overlapping(shown))
            perfect = _people(shown, tracked(ideal, one.labels.fps, one.aspect, _WINDOW // step))
            figures += [
                Figure(name=f"{name}, {rate}: IDF1", value=ours.idf1, of=ours.there,
                       reference=plain.idf1, reference_is=_IOU),
                Figure(name=f"{name}, {rate}: IDF1 if the detector missed nothing",
                       value=perfect.idf1, of=perfect.there,
                       reference=_people(ideal, overlapping(ideal)).idf1, reference_is=_IOU),
            ]  # fmt: skip
            notes.append(f"{name}, {rate}: {ours.objects} people became {ours.tracks} events")
    return Section(
        name="tracker",
        model="kilocam.analyse.tracker, people, on the detector above",
        figures=tuple(figures),
        notes=(*notes, _PUBLISHED),
    )


def tracked(pictures: Pictures, fps: int, aspect: float, window: int) -> list[list[Found]]:
    """What the shipped tracker says is where, picture by picture; `window`: pictures in one."""
    tracker = Tracker(CameraKey("bench", "labels"))
    sights: dict[int, list[Found]] = {}
    for at, (picture, found) in enumerate(pictures):
        at_us = _at_us(picture, fps)
        if at % window == 0:
            tracker.begin(at_us)
        tracker.step(found, at_us, aspect)
        if (at + 1) % window and at + 1 < len(pictures):
            continue
        for track in tracker.tracks:  # the window is over: what it contributes
            for seen in track.seen if track.event_id else ():
                sights.setdefault(seen.at_us, []).append(
                    Found(kind=track.kind, box=seen.box, id=track.event_id)
                )
    return [sights.get(_at_us(picture, fps), []) for picture, _ in pictures]


def overlapping(pictures: Pictures) -> list[list[Found]]:
    """The reference: each track takes what overlaps its last box most, and ends without."""
    tracks: list[Found] = []
    sights: list[list[Found]] = []
    names = 0
    for _, found in pictures:
        free = [_found(each) for each in found if each.score >= THRESHOLD]
        going: list[Found] = []
        for track in tracks:
            fits = [each for each in free if each.kind == track.kind]
            best = max(fits, key=lambda each: iou(each.box, track.box), default=None)
            if best is not None and iou(best.box, track.box) >= _KEPT_OVERLAP:
                free.remove(best)
                going.append(Found(kind=best.kind, box=best.box, id=track.id))
        for each in free:
            going.append(Found(kind=each.kind, box=each.box, id=str(names)))
            names += 1
        tracks = going
        sights.append(going)
    return sights


def _people(shown: Pictures, sights: Sequence[Sequence[Found]]) -> Identities:
    pairs = [(picture, each) for (picture, _), each in zip(shown, sights, strict=True)]
    return identities(pairs, "person")


def _as_detections(picture: LabelledPicture, fps: int) -> list[Detection]:
    at_us = _at_us(picture, fps)
    return [
        Detection(label=KINDS[each.kind][0], score=1.0, box=each.box, at_us=at_us)
        for each in picture.seen
    ]


def _at_us(picture: LabelledPicture, fps: int) -> int:
    return picture.number * 1_000_000 // fps


def _found(detection: Detection) -> Found:
    return Found(kind=KIND_OF[detection.label], box=detection.box, score=detection.score)


def _judged(watched: Watched, found: Detection, least: float) -> bool:
    return found.score >= least and KIND_OF[found.label] in watched.labels.kinds


def _by_use(watched: Sequence[Watched]) -> dict[str, list[Watched]]:
    uses: dict[str, list[Watched]] = {}
    for one in watched:
        uses.setdefault(f"{one.labels.film}, {one.span.use}", []).append(one)
    return uses


def _missed(judged: Sequence[tuple[Labels, Matched]]) -> list[str]:
    """How many of which kinds of objects are missed; each counts for the first reason that fits."""
    there, missed = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for labels, each in judged:
        every = [*each.missed, *(seen for seen, _ in each.right)]
        for seen in every:
            what = seen.kind, _circumstance(labels, seen, every)
            there[what] += 1
            missed[what] += seen in each.missed
    told = {what: f"{missed[what]} of {many} {what[1]}" for what, many in sorted(there.items())}
    return [
        f"{kind}s missed: " + ", ".join(text for (each, _), text in told.items() if each == kind)
        for kind in sorted({kind for kind, _ in there})
    ]


def _circumstance(labels: Labels, seen: Seen, every: Sequence[Seen]) -> str:
    x, _, w, h = seen.box
    if any(iou(cover, seen.box) > _CLOSE for cover in labels.covers):
        return "behind a sign"
    if any(each is not seen and iou(each.box, seen.box) > _CLOSE for each in every):
        return "in front of or behind another"
    if x < _EDGE or x + w > 1 - _EDGE:
        return "cut by the side of the picture"
    return "far away" if h < _FAR else "in plain sight"


def _wrong(judged: Sequence[tuple[Labels, Matched]]) -> list[str]:
    """What was found and is not there, and how much of it lies beside what is."""
    wrong, beside = Counter[str](), Counter[str]()
    for _, each in judged:
        there = [*each.missed, *(seen for seen, _ in each.right)]
        for found in each.wrong:
            wrong[found.kind] += 1
            beside[found.kind] += any(
                seen.kind == found.kind and iou(seen.box, found.box) > _CLOSE for seen in there
            )
    return [
        f"found {kind}s that are none: {many}, {beside[kind]} of them misplaced or around two"
        for kind, many in sorted(wrong.items())
    ]
