"""Tells which template of the library fits the machine behind an OPC UA server: by its names, not by its values.

A server says which companion specifications it follows (its namespaces) and who made it; whether a template fits is shown
by how many of its points the server has under the names the specification lays down.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.onboard.evidence import sense
from edge_agent.onboard.identify import Match, named
from protocols.library.templates import Template, load_template, template_ids
from protocols.opcua.config import OpcuaConnection, OpcuaPoint
from protocols.opcua.description import ServerDescription
from protocols.opcua.driver import OpcuaDriver
from protocols.reading import BAD_NODE_ID_UNKNOWN, Value
from protocols.text import Text

_NAME_BITS = 4.0
_NAMESPACE_BITS = 6.0


async def identify_server(
    connection: OpcuaConnection, server: ServerDescription, templates: Sequence[Template] | None = None
) -> list[Match]:
    """Return the OPC UA templates that fit at all, best first; reads only. `templates`: the library's where None.

    Raises Unreachable, Malformed or Refused, as opening the connection does.
    """
    matches = []
    for template in opcua_templates() if templates is None else templates:
        points = [point for point in template.points if isinstance(point, OpcuaPoint)]
        driver = OpcuaDriver("server", connection, points)
        try:
            await driver.open()
            readings = await driver.read(points)
        finally:
            await driver.close()
        values = {
            reading.point: reading.value if reading.quality.good else None
            for reading in readings
            if reading.quality != BAD_NODE_ID_UNKNOWN
        }
        match = judge_server(template, values, server)
        if match.score > 0.1:
            matches.append(match)
    return sorted(matches, key=lambda match: (-round(match.score, 2), -match.bits))


def opcua_templates() -> list[Template]:
    """Return the library's OPC UA templates."""
    templates = [load_template(name) for name in template_ids()]
    return [template for template in templates if template.device.protocol == "opcua"]


def judge_server(template: Template, values: dict[str, Value], server: ServerDescription) -> Match:
    """Return how well the points that exist, `values`, and the namespaces of the server fit `template`.

    Most parts of a companion specification are optional: a machine that has a quarter of the names and all the
    namespaces fits well enough, at 0.6; one without the namespaces has the names by chance, and is below 0.4.
    """
    points, known = template.points, set(template.fingerprint.namespaces)
    share = len(values) / len(points)
    reasons = [Text(f"{len(values)} of {len(points)} points exist", f"{len(points)} 个点中存在 {len(values)} 个")]
    made = sense(template, values)
    follows = bool(known) and known <= set(server.namespaces)
    if known:
        listed = ", ".join(sorted(known - set(server.namespaces) or known))
        reasons.insert(
            0,
            Text(f"it follows {listed}", f"遵循 {listed}") if follows else Text(f"it lacks {listed}", f"缺少 {listed}"),
        )
    bits = _NAME_BITS * len(values) + _NAMESPACE_BITS * len(known) * follows + made.bits
    score = (0.5 + 0.5 * share if follows or not known else 0.35 * share) if values else 0.0
    said = named(template, {**server.build, "application": server.application})
    if said is not None:
        reasons.insert(0, said)
        score = max(score, 0.95)
    return Match(template.device.id, template.device.name, round(score, 3), tuple(reasons), bits)
