"""Whatever is asked or handed in, there is a plan or a draft, or a word why not."""

import json
import re
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from kilocam.insight.ask.draft import Draft, Unusable
from kilocam.insight.ask.reading import Intent, Plan, read_question
from kilocam.insight.errors import Invalid

NOW = 20_000 * 86_400_000_000
_WORDS = re.findall(
    r"\S+",
    """
    how many was were there any first last when which camera cameras what said people cars
    red
    gate yard dark recording long is the at in yesterday today "fire" 12 event count find show me
    crossed line with or and walked offline footage colour""",
)
questions = st.lists(st.sampled_from(_WORDS), max_size=12).map(" ".join) | st.text(max_size=80)
QUESTION_WORDS = ["people", "car", "how", "many", "red", "last", "first", "today", "dark", "is",
                  "fire", "or", "which", "camera", "what", "recording", "long"]  # fmt: skip


def read(text: str, cameras: list[str]) -> Plan | None:
    try:
        return read_question(text, cameras=cameras, now_us=NOW)
    except Invalid:
        return None


@given(questions)
def test_a_question_is_a_plan_or_refused(text: str) -> None:
    plan = read(text, ["gate", "yard", "cam-12"])
    if plan is None or plan.intent in (Intent.EVENT, Intent.SIMILAR):
        return
    assert set(plan.cameras) <= {"gate", "yard", "cam-12"}
    assert (plan.from_us is None) == (plan.to_us is None)


@given(questions, st.lists(st.sampled_from(QUESTION_WORDS), unique=True, max_size=5))
def test_cameras_called_by_words_of_questions_change_no_plan(text: str, named: list[str]) -> None:
    if any(f"camera {name}" in text or f"{name} camera" in text for name in named):
        return
    if any(f"cameras {name}" in text or f"cam {name}" in text for name in named):
        return
    assert read(text, ["gate", "yard"]) == read(text, ["gate", "yard", *named])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["kind", "answer", "event_ids", "x"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@given(json_values.map(json.dumps) | st.text(max_size=60))
def test_a_draft_is_read_or_falls(arguments: str) -> None:
    with suppress(Unusable):
        assert isinstance(Draft.read(arguments).text, str)
