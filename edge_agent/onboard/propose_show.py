"""Shows proposals: a table for people, JSON for machines."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from edge_agent.console import plain, print_table
from edge_agent.onboard.point_list import PointList
from edge_agent.onboard.propose import SURE, Proposal
from edge_agent.plain_lines import print_line
from protocols.dictionary.entries import load_dictionary
from protocols.text import Language, Text


def to_json(proposals: Mapping[str, Proposal], language: Language) -> str:
    """Return {address: {property, confidence, reason, nearest}} as indented JSON, the reasons in `language`."""
    answers = {
        address: {
            "property": proposal.property,
            "confidence": proposal.confidence,
            "reason": proposal.reason.to(language),
            "nearest": proposal.nearest,
        }
        for address, proposal in proposals.items()
    }
    return msgspec.json.format(msgspec.json.encode(answers)).decode()


def print_proposals(found: PointList, proposals: Mapping[str, Proposal], language: Language) -> None:
    """Print one row per point, what is sure in green, and how many are sure."""
    dictionary = load_dictionary()
    heads = (
        Text("address", "地址"),
        Text("point", "点"),
        Text("entry", "条目"),
        Text("confidence", "把握"),
        Text("reason", "理由"),
    )
    rows = []
    for point in found.points:
        proposal = proposals[point.address]
        sure = proposal.property is not None and proposal.confidence >= SURE
        named = dictionary[proposal.property].name.to(language) if proposal.property else "-"
        rows.append(
            (
                plain(point.address),
                plain(point.name or point.description),
                f"[green]{plain(named)}[/green]" if sure else plain(named),
                f"{proposal.confidence:.2f}",
                plain(proposal.reason.to(language)),
            )
        )
    print_table(heads, rows, language)
    certain = sum(p.property is not None and p.confidence >= SURE for p in proposals.values())
    named_points = sum(p.property is not None for p in proposals.values())
    summary = Text(
        f"{len(proposals)} points: {certain} sure, {named_points - certain} to look at, "
        f"{len(proposals) - named_points} without an entry",
        f"共 {len(proposals)} 个点：{certain} 个有把握，{named_points - certain} 个需确认，"
        f"{len(proposals) - named_points} 个没有对应条目",
    )
    print_line(summary.to(language))
