"""What the API answers when it cannot do what was asked: RFC 9457 problem details, in the caller's language.

Problem
 +-- NotFound         404  no such thing - also said of another tenant's things
 +-- Unauthenticated  401  no credential, or one that is not valid (any more)
 +-- Forbidden        403  the credential is valid and does not allow this
 +-- Conflict         409  the thing exists, or has moved on
 +-- Stale            412  made from a state of the thing that is no longer so; `If-Match` says which
 +-- TooLarge         413  the body is above the stated cap
 +-- Invalid          422  understood and not acceptable
 +-- TooMany          429  asked too often; `Retry-After` says when to come back
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar

import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from protocols.errors import ConfigError, Malformed, Refused, SunmaoError, Unreachable
from protocols.text import Language, Text

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger(__name__)


class ProblemBody(BaseModel):
    """Body of every answer that is not a success (RFC 9457)."""

    type: str = Field(description="URI reference that names the kind of problem.")
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] = Field(default=[], description="For 422: `where` and `message` of each wrong field.")


class Problem(Exception):
    """An answer that is not a success. `detail` says what is wrong and how to mend it."""

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "internal"
    title: ClassVar[Text] = Text("Internal error", "内部错误")

    def __init__(self, detail: Text, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail.en)
        self.detail = detail
        self.headers = headers


class NotFound(Problem):
    """No such thing in the caller's tenant."""

    status = 404
    kind = "not-found"
    title = Text("Not found", "未找到")

    def __init__(self, detail: Text | None = None) -> None:
        super().__init__(detail or Text("There is nothing at this address.", "该地址下没有内容。"))


class Unauthenticated(Problem):
    """No valid credential."""

    status = 401
    kind = "unauthenticated"
    title = Text("Not signed in", "未登录")

    def __init__(self, detail: Text | None = None) -> None:
        super().__init__(
            detail or Text("Sign in, or send a valid token.", "请登录，或携带有效的令牌。"),
            headers={"WWW-Authenticate": "Bearer"},
        )


class Forbidden(Problem):
    """A valid credential that does not allow this."""

    status = 403
    kind = "forbidden"
    title = Text("Not allowed", "无权限")


class Conflict(Problem):
    """The thing exists already, or has moved on."""

    status = 409
    kind = "conflict"
    title = Text("Conflict", "冲突")


class Stale(Problem):
    """Made from a state of the thing that is no longer so (RFC 9110, 13.1.1)."""

    status = 412
    kind = "stale"
    title = Text("Changed meanwhile", "已被修改")


class TooLarge(Problem):
    """The body is above the stated cap."""

    status = 413
    kind = "too-large"
    title = Text("Too large", "内容过大")


class Invalid(Problem):
    """Understood and not acceptable."""

    status = 422
    kind = "invalid"
    title = Text("Not acceptable", "内容无效")


class TooMany(Problem):
    """Asked too often."""

    status = 429
    kind = "too-many"
    title = Text("Too many requests", "请求过于频繁")

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(
            Text(f"Try again in {retry_after_s} s.", f"请在 {retry_after_s} 秒后重试。"),
            headers={"Retry-After": str(retry_after_s)},
        )


def language_of(request: Request) -> Language:
    """Return the language the caller reads: the first of Accept-Language that we speak, else English."""
    for part in request.headers.get("accept-language", "").split(","):
        tag = part.split(";")[0].strip().lower()
        if tag.startswith("zh"):
            return "zh"
        if tag.startswith("en"):
            return "en"
    return "en"


def install(app: FastAPI) -> None:
    """Make `app` answer every failure with a problem body."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(SunmaoError, _sunmao_error)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(psycopg.DataError, _data)
    app.add_exception_handler(psycopg.OperationalError, _database_away)
    app.add_exception_handler(ClientDisconnect, _caller_gone)
    app.add_exception_handler(Exception, _unexpected)


def _answer(
    request: Request,
    status: int,
    kind: str,
    title: Text,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> JSONResponse:
    language = language_of(request)
    body = ProblemBody(
        type=f"/problems/{kind}", title=title.to(language), status=status, detail=detail, errors=errors or []
    )
    return JSONResponse(
        body.model_dump(exclude={"errors"} if errors is None else None),
        status,
        media_type=MEDIA_TYPE,
        headers={"Content-Language": language, **(headers or {})},
    )


def problem_answer(request: Request, problem: Problem) -> JSONResponse:
    """Return `problem` as the answer to `request`."""
    return _answer(
        request,
        problem.status,
        problem.kind,
        problem.title,
        problem.detail.to(language_of(request)),
        headers=problem.headers,
    )


async def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)  # noqa: S101 - registered for Problem
    return problem_answer(request, error)


_FATES: tuple[tuple[type[SunmaoError], int, str, Text], ...] = (
    (ConfigError, 422, "invalid", Invalid.title),
    (Malformed, 400, "malformed", Text("Not understood", "无法解析")),
    (Refused, 409, "conflict", Conflict.title),
    (Unreachable, 503, "unreachable", Text("Not available now", "暂不可用")),
)


async def _sunmao_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SunmaoError)  # noqa: S101 - registered for SunmaoError
    for fate, status, kind, title in _FATES:
        if isinstance(error, fate):
            return _answer(request, status, kind, title, error.explain(language_of(request)))
    return await _unexpected(request, error)


_FIELD_MESSAGES = {
    "missing": "缺少该字段",
    "string_too_short": "长度不得少于 {min_length} 个字符",
    "string_too_long": "长度不得超过 {max_length} 个字符",
    "string_pattern_mismatch": "格式不符",
    "int_parsing": "应为整数",
    "float_parsing": "应为数字",
    "uuid_parsing": "应为 UUID",
    "json_invalid": "不是有效的 JSON",
    "greater_than_equal": "不得小于 {ge}",
    "less_than_equal": "不得大于 {le}",
    "less_than": "须小于 {lt}",
    "extra_forbidden": "未知字段",
}


async def _validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for RequestValidationError
    language = language_of(request)
    errors = field_faults(error.errors(), language)
    detail = Text("Some fields are missing or wrong; see errors.", "部分字段缺失或有误，详见 errors。")
    return _answer(request, 422, Invalid.kind, Invalid.title, detail.to(language), errors=errors)


def field_faults(found: Iterable[Mapping[str, Any]], language: Language) -> list[dict[str, str]]:
    """Return `where` and `message`, in words, of what pydantic found wrong with each field.

    A validator of ours says it in both languages: "English / 中文".
    """
    faults = []
    for fault in found:
        message = str(fault["msg"])
        english, slash, chinese = str((fault.get("ctx") or {}).get("error", "")).partition(" / ")
        if slash:
            message = Text(english, chinese).to(language)
        elif language == "zh":
            message = _FIELD_MESSAGES.get(fault["type"], "值无效").format_map(_Context(fault.get("ctx") or {}))
        faults.append({"where": ".".join(str(part) for part in fault["loc"]), "message": message})
    return faults


class _Context(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for HTTPException
    if error.status_code == NotFound.status:
        return await _problem(request, NotFound())
    phrase = HTTPStatus(error.status_code).phrase
    kind = phrase.lower().replace(" ", "-")
    title = Text(phrase, "请求无法处理")
    return _answer(request, error.status_code, kind, title, str(error.detail), headers=error.headers)


async def _data(request: Request, error: Exception) -> JSONResponse:
    detail = Text(
        "A value cannot be stored: it has a NUL character or is out of range.",
        "有内容无法保存：含有 NUL 字符或超出范围。",
    )
    return _answer(request, 422, Invalid.kind, Invalid.title, detail.to(language_of(request)))


async def _database_away(request: Request, error: Exception) -> JSONResponse:
    _log.error("database: %s", error)
    detail = Text("The database does not answer; try again.", "数据库无应答，请稍后重试。").to(language_of(request))
    return _answer(
        request, 503, "unreachable", Text("Not available now", "暂不可用"), detail, headers={"Retry-After": "5"}
    )


async def _caller_gone(request: Request, error: Exception) -> Response:
    return Response(status_code=HTTPStatus.BAD_REQUEST)  # to nobody: the link broke before the whole request was here


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    detail = Text("The fault is ours and has been logged.", "系统故障，已记录。")
    return _answer(request, 500, Problem.kind, Problem.title, detail.to(language_of(request)))
