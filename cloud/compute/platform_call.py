"""How who works for the platform asks it: by a token of an offer, over HTTP."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import httpx

from protocols.errors import Refused, Unreachable
from protocols.text import Text


async def asked(http: httpx.AsyncClient, method: str, path: str, **request: Any) -> httpx.Response:
    """Return the answer; raises Unreachable without one, or where the platform itself is in trouble, Refused for a token that ended."""
    try:
        answer = await http.request(method, path, **request)
    except httpx.HTTPError as error:
        raise Unreachable(
            Text(f"{http.base_url} does not answer: {error}", f"{http.base_url} 无应答：{error}"),
            Text("check the address and the network", "请检查地址和网络"),
        ) from error
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        raise Refused(
            Text("the token is not valid (any more)", "令牌无效或已失效"),
            Text("open an offer and use its token", "请新建算力报价并使用其令牌"),
        )
    if answer.is_server_error:
        raise Unreachable(
            Text(f"the platform answers {answer.status_code}", f"平台返回 {answer.status_code}"),
            Text("try again later", "请稍后重试"),
        )
    return answer
