"""A leader and a supplier with a machine that reports, on a real cloud."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

import httpx

from cloud.core.db import Database
from cloud.identity.credit_code import check_character
from cloud.identity.service import Identity
from tests.cloud.conftest import SECRETS, Company

DIGITS = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def new_credit_code() -> str:
    """Return a code that is right and nobody has yet."""
    first = "91320500" + "".join(secrets.choice(DIGITS) for _ in range(9))
    return first + check_character(first)


async def registered(company: Company, db: Database) -> str:
    """Give the company a credit code and return it."""
    code = new_credit_code()
    await Identity(db, SECRETS).set_credit_code(company.scope, code)
    return code


def asked(code: str, *items: dict[str, Any], days: int = 30, history_days: int = 5, **more: Any) -> dict[str, Any]:
    """Return a request to the company with the code `code`."""
    terms = {"items": list(items), "days": days, "history_days": history_days}
    return {"credit_code": code, "supplier": "Supplier", "purpose": "delivery risk", "terms": terms, **more}


async def granted(leader: Company, supplier: Company, request: dict[str, Any], **acceptance: Any) -> dict[str, Any]:
    """Ask, accept, and return the grant."""
    made = await leader.http.post("/api/v1/sharing/requests", json=request)
    assert made.status_code == 201, made.text
    path = f"/api/v1/sharing/requests/{made.json()['id']}/acceptance"
    answer = await supplier.http.post(path, json=acceptance)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def values(
    company: Company, grant: str, entry: str, start: datetime, end: datetime, **more: Any
) -> httpx.Response:
    """Ask for values over a grant."""
    query = {"entry": entry, "start": start.isoformat(), "end": end.isoformat(), **more}
    return await company.http.get(f"/api/v1/sharing/grants/{grant}/values", params=query)
