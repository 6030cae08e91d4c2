"""Questions over real footage, asked of a whole Kilocam, against answers that are known for sure.

    python -m bench.ask [--seconds 150]

Right: the answer is what `questions.toml` expects. Cited well: each cited event is one that the API
has, with the same camera, times and link, of the camera and class that the question is about.
Invented: a cited event that the API does not have, or an answer where a refusal was due.
"""

import argparse
import json
import sys
import time
import tomllib
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.looking import table
from bench.telling import signed, spoken
from tests.fakes.house import House, house

from kilocam.analyse import cache_directory
from kilocam.cli.demo import DemoFootage, open_outdoor
from kilocam.simulate import Group

QUESTIONS = Path(__file__).with_name("questions.toml")
SHED = '[[camera]]\nid = "shed"\nurl = "rtsp://127.0.0.1:9/nobody"\n'
LEAST_RIGHT = 0.7


@dataclass(kw_only=True)
class Result:
    """What came of all questions."""

    asked: int = 0
    right: int = 0
    cited: int = 0
    cited_badly: int = 0
    invented: int = 0
    took_ms: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def prove(seconds: float) -> Result:
    """Cameras play for so long, then everything is asked."""
    footage = DemoFootage.find(cache_directory())
    films = {file.stem: open_outdoor(file, footage) for file in footage.outdoor}
    groups = [
        Group(count=1, source=films["vtest"]),
        Group(count=1, source=films["bikes"]),
        Group(count=1, source=signed()),
        Group(count=1, source=spoken()[0]),
    ]
    result = Result()
    with house(groups=groups, extra=SHED) as it:
        it.wait_ready(seconds=300)
        it.wait_recording(180)
        time.sleep(seconds)
        for question in tomllib.loads(QUESTIONS.read_text())["question"]:
            _judge(it, question, result)
    return result


def _judge(it: House, question: dict[str, str], result: Result) -> None:
    began = time.monotonic()
    told = _ask(it, question["text"])
    result.took_ms.append(round((time.monotonic() - began) * 1000, 1))
    result.asked += 1
    if _fits(told, question):
        result.right += 1
    else:
        result.wrong.append(f"{question['text']} -> {told['answer'][:200]}")
    if question["expect"] == "refused" and not told["refused"]:
        result.invented += 1
    for cited in told["citations"]:
        result.cited += 1
        event = _event(it, cited["event_id"])
        if event is None:
            result.invented += 1
            continue
        # An event that goes on ends later now than it did in the answer.
        same = all(event[key] == cited[key] for key in ("camera", "start"))
        meant = all(event[key] == question.get(key, event[key]) for key in ("camera", "class"))
        result.cited_badly += not (same and meant)


def _fits(told: dict[str, Any], question: dict[str, str]) -> bool:
    answer, expect = told["answer"], question["expect"]
    if told["refused"] or expect == "refused":
        return bool(told["refused"]) and expect == "refused"
    match expect:
        case "yes":
            return answer.startswith("Yes:") and bool(told["citations"])
        case "no":
            return answer.startswith("No ") and not told["citations"]
        case "open":
            return answer.startswith("No ") and "so this is not proven" in answer
        case _:
            return question["holds"].lower() in answer.lower()


def _ask(it: House, question: str) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{it.url}/v1/ask",
        data=json.dumps({"question": question}).encode(),
        headers={"Authorization": f"Bearer {it.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=90) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def _event(it: House, id_: str) -> dict[str, Any] | None:
    try:
        event: dict[str, Any] = it.get_json(f"/v1/events/{id_}")
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return None
    return event


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=150)
    result = prove(parser.parse_args().seconds)
    for line in result.wrong:
        print(line, file=sys.stderr)
    share = result.right / result.asked
    took = sorted(result.took_ms)
    rows = [
        (f"right, of {result.asked}", round(share, 3), f">= {LEAST_RIGHT}", share >= LEAST_RIGHT),
        (f"cited badly, of {result.cited}", result.cited_badly, "0", not result.cited_badly),
        ("invented", result.invented, "0", not result.invented),
        ("median, ms", took[len(took) // 2], "", True),
        ("slowest, ms", took[-1], "", True),
    ]
    print(table(rows))
    return 0 if all(held for *_, held in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
