"""Speaks to the cloud: one message out, one message back, and every other outcome as one of the four fates.

Only an answer of the expected type, with status 200, is ever taken as one; a captive portal's page is not.
"""

from __future__ import annotations

import asyncio
import ssl
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from edge_agent.http_client import Answer, HttpClient, TooLong, trust
from protocols.errors import ConfigError, Malformed, Refused, Unreachable
from protocols.reading import now_us
from protocols.text import Text
from protocols.uplink.messages import MEDIA_TYPE

EXCHANGE_S = 600.0
"""Longest time for a message and its answer, however steadily they trickle."""
LARGEST_REPLY = 1_000_000
LONGEST_RETRY_AFTER_S = 3600.0
PROBLEM = "application/problem+json"

Reply = TypeVar("Reply", bound=msgspec.Struct)


class Busy(Unreachable):
    """The cloud, or what stands before it, cannot answer now. `retry_after_s` is what it asked for, else 0."""

    def __init__(self, what: Text, retry_after_s: float) -> None:
        super().__init__(what)
        self.retry_after_s = retry_after_s


class Rejected(Refused):
    """The cloud said no. `by_cloud`: the answer is a problem report, so it is not some proxy's page."""

    def __init__(self, what: Text, mend: Text | None, status: int, by_cloud: bool) -> None:
        super().__init__(what, mend)
        self.status = status
        self.by_cloud = by_cloud


class CloudLink:
    """A connection to the cloud at `url`; use as `async with`.

    Args:
        url: of the cloud; the certificate of an https address is always checked.
        ca: PEM file of the authorities trusted for that, instead of the public ones. Raises ConfigError if it is none.
    """

    def __init__(self, url: str, ca: Path | None = None) -> None:
        self.url = url
        self._client = HttpClient(url, _trusting(ca) if ca or url.startswith("https:") else None)

    async def __aenter__(self) -> CloudLink:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.close()

    async def post(self, path: str, message: msgspec.Struct, reply: type[Reply], token: str | None = None) -> Reply:
        """Send `message` and return the `reply`. Raises Unreachable (Busy), Refused (Rejected) or Malformed."""
        headers = {"content-type": MEDIA_TYPE, "accept": MEDIA_TYPE}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        try:
            async with asyncio.timeout(EXCHANGE_S):
                answer = await self._client.post(path, msgspec.msgpack.encode(message), headers, LARGEST_REPLY)
        except TooLong:
            raise self._nonsense(f"an answer of more than {LARGEST_REPLY} bytes") from None
        except OSError as error:
            why = str(error) or "no answer in time"
            mend = Text("check the address, the network and the time of this box", "请检查地址、网络和本机时间")
            if "CERTIFICATE_VERIFY_FAILED" in why:
                mend = Text(
                    "check the time of this box; name the file of your own certificate authority as cloud.ca",
                    "请检查本机时间；若使用自建证书颁发机构，请在 cloud.ca 中填写其证书文件",
                )
            raise Unreachable(
                Text(f"the cloud {self.url} does not answer: {why}", f"云端 {self.url} 无应答：{why}"), mend
            ) from error
        media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if answer.status == 200 and media == MEDIA_TYPE:
            try:
                return msgspec.msgpack.decode(answer.body, type=reply)
            except msgspec.MsgspecError as error:
                raise self._nonsense(str(error)) from error
        raise self._failure(answer, media)

    def _failure(self, answer: Answer, media: str) -> Unreachable | Refused | Malformed:
        status, detail = answer.status, _detail(media, answer.body)
        if status == 429 or status >= 500:
            return Busy(
                Text(f"the cloud {self.url} is busy: {status} {detail}", f"云端 {self.url} 繁忙：{status} {detail}"),
                _retry_after(answer.headers.get("retry-after", "")),
            )
        if 400 <= status < 500:
            revoked = Text("enrol this agent again with a new code", "请用新的注册码重新注册本代理")
            return Rejected(
                Text(f"the cloud {self.url} refused: {status} {detail}", f"云端 {self.url} 拒绝：{status} {detail}"),
                revoked if status in (401, 403) else None,
                status,
                media == PROBLEM,
            )
        return self._nonsense(f"status {status}, {media or 'no type'}")

    def _nonsense(self, why: str) -> Malformed:
        return Malformed(
            Text(f"{self.url} does not answer as our cloud does ({why})", f"{self.url} 的应答不是本平台的应答({why})"),
            Text("check the address and any proxy or log-in page on the way", "请检查地址以及途中的代理或登录页面"),
        )


def _trusting(ca: Path | None) -> ssl.SSLContext:
    try:
        return trust(ca)
    except OSError as error:  # also ssl.SSLError
        why = error.strerror or str(error)
        raise ConfigError(
            Text(f"{ca} holds no certificate that can be read: {why}", f"{ca} 中没有可读取的证书：{why}"),
            Text("name a PEM file of your certificate authority", "请填写证书颁发机构的 PEM 证书文件"),
            key="cloud.ca",
        ) from error


def _detail(media: str, body: bytes) -> str:
    """Return the sentence of a problem report (RFC 9457), or nothing."""
    if media != PROBLEM:
        return ""
    try:
        problem = msgspec.json.decode(body, type=dict[str, object])
    except msgspec.MsgspecError:
        return ""
    return str(problem.get("detail") or problem.get("title") or "")[:300]


def _retry_after(header: str) -> float:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3), 0 if there is none."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - now_us() / 1e6
        except ValueError:
            return 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S)
