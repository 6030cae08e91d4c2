"""Analysis and insights do not know each other: the wiring tells one's errors in the other's."""

import pytest
from typing_extensions import override

from kilocam import insight
from kilocam.analyse import NotYet, Refused, WindowResult
from kilocam.bus import Position
from kilocam.cli.roles.analyst import InsightSink
from kilocam.core import Window
from kilocam.insight import LookedWindow, Windows


class Keeper(Windows):
    """Raises what the test says."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    @override
    async def write(self, result: LookedWindow) -> None:
        raise self.error


RESULT = WindowResult(
    window=Window(tenant="default", camera="gate", start_us=0, end_us=2),
    version="1",
    partition=1,
    position=Position(1, 1),
    looked_us=0,
    objects=(),
)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (insight.NotYet("no place yet"), NotYet),
        (insight.Refused("never"), Refused),
        (insight.Unavailable("the database is away"), insight.Unavailable),
    ],
)
async def test_what_cannot_be_kept_is_told_in_the_words_of_analysis(
    error: Exception, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=str(error)):
        await InsightSink(Keeper(error)).write(RESULT)
