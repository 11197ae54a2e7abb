"""Follows things through one's own events and on through those of every company whose live grant shows them.

A company's events are shown to who leads a grant of it with `trace`, never further: a grant from B to A and one from C to B
do not let A see C. A step of another company is told only if it is connected with a thing that the asker's own events name:
it comes of one, or one comes of it. So who learns of a supplier's lot sees what of it came here, not what went elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from cloud.core.audit import canonical
from cloud.core.db import Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.principal import TenantScope
from cloud.core.rows import Row
from cloud.sharing import store
from cloud.sharing.reader import Asker, Moved, Way
from cloud.sharing.schemas import ChainSource, ChainStep, ChainThing, ChainTrace, ReadProof
from cloud.sharing.terms import Terms, TraceDepth
from cloud.traceability.service import MOST_LINKS, MOST_THINGS, Link, Traceability, thing_of
from protocols.text import Text

_PLACES = {"event_time", "kind", "biz_step", "read_point", "biz_location", "disposition"}
"""What is told of an event besides which thing came of which; of `products` the time alone."""


@dataclass
class _Source:
    """Whose events are followed, over which grant (None: one's own), and what has been found in them."""

    scope: TenantScope
    company: str
    trace: TraceDepth | None
    grant: Row | None = None
    span: tuple[datetime, datetime] | None = None
    followed: set[str] = field(default_factory=set)
    links: dict[tuple[str, str], Link] = field(default_factory=dict)


class ChainTracer:
    """The only way to another company's events."""

    def __init__(self, db: Database, traces: Traceability) -> None:
        self._db = db
        self._traces = traces

    async def trace(self, asker: Asker, things: Sequence[str], *, up: bool, way: Way = "api") -> ChainTrace:
        """Follow things to what they were made of, or to what was made of them, and receipt what grants have shown.

        Raises Invalid for what names no thing, NotFound for a thing that neither one's own events name nor a grant shows in
        connection with one that they do.
        """
        asked = list(dict.fromkeys(map(_named, things)))
        for _ in range(3):
            with suppress(Moved):
                return await self._trace(asker, asked, up=up, way=way)
        raise Conflict(Text("A grant is being changed; ask again.", "授权正在变更，请重试。"))

    async def _trace(self, asker: Asker, asked: list[str], *, up: bool, way: Way) -> ChainTrace:
        async with self._db.tenant(asker.scope) as connection:
            company = await store.select_company(connection)
            grants = await store.select_seen(connection)
        own = _Source(asker.scope, company["name"], "full")
        shown = [_source(row) for row in grants]
        # What is shown fully first: of two grants of a company that show the same step, that one tells it.
        sources = [own, *sorted((one for one in shown if one.trace), key=lambda one: one.trace != "full")]
        reached, complete = await self._walk(sources, asked, up=up)
        known = await self._traces.known(asker.scope, reached)
        _keep_told(sources, known, up=up)
        missing = set(asked) - known - {thing for source in sources for pair in source.links for thing in pair}
        if missing:
            raise NotFound(
                Text(
                    f"No event that you may see names {min(missing)}.", f"在您可查看的事件中，没有涉及 {min(missing)}。"
                )
            )
        depths = _depths(asked, sources, up=up)
        steps = {id(source): _steps(source, depths, up=up) for source in sources}
        receipts = await self._receipted(asker, sources, steps, up=up, way=way)
        names: dict[str, set[str]] = {thing: {company["name"]} for thing in known}
        for source in sources:
            for pair in source.links:
                for thing in pair:
                    names.setdefault(thing, set()).add(source.company)
        leading = {made if up else used for source in sources for used, made in source.links}
        met = [thing for thing in sorted(depths, key=lambda one: (depths[one], one)) if depths[thing]]
        return ChainTrace(
            asked=asked,
            direction="up" if up else "down",
            things=[ChainThing(thing=one, depth=depths[one], companies=sorted(names[one])) for one in met],
            ends=[one for one in met if one not in leading],
            steps=sorted(
                (step for each in steps.values() for step in each),
                key=lambda step: (step.depth, step.used, step.made, step.company),
            ),
            sources=[_told(source.grant, source, receipts) for source in shown if source.grant],
            complete=complete,
        )

    async def _walk(self, sources: Sequence[_Source], asked: Sequence[str], *, up: bool) -> tuple[list[str], bool]:
        """Follow things from company to company until none leads on; return all that were met, and whether it is all."""
        reached, complete, news = dict.fromkeys(asked), True, True
        while news and complete:
            news = False
            for source in sources:
                new = [thing for thing in reached if thing not in source.followed]
                if not new or not complete:
                    continue
                links = await self._traces.links(
                    source.scope, new, up=up, span=source.span, places=source.trace == "full"
                )
                met = dict.fromkeys(thing for link in links for thing in (link.used, link.made))
                source.followed.update(new, met)
                source.links |= {(link.used, link.made): link for link in links}
                reached |= met
                news = news or bool(met)
                complete = len(links) < MOST_LINKS and len(reached) < MOST_THINGS
        return list(reached), complete

    async def _receipted(
        self, asker: Asker, sources: Iterable[_Source], steps: Mapping[int, list[ChainStep]], *, up: bool, way: Way
    ) -> dict[object, ReadProof]:
        """Write a receipt into the chain of each grant that has shown something, all or none; raises Moved."""
        proofs: dict[object, ReadProof] = {}
        told = [(source, source.grant) for source in sources if source.grant and source.links]
        async with self._db.tenant(asker.scope) as connection:
            for source, grant in sorted(told, key=lambda one: str(one[1]["id"])):
                found = [step.model_dump(mode="json", exclude={"depth"}) for step in steps[id(source)]]
                body = {
                    "trace": source.trace,
                    "direction": "up" if up else "down",
                    "things": len({thing for pair in source.links for thing in pair}),
                    "steps": len(found),
                    "digest": sha256(canonical(found).encode()).hexdigest(),
                    "way": way,
                }
                proof = await store.append_receipt(
                    connection, grant["id"], "read", asker.actor, canonical(body), version=grant["version"]
                )
                if proof is None:
                    raise Moved
                proofs[grant["id"]] = ReadProof(seq=proof["seq"], hash=proof["hash"])
        return proofs


def _named(thing: str) -> str:
    named = thing_of(thing)
    if named is None:
        raise Invalid(
            Text(
                f"'{thing[:80]}' names no thing: a URI is expected - an EPC, a GS1 Digital Link, one of your own - or a Handle.",
                f"“{thing[:80]}”不是对象标识：应为 URI(EPC、GS1 Digital Link 或自有标识)或 Handle。",
            )
        )
    return named


def _source(grant: Row) -> _Source:
    terms = Terms.model_validate(grant["terms"])
    scope = TenantScope(grant["supplier_id"])
    return _Source(scope, grant["supplier"], terms.trace, grant, (terms.since, terms.until))


def _keep_told(sources: Sequence[_Source], known: Collection[str], *, up: bool) -> None:
    """Leave each source with those of its links alone that may be told, and each link with one source of a company."""
    own = sources[0]
    pairs = {pair for source in sources for pair in source.links}
    anchors = {*known, *(thing for pair in own.links for thing in pair)}
    after, before = _connected(anchors, pairs, 1 if up else 0), _connected(anchors, pairs, 0 if up else 1)
    told: set[tuple[object, tuple[str, str]]] = set()
    for source in sources:
        if source is not own:
            source.links = {
                pair: link
                for pair, link in source.links.items()
                if (pair[1 if up else 0] in after or pair[0 if up else 1] in before)
                and (source.scope.tenant_id, pair) not in told
            }
        told |= {(source.scope.tenant_id, pair) for pair in source.links}


def _connected(starts: Iterable[str], pairs: Iterable[tuple[str, str]], here: int) -> set[str]:
    """Return what is reached from `starts` by going from element `here` of pairs to the other, the starts included."""
    on: dict[str, list[str]] = {}
    for pair in pairs:
        on.setdefault(pair[here], []).append(pair[1 - here])
    found = set(starts)
    left = list(found)
    while left:
        new = [thing for thing in on.get(left.pop(), ()) if thing not in found]
        found.update(new)
        left += new
    return found


def _depths(asked: Iterable[str], sources: Iterable[_Source], *, up: bool) -> dict[str, int]:
    """Return how many steps each thing is from the nearest of those asked for."""
    on: dict[str, list[str]] = {}
    for source in sources:
        for used, made in source.links:
            here, there = (made, used) if up else (used, made)
            on.setdefault(here, []).append(there)
    found = dict.fromkeys(asked, 0)
    layer = list(found)
    while layer:
        # One round of all that is equally near, so that each thing is met at its least distance.
        layer = list(dict.fromkeys(there for here in layer for there in on.get(here, ()) if there not in found))
        found |= dict.fromkeys(layer, max(found.values()) + 1)
    return found


def _steps(source: _Source, depths: Mapping[str, int], *, up: bool) -> list[ChainStep]:
    told = _PLACES if source.trace == "full" else {"event_time"}
    grant = source.grant["id"] if source.grant else None
    return [
        ChainStep(
            used=used,
            made=made,
            depth=depths[made if up else used] + 1,
            company=source.company,
            grant_id=grant,
            **link.model_dump(include=told),
        )
        for (used, made), link in sorted(source.links.items())
    ]


def _told(grant: Row, source: _Source, receipts: Mapping[object, ReadProof]) -> ChainSource:
    since, until = source.span or (grant["since"], grant["until"])
    return ChainSource(
        grant_id=grant["id"],
        company=source.company,
        trace=source.trace,
        since=since,
        until=until,
        receipt=receipts.get(grant["id"]),
    )
