"""The page's own line icons (24 x 24 SVG). Drawn here so that no icon font has to load and no icon is read as text."""

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
        "overview": '<path d="M4 4h7v7H4zM13 4h7v4h-7zM13 10h7v10h-7zM4 13h7v7H4z"/>',
        "control": '<path d="M3 6h18M3 18h18" stroke-dasharray="3 3"/><path d="M3 14l4-4 4 5 4-7 3 4 3-2"/>',
        "lot": '<path d="M4 8l8-4 8 4v8l-8 4-8-4z"/><path d="M8.5 12.5l2.5 2.5 4.5-5"/>',
        "trace": '<circle cx="5" cy="6" r="2.4"/><circle cx="5" cy="18" r="2.4"/><circle cx="19" cy="12" r="2.4"/>'
        '<path d="M7.2 7l9.6 4M7.2 17l9.6-4"/>',
        "dictionary": '<path d="M5 4h11a3 3 0 0 1 3 3v13H8a3 3 0 0 1-3-3z"/><path d="M5 17a3 3 0 0 1 3-3h11M9 8h6"/>',
        "assessment": '<path d="M4 20h4v-5H4zM10 20h4V10h-4zM16 20h4V4h-4z"/>',
        "compute": '<rect x="6" y="6" width="12" height="12" rx="1.5"/><path d="M9.5 9.5h5v5h-5zM9 3v3M15 3v3M9 18v3M15 18v3"/>'
        '<path d="M3 9h3M3 15h3M18 9h3M18 15h3"/>',
        "wallet": '<path d="M4 7h14a2 2 0 0 1 2 2v9a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2z"/><path d="M4 7l11-3v3M15.5 13.5h.1"/>',
        "provider": '<rect x="3" y="4" width="18" height="6" rx="1.5"/><rect x="3" y="14" width="18" height="6" rx="1.5"/>'
        '<path d="M7 7h.1M7 17h.1M11 7h6M11 17h6"/>',
        "shelf": '<path d="M4 3v18M20 3v18M4 11h16M4 19h16"/><path d="M7 5h4v6H7zM14 13h3.5v6H14z"/>',
        "chain": '<rect x="3" y="3" width="7" height="6" rx="1"/><rect x="14" y="3" width="7" height="6" rx="1"/>'
        '<rect x="8.5" y="15" width="7" height="6" rx="1"/><path d="M6.5 9v3h11V9M12 12v3"/>',
        "share": '<circle cx="6" cy="12" r="2.6"/><circle cx="17" cy="6" r="2.6"/><circle cx="17" cy="18" r="2.6"/>'
        '<path d="M8.4 10.8l6.2-3.5M8.4 13.2l6.2 3.5"/>',
        "model": '<path d="M12 3l8 4.5v9L12 21l-8-4.5v-9z"/><path d="M4 7.5l8 4.5 8-4.5M12 12v9"/>',
        "inspection": '<path d="M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4"/><circle cx="12" cy="12" r="3.5"/>',
        "gateway": '<rect x="3" y="12" width="18" height="8" rx="1.5"/><path d="M7 16h.1M11 16h.1"/>'
        '<path d="M12 12V9M8.5 6.5a5 5 0 0 1 7 0M6.5 4a8 8 0 0 1 11 0"/>',
        "upload": '<path d="M4 15v5h16v-5M12 16V4M7.5 8.5L12 4l4.5 4.5"/>',
        "audit": '<path d="M6 3h9l4 4v14H6z"/><path d="M9.5 13.5l2 2 4-4.5M9.5 8h4"/>',
        "account": '<circle cx="12" cy="8" r="4"/><path d="M4.5 21a7.5 7.5 0 0 1 15 0"/>',
        "energy": '<path d="M13 3L5 13.5h6L10 21l8.5-11H12z"/>',
        "injection_moulding": '<path d="M3 8h6v8H3zM9 10h5v4H9zM14 11h4v2h-4zM3 20h18M18 9v6M21 9v6"/>',
        "energy_meter": '<rect x="4" y="3" width="16" height="18" rx="2"/><path d="M8 8h8M12.5 11l-2.5 4h4l-2.5 4"/>',
        "compressor": '<circle cx="10" cy="13" r="6"/><path d="M10 13l3-3M10 7V4h9v5M4 21h12M16 13h5"/>',
        "equipment": '<circle cx="12" cy="12" r="3"/><path d="M12 3v3.5M12 17.5V21M3 12h3.5M17.5 12H21'
        'M5.6 5.6l2.5 2.5M15.9 15.9l2.5 2.5M5.6 18.4l2.5-2.5M15.9 8.1l2.5-2.5"/>',
        "inspection_station": '<path d="M4 8h4l2-3h4l2 3h4v11H4z"/><circle cx="12" cy="13" r="3.5"/>',
        "oee": '<path d="M4 17a8.5 8.5 0 1 1 16 0"/><path d="M12 14l4-5M4 20h16"/>',
        "stops": '<path d="M3 8h18M3 16h18M6 5v6M12 5v6M16 13v6M9 13v6"/>',
        "calendar": '<rect x="3.5" y="5" width="17" height="15.5" rx="2"/><path d="M3.5 10h17M8 3v4M16 3v4"/>'
        '<path d="M8 14h3M13 17h3"/>',
        "judge": '<path d="M8 11V5.5a1.8 1.8 0 0 1 3.6 0V10h5.6c1.6 0 2.6 1.3 2.3 2.8l-1 5c-.3 1.4-1.3 2.2-2.7 2.2H8zM4 11h4v9H4z"/>',
        "training": '<path d="M4 4h6v6H4zM4 14h6v6H4z"/><path d="M13 7h3a4 4 0 0 1 4 4v6M17 14l3 3 3-3"/>',
        "back": '<path d="M15 5l-7 7 7 7"/>',
        "next": '<path d="M9 5l7 7-7 7"/>',
        "more": '<path d="M5 12h.1M12 12h.1M19 12h.1" stroke-width="3"/>',
        "trend": '<path d="M4 4v16h16"/><path d="M7 15l4-5 3.5 3L20 6"/>',
        "quality": '<path d="M12 3l7.5 3v5.5c0 4.5-3 7.8-7.5 9.5-4.5-1.7-7.5-5-7.5-9.5V6z"/><path d="M8.5 12l2.5 2.5 4.5-5"/>',
        "alarm": '<path d="M6 17V11a6 6 0 0 1 12 0v6l1.5 1.5h-15z"/><path d="M10 21h4"/>',
        "rule": '<path d="M4 18h16M4 12l5-5 4 4 7-7"/><path d="M4 15h16" stroke-dasharray="2 3"/>',
        "channel": '<path d="M4 5h16v11H9l-5 4z"/><path d="M8 9h8M8 12h5"/>',
        "board": '<rect x="3" y="4" width="18" height="12" rx="1.5"/><path d="M8 20h8M12 16v4M7 12l3-3 2.5 2 4-4"/>',
        "report": '<path d="M6 3h9l4 4v14H6zM14 3v5h5M9.5 17v-3M12.5 17v-6M15.5 17v-4"/>',
        "people": '<circle cx="9" cy="8" r="3.5"/><path d="M2.5 20c.6-4 3-6 6.5-6s5.9 2 6.5 6"/><path d="M15.5 5a3.5 3.5 0 0 1 0 6.5M17.5 14.5c2.3.7 3.6 2.6 4 5.5"/>',
        "site": '<path d="M3 20V9l6 4V9l6 4V4h3l1 16z"/><path d="M7 16.5h.1M11.5 16.5h.1"/>',
        "line": '<rect x="2.5" y="14" width="19" height="5" rx="2.5"/><path d="M6 16.5h.1M12 16.5h.1M18 16.5h.1"/><path d="M5 14V9h5v5M13 14V6h6v8"/>',
        "search": '<circle cx="10.5" cy="10.5" r="6.5"/><path d="M15.5 15.5L21 21"/>',
        "zoom_out": '<circle cx="10.5" cy="10.5" r="6.5"/><path d="M15.5 15.5L21 21M7.5 10.5h6"/>',
        "close": '<path d="M6 6l12 12M18 6L6 18"/>',
        "leave": '<path d="M10 4H5v16h5M14 8l4 4-4 4M18 12H9"/>',
    }
)

LOGO = (
    '<svg class="logo" viewBox="0 0 32 32" aria-hidden="true">'
    '<path d="M2 6h17v6h-7v8h7v6H2z" fill="var(--timber-bright)"/>'
    '<path d="M14 14h7V6h9v20h-9v-8h-7z" fill="currentColor"/></svg>'
)
"""The product's mark: a mortise and its tenon, a hair apart."""


def svg(name: str) -> str:
    """Return the icon `name`, or the general one for equipment where there is no such icon."""
    shape = _SHAPES.get(name) or _SHAPES["equipment"]
    return f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">{shape}</svg>'
