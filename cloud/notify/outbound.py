"""One POST to an address that a tenant has named, so that it cannot be used to reach into the operator's network.

The name is resolved once, every address it has is checked, and the connection goes to a checked address: what the name
says a moment later does not matter. Redirects are not followed and no proxy of the environment is asked.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import httpcore

from cloud.notify.settings import Network
from protocols.errors import Refused, Unreachable
from protocols.text import Text

TIMEOUT_S = 15.0
_MAX_ANSWER_BYTES = 64 * 1024
_NAT64 = ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits


def host_of(url: str) -> str:
    """Return the host of a web address; raises Refused for what is none or has a password in it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    clean = url.isascii() and url.isprintable() and " " not in url
    if not (clean and parts.scheme in ("http", "https") and host and "@" not in parts.netloc):
        raise Refused(
            Text("this is not a web address", "不是有效的网址"),
            Text("copy the whole address, from https:// on", "请完整复制以 https:// 开头的地址"),
        )
    return host


async def post(
    url: str, headers: Mapping[str, str], content: bytes, allowed: Sequence[Network]
) -> tuple[int, Mapping[str, str], bytes]:
    """POST `content`; returns status, headers (names in lower case) and at most 64 KiB of the answer.

    Raises Refused for an address that may not be asked, Unreachable if nobody answers within 15 s.
    """
    host_of(url)
    backend = _CheckedBackend(allowed, plain=urlsplit(url).scheme == "http")
    asked = [(name.encode(), value.encode()) for name, value in headers.items()]
    limits = dict.fromkeys(("connect", "read", "write", "pool"), TIMEOUT_S)
    try:
        async with asyncio.timeout(TIMEOUT_S), httpcore.AsyncConnectionPool(network_backend=backend) as pool:
            answer = pool.stream("POST", url, headers=asked, content=content, extensions={"timeout": limits})
            async with answer as response:
                body = b""
                async for piece in response.aiter_stream():
                    body += piece
                    if len(body) >= _MAX_ANSWER_BYTES:
                        break
                found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                return response.status, found, body[:_MAX_ANSWER_BYTES]
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError, TimeoutError) as error:
        raise _silent(host_of(url), error) from error


class _CheckedBackend(httpcore.AnyIOBackend):
    """Connects to checked addresses only. TLS is still verified against the name, which httpcore keeps."""

    def __init__(self, allowed: Sequence[Network], *, plain: bool) -> None:
        self._allowed = allowed
        self._plain = plain

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of `host` that answers; raises Refused if one of them may not be asked."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
        for address in addresses:
            self._check(host, ip_address(address))
        failure: Exception = OSError(f"{host} has no address")
        for address in addresses:
            try:
                return await super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.NetworkError, httpcore.TimeoutException) as error:
                failure = error
        raise failure

    def _check(self, host: str, address: IPv4Address | IPv6Address) -> None:
        meant = embedded(address)
        if any(meant in network for network in self._allowed if network.version == meant.version):
            return
        if not meant.is_global or meant.is_multicast:
            raise Refused(
                Text(f"{host} is in a private network", f"{host} 位于私有网络"),
                Text(
                    "use a public address, or ask the operator to add the network to allow_networks in notify.toml",
                    "请使用公网地址，或请运维人员将该网络加入 notify.toml 的 allow_networks",
                ),
            )
        if self._plain:
            raise Refused(
                Text(f"{host} is asked without encryption", f"访问 {host} 未加密"),
                Text("use an address that begins with https://", "请使用 https:// 开头的地址"),
            )


def embedded(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 one leads to (mapped, 6to4, Teredo, NAT64), else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address


def _silent(host: str, error: Exception) -> Unreachable:
    what = str(error) or type(error).__name__
    return Unreachable(Text(f"{host} does not answer: {what}", f"{host} 无应答：{what}"))
