"""What a trend shows, and its address: every look at curves has a link that shows it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

MOST_SERIES = 8
SHORTEST, LONGEST = timedelta(seconds=10), timedelta(days=3 * 366)

Compare = Literal["none", "span", "shift", "day", "week"]
"""Nothing; the span just before, as long as the one shown; the same time within the shift before; the same time a day or a
week earlier on the site's clock."""

Span = tuple[datetime, datetime]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class TrendView:
    """The curves of `series` over `length`: up to `end`, or up to now where there is none."""

    series: tuple[int, ...] = ()
    length: timedelta = timedelta(hours=8)
    end: datetime | None = None
    compare: Compare = "none"

    @classmethod
    def read(cls, query: Mapping[str, str]) -> TrendView:
        """Return the view an address asks for; what no address of ours says is left as it is by default."""
        ids = [int(part) for part in query.get("s", "").split(".") if part.isascii() and part.isdigit()]
        compare: Compare = next((known for known in get_args(Compare) if known == query.get("compare")), "none")
        view = cls(tuple(dict.fromkeys(one for one in ids if one < 2**31))[:MOST_SERIES], compare=compare)
        start, end = _instant(query.get("from", "")), _instant(query.get("to", ""))
        if start and end and start < end:
            return view.over(start, end)
        last = query.get("last", "")
        if last[:-1].isascii() and last[:-1].isdigit() and len(last) < 12 and last[-1] in _UNITS:
            return replace(view, length=_kept(timedelta(seconds=int(last[:-1]) * _UNITS[last[-1]])))
        return view

    @property
    def address(self) -> str:
        """The page's address with this view in it."""
        query: dict[str, str] = {}
        if self.series:
            query["s"] = ".".join(map(str, self.series))
        if self.end is None:
            seconds = int(self.length.total_seconds())
            unit = next(name for name, size in reversed(_UNITS.items()) if seconds % size == 0)
            query["last"] = f"{seconds // _UNITS[unit]}{unit}"
        else:
            query |= {"from": (self.end - self.length).strftime(_STAMP), "to": self.end.strftime(_STAMP)}
        if self.compare != "none":
            query["compare"] = self.compare
        return f"/trends?{urlencode(query)}"

    def span(self, now: datetime) -> Span:
        """Return the beginning and the end of what is shown."""
        end = self.end or now
        return end - self.length, end

    def over(self, start: datetime, end: datetime) -> TrendView:
        """Return the view of a given span, to the second, not shorter nor longer than curves make sense for."""
        end = end.astimezone(UTC).replace(microsecond=0)
        return replace(self, end=end, length=_kept(end - start.astimezone(UTC).replace(microsecond=0)))

    def zoomed_out(self, now: datetime) -> TrendView:
        """Return the view of three times the span around the middle of this one, not beyond now."""
        start, end = self.span(now)
        return self.over(start - self.length, min(end + self.length, max(now, end)))

    def moved(self, now: datetime, share: float) -> TrendView:
        """Return the view moved by a share of its length, to the past for a negative one; not beyond now."""
        _, end = self.span(now)
        to = min(end + self.length * share, max(now, end) if share > 0 else end)
        return self.over(to - self.length, to)

    def toggled(self, series: int) -> TrendView:
        """Return the view with a series added at the end, or taken away."""
        if series in self.series:
            return replace(self, series=tuple(one for one in self.series if one != series))
        return replace(self, series=(*self.series, series))

    def compared_span(self, now: datetime, zone: ZoneInfo, shifts: Sequence[Span] = ()) -> Span | None:
        """Return the span to compare with; a day or a week earlier is the same time on the site's clock.

        `shifts` begin and end in order of time; None where they do not tell which shift this one is and which came before.
        """
        start, end = self.span(now)
        if self.compare == "none":
            return None
        if self.compare == "span":
            return start - self.length, start
        if self.compare == "shift":
            begun = [shift for shift in shifts if shift[0] <= start]
            if len(begun) < 2 or begun[-1][1] <= start:
                return None
            earlier_by = begun[-1][0] - begun[-2][0]
            return start - earlier_by, end - earlier_by
        days = timedelta(days=7 if self.compare == "week" else 1)
        walls = [
            (instant.astimezone(zone).replace(tzinfo=None) - days).replace(tzinfo=zone) for instant in (start, end)
        ]
        return walls[0].astimezone(UTC), walls[1].astimezone(UTC)


def _kept(length: timedelta) -> timedelta:
    return min(max(length, SHORTEST), LONGEST)


def _instant(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
