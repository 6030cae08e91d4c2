"""What a section of the table holds: figures, each beside a reference."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measure."""

    name: str
    value: float
    of: int
    """The things counted: objects, sights, windows."""
    reference: float | None = None
    """The same measure of something else; None: there is none worth a number."""
    reference_is: str = ""
    """Of what, by whom; and why it is not comparable where it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What one part of analysis is worth on labelled footage."""

    name: str
    model: str
    """Name and version of what was measured."""
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()
    """Where it fails."""


def table(sections: Sequence[Section]) -> str:
    """For people; Markdown, so that it can be put into documents as it stands."""
    lines: list[str] = []
    for section in sections:
        lines += [f"{section.name}: {section.model}", ""]
        lines += ["| measure | value | of | reference |", "|---|---|---|---|"]
        lines += [
            f"| {each.name} | {each.value:.2f} | {each.of} | {_reference(each)} |"
            for each in section.figures
        ]
        lines += ["", *(f"- {note}" for note in section.notes), *([""] if section.notes else [])]
    return "\n".join(lines).rstrip()


def as_json(sections: Sequence[Section]) -> dict[str, object]:
    """For programs."""
    return {section.name: asdict(section) for section in sections}


def _reference(figure: Figure) -> str:
    number = "" if figure.reference is None else f"{figure.reference:.2f} "
    return f"{number}{figure.reference_is}"
