from kilocam.analyse.look import Findings, LookOutcome, Memory
from kilocam.analyse.memory import REMEMBERED, Memories
from kilocam.core import CameraKey, Window

GATE = CameraKey("default", "gate")
S = 1_000_000


def _outcome(second: int) -> LookOutcome:
    window = Window(tenant="default", camera="gate", start_us=second * S, end_us=(second + 2) * S)
    findings = Findings(window=window, objects=(), changed=None, stages={})
    return LookOutcome(
        before=None,
        findings=findings,
        memory=Memory(detected_us=second, tracker=b"t%d" % second, last=findings),
        stages={},
        changed=False,
        found=False,
    )


def test_a_camera_never_looked_at_has_nothing_to_remember() -> None:
    assert Memories().recall(GATE, 0) == Memory()


def test_a_look_goes_on_from_the_one_before_it() -> None:
    memories = Memories()
    memories.keep(GATE, _outcome(2))
    assert memories.recall(GATE, 4 * S).tracker == b"t2"


def test_a_window_caught_up_goes_on_from_its_neighbour_and_with_the_newest_background() -> None:
    memories = Memories()
    for second in (2, 10, 4):
        memories.keep(GATE, _outcome(second))
    past = memories.recall(GATE, 6 * S)
    assert (past.tracker, past.detected_us) == (b"t4", 10)
    assert memories.recall(GATE, 12 * S).tracker == b"t10"
    assert memories.recall(GATE, 1 * S).tracker == b""


def test_what_a_clock_dated_that_was_put_back_is_not_gone_on_from() -> None:
    memories = Memories()
    memories.keep(GATE, _outcome(90_000))
    assert memories.recall(GATE, 4 * S, newest=True) == Memory()
    memories.keep(GATE, _outcome(4))
    past = memories.recall(GATE, 6 * S, newest=True)
    assert (past.tracker, past.detected_us) == (b"t4", 4)


def test_what_is_remembered_of_a_camera_is_bounded() -> None:
    memories = Memories()
    for second in range(2, 40, 2):
        memories.keep(GATE, _outcome(second))
    assert memories.recall(GATE, (38 - 2 * REMEMBERED) * S + 1).tracker == b""
    assert memories.recall(GATE, 99 * S).tracker == b"t38"


def test_a_partition_is_forgotten_with_its_cameras() -> None:
    memories = Memories()
    memories.keep(GATE, _outcome(2))
    memories.forget(GATE.partition)
    assert memories.recall(GATE, 4 * S) == Memory()
