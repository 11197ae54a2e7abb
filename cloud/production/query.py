"""What queries of the production API name: a node of the plant, production days, a span of time."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, cast
from uuid import UUID

from fastapi import Depends, Query, Request

from cloud.core.errors import Invalid
from cloud.core.instants import Instant
from cloud.production.schemas import Day, Node, NodeKind, Span
from cloud.production.service import Production
from protocols.text import Text

LONGEST_SPAN = timedelta(days=400)


def production_of(request: Request) -> Production:
    """Return the running cloud's production domain."""
    return cast(Production, request.app.state.production)


def node_of(
    node: Annotated[NodeKind, Query(description="What `node_id` is.")],
    node_id: Annotated[UUID, Query(description="A site, a line or a piece of equipment.")],
) -> Node:
    """Return the node a query names."""
    return Node(kind=node, id=node_id)


class Days:
    """The production days `first_day` to `last_day`, at most 400."""

    def __init__(self, first_day: Day, last_day: Day) -> None:
        if not timedelta(0) <= last_day - first_day < LONGEST_SPAN:
            raise Invalid(
                Text(
                    "first_day must not be after last_day, and at most 399 days before it.",
                    "first_day 不得晚于 last_day，且间隔不超过 399 天。",
                )
            )
        self.first, self.last = first_day, last_day


ProductionDoor = Annotated[Production, Depends(production_of)]
NodeQuery = Annotated[Node, Depends(node_of)]
DaysQuery = Annotated[Days, Depends()]


def span_of(start: Instant, end: Instant) -> Span:
    """Return [start, end), at most 400 days."""
    if not timedelta(0) < end - start <= LONGEST_SPAN:
        raise Invalid(
            Text("start must be before end, by at most 400 days.", "start 必须早于 end，且间隔不超过 400 天。")
        )
    return Span(start=start, end=end)


SpanQuery = Annotated[Span, Depends(span_of)]
