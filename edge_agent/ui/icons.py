"""The pages' own line icons (24 x 24 SVG), drawn here so that nothing has to load and no icon is read as text."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_SHAPES: Mapping[str, str] = MappingProxyType(
    {
        "good": '<circle cx="12" cy="12" r="9"/><path d="M8 12.5l2.8 2.8L16 9.5"/>',
        "idle": '<circle cx="12" cy="12" r="9"/><path d="M10 9v6M14 9v6"/>',
        "warn": '<path d="M12 4L2.8 20h18.4z"/><path d="M12 10v4.5M12 17.2v.3"/>',
        "bad": '<path d="M8.3 3h7.4L21 8.3v7.4L15.7 21H8.3L3 15.7V8.3z"/><path d="M9 9l6 6M15 9l-6 6"/>',
        "off": '<circle cx="12" cy="12" r="9" stroke-dasharray="3 3"/><path d="M8.5 12h7"/>',
        "connect": '<path d="M7 18a4.5 4.5 0 0 1-.6-9A6 6 0 0 1 18 8.5a4.8 4.8 0 0 1-.5 9.5"/>'
        '<path d="M12 21v-8M9 15.5l3-3 3 3"/>',
        "machines": '<rect x="3" y="12" width="8" height="8" rx="1.5"/><rect x="14" y="4" width="7" height="16" rx="1.5"/>'
        '<path d="M5 12V7h5v5M17 8h1M17 12h1"/>',
        "check": '<rect x="4" y="3" width="16" height="18" rx="2"/><path d="M8 8.5l1.5 1.5L12 7M8 15.5l1.5 1.5 2.5-3M14.5 9H17M14.5 16H17"/>',
        "report": '<path d="M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h6"/>',
        "camera": '<path d="M4 8h4l2-3h4l2 3h4v11H4z"/><circle cx="12" cy="13" r="3.5"/>',
        "search": '<circle cx="10.5" cy="10.5" r="6.5"/><path d="M15.5 15.5L21 21"/>',
        "back": '<path d="M15 5l-7 7 7 7"/>',
        "next": '<path d="M9 5l7 7-7 7"/>',
        "edit": '<path d="M4 20l1-4L16 5l3 3L8 19z"/>',
        "lock": '<rect x="5" y="11" width="14" height="9" rx="2"/><path d="M8 11V8a4 4 0 0 1 8 0v3"/>',
        "machine": '<circle cx="12" cy="12" r="3"/><path d="M12 3v3.5M12 17.5V21M3 12h3.5M17.5 12H21'
        'M5.6 5.6l2.5 2.5M15.9 15.9l2.5 2.5M5.6 18.4l2.5-2.5M15.9 8.1l2.5-2.5"/>',
    }
)

LOGO = (
    '<svg class="logo" viewBox="0 0 32 32" aria-hidden="true">'
    '<path d="M2 6h17v6h-7v8h7v6H2z" fill="var(--timber-bright)"/>'
    '<path d="M14 14h7V6h9v20h-9v-8h-7z" fill="currentColor"/></svg>'
)
"""The product's mark: a mortise and its tenon, a hair apart."""


def svg(name: str) -> str:
    """Return the icon `name`."""
    return f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">{_SHAPES[name]}</svg>'
