"""Looks at the way to the cloud step by step - name, port, encryption, log-in, clock - so that the mend is exact."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from edge_agent.check_device import NOTED_CLOCK_OFFSET_S, WORST_CLOCK_OFFSET_S
from edge_agent.cloud_link import CloudLink
from edge_agent.config import CloudConfig
from edge_agent.finding import Finding, Severity
from edge_agent.http_client import PROXY_PORT, proxy_for, trust
from edge_agent.identity import Login
from protocols.errors import SunmaoError
from protocols.text import Text

STEP_S = 10.0
"""Longest wait for one step."""
WARN_DAYS = 30


async def check_cloud(cloud: CloudConfig, state_dir: Path) -> AsyncIterator[Finding]:
    """Yield one finding per step, up to the first that fails."""
    parts = urlsplit(cloud.url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    proxy = proxy_for(parts.scheme, host)
    if proxy is not None:
        host, port = proxy.hostname or "", proxy.port or PROXY_PORT
    async for finding in _steps(host, port, tls=parts.scheme == "https" and proxy is None, ca=cloud.ca):
        yield finding
        if not finding.ok:
            return
    async for finding in _log_in(cloud, state_dir):
        yield finding


async def _steps(host: str, port: int, *, tls: bool, ca: Path | None) -> AsyncIterator[Finding]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(STEP_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError) as error:
        why = _why(error)
        yield Finding(
            "cloud/name",
            "wrong",
            Text(f"{host} has no address: {why}", f"无法解析 {host}：{why}"),
            Text(
                "check the spelling in cloud.url, the DNS server and the network cable of this box",
                "请检查 cloud.url 的拼写、本机的 DNS 设置和网线",
            ),
        )
        return
    addresses = ", ".join(dict.fromkeys(str(entry[4][0]) for entry in found))
    told = Text(f"{host} is {addresses}", f"{host} 的地址为 {addresses}")
    if addresses == host:
        told = Text(f"{host} is an address: no name has to be looked up", f"{host} 本身就是地址，无需解析")
    yield Finding("cloud/name", "ok", told)
    try:
        async with asyncio.timeout(STEP_S):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
    except (OSError, TimeoutError) as error:
        yield _no_connection(host, port, error)
        return
    yield Finding("cloud/port", "ok", Text(f"{host}:{port} answers", f"{host}:{port} 可连接"))
    if tls:
        yield await _encryption(host, port, ca)


def _no_connection(host: str, port: int, error: Exception) -> Finding:
    why = _why(error)
    if isinstance(error, ConnectionRefusedError):
        mend = Text(
            f"nothing listens on port {port}: check the port in cloud.url and whether the cloud runs",
            f"端口 {port} 无服务：请检查 cloud.url 中的端口以及云端是否运行",
        )
    else:
        mend = Text(
            f"check cable and gateway of this box, and that the firewall lets TCP {port} out",
            f"请检查本机网线、网关，并确认防火墙允许访问 TCP {port}",
        )
    return Finding(
        "cloud/port", "wrong", Text(f"{host}:{port} cannot be reached: {why}", f"无法连接 {host}:{port}：{why}"), mend
    )


async def _encryption(host: str, port: int, ca: Path | None) -> Finding:
    try:
        context = trust(ca)
        async with asyncio.timeout(STEP_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
        certificate = writer.get_extra_info("peercert")
        version = writer.get_extra_info("ssl_object").version()
        writer.close()
    except ssl.SSLCertVerificationError as error:
        return Finding(
            "cloud/tls",
            "wrong",
            Text(
                f"the certificate of {host} is not accepted: {error.verify_message}",
                f"{host} 的证书未通过校验：{error.verify_message}",
            ),
            _certificate_step(error),
        )
    except (OSError, TimeoutError) as error:
        return Finding(
            "cloud/tls",
            "wrong",
            Text(f"no encrypted connection to {host}:{port}: {_why(error)}", f"无法与 {host}:{port} 建立加密连接：{_why(error)}"),
            Text("check that the port speaks https; look for a proxy on the way", "请确认该端口为 https，并检查途中的代理"),
        )  # fmt: skip
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    days = (end - datetime.now(UTC)).days
    found = Text(
        f"{version}, certificate good until {end:%Y-%m-%d}", f"{version}，证书有效期至 {end:%Y-%m-%d}"
    )  # fmt: skip
    if days >= WARN_DAYS:
        return Finding("cloud/tls", "ok", found)
    return Finding(
        "cloud/tls",
        "look",
        found,
        Text("have the cloud's certificate renewed before that day", "请在到期前更新云端证书"),
    )


def _certificate_step(error: ssl.SSLCertVerificationError) -> Text:
    # X509_V_ERR_CERT_NOT_YET_VALID = 9, X509_V_ERR_CERT_HAS_EXPIRED = 10, X509_V_ERR_HOSTNAME_MISMATCH = 62 (x509_vfy.h)
    if error.verify_code in (9, 10):
        return Text(
            "check the date of this box first; else have the cloud's certificate renewed",
            "请先检查本机日期；否则请更新云端证书",
        )
    if error.verify_code == 62:
        return Text("use in cloud.url the name that stands in the certificate", "请在 cloud.url 中使用证书上的名称")
    return Text(
        "name the file of your own certificate authority as cloud.ca; if the cloud has a public certificate, somebody"
        " listens in on the way: ask the administrator",
        "若使用自建证书颁发机构，请在 cloud.ca 中填写其证书文件；若云端使用公共证书，则途中可能有人窃听，请联系管理员",
    )


async def _log_in(cloud: CloudConfig, state_dir: Path) -> AsyncIterator[Finding]:
    async with CloudLink(cloud.url, cloud.ca) as link:
        login = Login(state_dir, link)
        try:
            await login.token()
        except SunmaoError as error:
            yield Finding("cloud", "wrong", error.what, error.mend or Text("", ""))
            return
    yield Finding("cloud", "ok", Text(f"{cloud.url} lets us in", f"{cloud.url} 登录成功"))
    offset = round((login.clock_offset_us or 0) / 1e6, 1)
    severity: Severity = "ok"
    if abs(offset) > NOTED_CLOCK_OFFSET_S:
        severity = "wrong" if abs(offset) > WORST_CLOCK_OFFSET_S else "look"
    yield Finding(
        "clock",
        severity,
        Text(f"{0.0 - offset:+.1f} s against the cloud", f"与云端相差 {0.0 - offset:+.1f} 秒"),
        Text("set this box's time (NTP)", "请校准本机时间(NTP)"),
    )


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {STEP_S:.0f} s"
    # asyncio's own wording repeats the address; a name that is not known has no error number of the system.
    number = getattr(error, "errno", None)
    return os.strerror(number) if number and number > 0 else getattr(error, "strerror", None) or str(error)
