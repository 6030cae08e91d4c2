"""Which models there are and what they do, from the analyst to whoever asks: a file in `DATA/run`.

Its content is the answer of `GET /v1/models`. It stands in a file so that the gateway need not load
what looks; like the cameras' (`camera_board.py`) it is worthless after a stop.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from kilocam.analyse import LISTENER, READER, Manifest, Trial, Verdict
from kilocam.cli.supervise_state import write_whole
from kilocam.core import format_time


def listing(
    manifests: Iterable[Manifest],
    *,
    configured: Manifest | None,
    looking: Manifest | None,
    candidate: Manifest | None,
    trial: Trial | None,
    likeness: Manifest | None,
    problem: str,
    likeness_problem: str = "",
) -> dict[str, object]:
    """The answer, as `kilocam.api.operations.models` has it."""
    items = []
    for manifest in manifests:
        on_trial = _same(manifest, candidate)
        if looking is not None and _same(manifest, configured):
            role = "current" if _same(manifest, looking) else "replaced"
        elif on_trial:
            verdict = trial.verdict if trial is not None else Verdict.UNDECIDED
            role = "canary" if verdict is Verdict.UNDECIDED else str(verdict)
        elif _same(manifest, likeness):
            role = "likeness"
        else:
            role = {READER: "reader", LISTENER: "listener"}.get(manifest.name, "idle")
        items.append(_shown(manifest, role, trial if on_trial else None))
    return {
        "items": items,
        "next_cursor": None,
        "problem": problem,
        "likeness_problem": likeness_problem,
    }


def write_models(file: Path, models: dict[str, object]) -> None:
    """Replace the file (blocking)."""
    write_whole(file, json.dumps(models))


def _same(one: Manifest, other: Manifest | None) -> bool:
    return other is not None and one.reference == other.reference


def _shown(manifest: Manifest, role: str, trial: Trial | None) -> dict[str, object]:
    return {
        "name": manifest.name,
        "version": manifest.version,
        "sha256": manifest.sha256,
        "licence": manifest.licence,
        "source": manifest.source,
        "runtime": manifest.runtime,
        "input": list(manifest.input),
        "classes": sorted(set(manifest.classes.values())),
        "role": role,
        "trial": None if trial is None else _trial(trial),
    }


def _trial(trial: Trial) -> dict[str, object]:
    tally = trial.tally
    return {
        "beside": trial.current,
        "verdict": str(trial.verdict),
        "why": trial.why,
        "begun": format_time(trial.begun_us),
        "decided": format_time(trial.decided_us) if trial.decided_us else None,
        "looks": tally.looks,
        "failed": tally.failed,
        "kinds": {kind: asdict(of) for kind, of in tally.kinds.items()},
        "cost_us": tally.cost_us,
        "candidate_cost_us": tally.candidate_cost_us,
    }
