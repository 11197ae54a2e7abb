"""What a tenant names is not a way into the operator's network."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.notify import outbound
from protocols.errors import Refused
from tests.doubles.receivers import receiving

INSIDE = [
    "127.0.0.1", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.100.100.200", "0.0.0.1", "224.0.0.1",
    "[::1]", "[fe80::1]", "[fd00::1]", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]", "2130706433", "0x7f.1", "127.1", "localhost",
]  # fmt: skip


@pytest.mark.parametrize("host", INSIDE)
async def test_private_addresses_are_refused_however_they_are_written(host: str) -> None:
    with pytest.raises(Refused, match="private network"):
        await outbound.post(f"http://{host}:9/", {}, b"", [])


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com",
        "file:///etc/passwd",
        "https://",
        "https://u:p@example.com",
        "https://a b",
        "https://[::1",
        "https://例.com/\n",
    ],
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        outbound.host_of(url)


async def test_a_network_the_operator_allows_is_asked_and_a_redirection_is_not_followed() -> None:
    with receiving() as receiver:
        receiver.answers = [(302, {"Location": "http://127.0.0.1:1/"}, b"x" * 200_000)]
        status, headers, body = await outbound.post(f"{receiver.url}/webhook", {}, b"{}", [ip_network("127.0.0.0/8")])
        assert (status, headers["location"], len(body)) == (302, "http://127.0.0.1:1/", 64 * 1024)
        with pytest.raises(Refused, match="private network"):
            await outbound.post(f"{receiver.url}/webhook", {}, b"{}", [ip_network("10.0.0.0/8")])


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_found(address: object) -> None:
    number = int(ip_address(str(address)))
    for carrier in (f"::ffff:{address}", f"64:ff9b::{address}", str(ip_address((0x2002 << 112) | (number << 80)))):
        assert str(outbound.embedded(ip_address(carrier))) == str(address)
