"""The networks this box is in, as ranges to suggest. Nothing is looked for in them before a person says so."""

from __future__ import annotations

from ipaddress import IPv4Interface

import ifaddr

_WIDEST = 24
"""Of a wider network only the 256 addresses around the box's own are suggested."""


def suggested_ranges() -> list[str]:
    """Return each network of this box as a range of `discover`, e.g. 192.168.1.1-254; loopback is left out."""
    ranges = []
    for own in _interfaces():
        network = IPv4Interface(f"{own.ip}/{max(own.network.prefixlen, _WIDEST)}").network
        if network.num_addresses >= 4:
            ranges.append(f"{network[1]}-{str(network[-2]).rpartition('.')[2]}")
    return list(dict.fromkeys(ranges))


def own_addresses() -> list[str]:
    """Return the addresses under which others find this box."""
    return [str(own.ip) for own in _interfaces()]


def _interfaces() -> list[IPv4Interface]:
    found = [
        IPv4Interface(f"{address.ip}/{address.network_prefix}")
        for adapter in ifaddr.get_adapters()
        for address in adapter.ips
        if address.is_IPv4
    ]
    return [own for own in found if not own.ip.is_loopback and not own.ip.is_link_local]
