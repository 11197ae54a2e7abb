"""The page of options: every key of agent.toml with type, default, range, unit and description, from its model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from edge_agent.config import (
    TABLES,
    AgentConfig,
    BufferConfig,
    CloudConfig,
    DeviceTable,
    ForecastConfig,
    InspectionConfig,
    MachineHealthConfig,
)
from edge_agent.outlets.config import KINDS
from protocols.catalogue import BUILT_IN, driver_class

UNITS = {"_s": "s", "_ms": "ms", "_min": "min", "_days": "d", "_mb": "MB", "_kb": "kB"}
"""Units by the ending of a key."""


class Section(NamedTuple):
    """A table of the configuration and the model that describes it."""

    title: str
    model: type[BaseModel]


_MODELS: Mapping[str, type[BaseModel]] = {
    "agent": AgentConfig,
    "cloud": CloudConfig,
    "buffer": BufferConfig,
    "device": DeviceTable,
    "inspection": InspectionConfig,
    "machine_health": MachineHealthConfig,
    "forecast": ForecastConfig,
}


def sections() -> Iterator[Section]:
    """Yield the tables of agent.toml, in the order of the manual."""
    for name, kind in TABLES.items():
        title = f"[[{name}]]" if kind == "array" else f"[{name}]"
        if name == "outlet":
            yield from (Section(f"{title} of kind {each}", model) for each, model in KINDS.items())
        else:
            yield Section(title, _MODELS[name])
    for protocol in sorted(BUILT_IN):
        driver = driver_class(protocol)
        yield Section(f"[device.connection] of {protocol}", driver.Connection)
        yield Section(f"[[device.point]] of {protocol}", driver.Point)


def undescribed() -> list[str]:
    """Return the options that nobody has described."""
    return [
        f"{section.title}: {key}"
        for section in sections()
        for key, field, _ in _fields(section.model.model_json_schema(), "")
        if not field.get("description")
    ]


def options_page() -> str:
    """Return the page as Markdown."""
    parts = [
        "# Options of `agent.toml`\n\nPaths are relative to the file. A key without a default has to be given. Ranges are"
        " inclusive unless they say < or >.\n"
    ]
    for section in sections():
        summary = (section.model.__doc__ or "").strip().splitlines()[0]
        parts.append(f"\n## {section.title}\n\n{_escaped(summary)}\n\n{_table(section.model)}")
    return "".join(parts)


def _table(model: type[BaseModel]) -> str:
    rows = ["| key | type | default | range | unit | meaning |", "|---|---|---|---|---|---|"]
    for key, field, required in _fields(model.model_json_schema(), ""):
        cells = (
            f"`{key}`",
            _type(field),
            "required" if required else _default(field),
            _range(field),
            next((unit for ending, unit in UNITS.items() if key.endswith(ending)), ""),
            _escaped(field.get("description", "")),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _fields(schema: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield (key, what the schema says of it, whether it is required); those of a table within as `table.key`."""
    yield from _walk(schema, schema.get("$defs", {}), prefix)


def _walk(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, dict[str, Any], bool]]:
    for name, given in schema.get("properties", {}).items():
        field = _resolved(given, definitions)
        required = name in schema.get("required", ())
        yield f"{prefix}{name}", field, required
        if "properties" in field:
            yield from _walk(field, definitions, f"{prefix}{name}.")


def _resolved(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Follow a reference and an "or nothing"; what stands beside them says more than what they lead to."""
    found = dict(field)
    choices = [each for each in found.pop("anyOf", ()) if each.get("type") != "null"]
    if len(choices) == 1:
        found = choices[0] | found
    elif choices:
        found["any"] = [_resolved(each, definitions) for each in choices]
    if "$ref" in found:
        found = definitions[found.pop("$ref").rpartition("/")[2]] | found
        return _resolved(found, definitions)
    return found


def _type(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return " ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "any" in field:
        return " or ".join(dict.fromkeys(_type(each) for each in field["any"]))
    kind = field.get("type", "")
    if kind == "array":
        return "list of " + _type(_item(field)) if _item(field) else "list"
    if kind == "string":
        return {"path": "path", "password": "text (secret)"}.get(field.get("format", ""), "text")
    return {"integer": "whole number", "number": "number", "boolean": "true or false", "object": "table"}.get(
        kind, kind
    )


def _item(field: Mapping[str, Any]) -> Mapping[str, Any]:
    items = field.get("items", {})
    return items if "$ref" not in items else {"type": "object"}


def _default(field: Mapping[str, Any]) -> str:
    value = field.get("default")
    if value is None or value in ("", {}, []):
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"{len(value)} entries" if len(value) > 4 else "[" + ", ".join(map(str, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else _escaped(str(value))


def _range(field: Mapping[str, Any]) -> str:
    low = (
        f"{field['minimum']:g}"
        if "minimum" in field
        else f"> {field['exclusiveMinimum']:g}"
        if "exclusiveMinimum" in field
        else ""
    )
    high = (
        f"{field['maximum']:g}"
        if "maximum" in field
        else f"< {field['exclusiveMaximum']:g}"
        if "exclusiveMaximum" in field
        else ""
    )
    if low or high:
        return f"{low or '…'} to {high or '…'}"
    if "maxLength" in field:
        return f"{field.get('minLength', 0)} to {field['maxLength']} characters"
    return ""


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
