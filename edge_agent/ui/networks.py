"""The networks this box is in, as ranges to suggest. Nothing is looked for in them before a person says so."""

from __future__ import annotations

from ipaddress import IPv4Interface

import ifaddr

_WIDEST = 24
"""Of a wider network only the 256 addresses around the box's own are suggested."""


def suggested_ranges() -> list[str]:
    """Return each network of this box as a range of `discover`, e.g. 192.168.1.1-254; loopback is left out."""
    ranges = []
    for adapter in ifaddr.get_adapters():
        for address in adapter.ips:
            if not address.is_IPv4:
                continue
            own = IPv4Interface(f"{address.ip}/{max(address.network_prefix, _WIDEST)}")
            if own.ip.is_loopback or own.ip.is_link_local or own.network.num_addresses < 4:
                continue
            first, last = own.network[1], own.network[-2]
            ranges.append(f"{first}-{str(last).rpartition('.')[2]}")
    return list(dict.fromkeys(ranges))
