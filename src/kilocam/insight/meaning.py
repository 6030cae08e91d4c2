"""Search by words and by looks: where a joint model makes vectors of words and of pictures alike.

What full text finds and what looks like the words are two lists, each the best first. Their scores
have nothing in common, so they are fused by rank.
"""

from collections.abc import Sequence
from dataclasses import replace

from kilocam.insight.insight import Insight
from kilocam.insight.likeness import Likeness
from kilocam.insight.seams import Encode
from kilocam.insight.values import Alike, Answer, EventFilter, Found


class Meaning:
    """Searches like `Insight`; everything acts for one tenant, given first."""

    def __init__(self, insight: Insight, likeness: Likeness, encode: Encode) -> None:
        self._insight = insight
        self._likeness = likeness
        self._encode = encode

    async def search(
        self, tenant: str, text: str, wanted: EventFilter, *, limit: int = 20
    ) -> Answer:
        """The events that fit a question in plain words best, by their words and by their looks.

        A question that names nothing but classes, cameras and times asks for no look. One that
        cannot be made into a vector now is answered by words alone.

        Raises:
            Invalid: the question speaks of a time that cannot be read.
        """
        answer = await self._insight.search(tenant, text, wanted, limit=limit)
        if not answer.words or answer.wanted is None:
            return answer
        encoded = await self._encode(text)
        if encoded is None:
            return answer
        alike = await self._likeness.like(tenant, encoded, answer.wanted, limit=limit)
        return fused(answer, alike, limit)


def fused(answer: Answer, alike: Sequence[Alike], limit: int) -> Answer:
    """Both lists as one: who is n-th in one of them gets half of 1/n for it.

    What holds none of the words is in the first list for its class, camera or time alone, and gets
    nothing for that.
    """
    found = {
        each.event.id: replace(each, score=_half(n) if each.matched else 0.0)
        for n, each in enumerate(answer.found)
    }
    for n, each in enumerate(alike):
        before = found.get(each.event.id) or Found(event=each.event, score=0, matched=frozenset())
        found[each.event.id] = replace(before, score=before.score + _half(n))
    order = sorted(found.values(), key=lambda f: (-f.score, -f.event.start_us, f.event.id))
    return replace(answer, found=tuple(order[:limit]))


def _half(place: int) -> float:
    return 0.5 / (1 + place)
