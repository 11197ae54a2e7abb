"""Log-in at an OpenID Connect provider, over real HTTP: who gets in, who does not, and what cannot be forged."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import uvicorn
from joserfc.jwk import RSAKey

from cloud.app import create_app
from cloud.core.limits import RateLimit
from cloud.identity import single_sign_on
from cloud.identity.oidc_settings import OidcSettings, load_oidc
from protocols.errors import ConfigError
from tests.cloud.conftest import PASSWORD, SECRETS, Company, NewCompany
from tests.doubles.oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider, serving


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def cloud_url(app_dsn: str, provider: OidcProvider) -> Iterator[str]:
    """A cloud whose operator has set the provider."""
    settings = OidcSettings(provider.issuer, CLIENT_ID, CLIENT_SECRET, name="Works")
    listening = socket.create_server(("127.0.0.1", 0))
    with pytest.MonkeyPatch.context() as patch:
        # all tests come from one address, and more often than people do
        patch.setattr(single_sign_on, "RateLimit", lambda burst, period_s: RateLimit(burst * 100, period_s))
        server = uvicorn.Server(uvicorn.Config(create_app(app_dsn, SECRETS, oidc=settings), log_level="warning"))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            httpx.get(f"{url}/readyz", timeout=20).raise_for_status()
            yield url
        finally:
            server.should_exit = True
            thread.join()
            listening.close()


def person(email: str, **claims: Any) -> dict[str, Any]:
    return {"sub": uuid4().hex, "email": email, "email_verified": True, **claims}


async def _end(browser: httpx.AsyncClient, first: httpx.Response) -> str:
    """Follow the redirects of a log-in; return the path it ends at, with its query."""
    answer = first
    while answer.is_redirect:
        answer = await browser.get(answer.headers["location"])
        if "sunmao_session" in browser.cookies or answer.url.path == "/login":
            location = answer.headers.get("location")
            return location or f"{answer.url.path}?{answer.url.query.decode()}"
    return f"{answer.status_code}"


@pytest.fixture
async def browser(cloud_url: str) -> Any:
    async with httpx.AsyncClient(base_url=cloud_url, timeout=30) as client:
        yield client


async def test_a_user_there_is_gets_in_by_their_verified_e_mail_and_is_bound_to_the_account(
    company: Company, provider: OidcProvider, browser: httpx.AsyncClient
) -> None:
    assert "Works" in (await browser.get("/login")).text
    provider.person = person(company.email.upper())
    assert await _end(browser, await browser.get("/login/oidc?next=/gateways")) == "/gateways"
    assert (await browser.get("/api/v1/me")).json()["email"] == company.email
    entry = (await company.http.get("/api/v1/audit")).json()["items"][0]
    assert (entry["act"], entry["detail"]) == ("session.create", {"by": provider.issuer})
    browser.cookies.clear()
    provider.person = person(company.email)  # somebody else who was given the address
    assert await _end(browser, await browser.get("/login/oidc")) == "/login?why=oidc-unknown&next=%2F"


SPOILT: tuple[tuple[dict[str, Any], str], ...] = (
    ({"email_verified": False}, "unverified"),
    ({"email_verified": "true"}, "unverified"),
    ({"iss": "https://elsewhere.example.com"}, "refused"),
    ({"aud": "another client"}, "refused"),
    ({"aud": [CLIENT_ID, "another"], "azp": "another"}, "refused"),
    ({"nonce": "of another log-in"}, "refused"),
    ({"exp": 1_700_000_000}, "refused"),
    ({"signed": "with another key"}, "refused"),
)


async def test_what_the_provider_did_not_vouch_for_opens_nothing(
    company: Company, provider: OidcProvider, browser: httpx.AsyncClient
) -> None:
    provider.person = person(company.email)
    for spoil, why in SPOILT:
        provider.spoil = spoil
        if "signed" in spoil:
            provider.signs_with = RSAKey.generate_key(2048, {"kid": "first"})
        try:
            ended = await _end(browser, await browser.get("/login/oidc"))
            assert ended == f"/login?why=oidc-{why}&next=%2F", spoil
        finally:
            provider.spoil, provider.signs_with = {}, provider.key
        assert "sunmao_session" not in browser.cookies


async def test_an_answer_that_was_not_asked_for_by_this_browser_opens_nothing(
    company: Company, provider: OidcProvider, browser: httpx.AsyncClient, cloud_url: str
) -> None:
    provider.person = person(company.email)
    async with httpx.AsyncClient(base_url=cloud_url, timeout=30) as attacker:
        departure = await attacker.get("/login/oidc")
        back = (await attacker.get(departure.headers["location"])).headers["location"]
    assert "why=oidc-refused" in (await browser.get(back)).headers["location"], "no ticket"
    await browser.get("/login/oidc")
    assert "why=oidc-refused" in (await browser.get(back)).headers["location"], "the ticket of another log-in"
    own = (await browser.get((await browser.get("/login/oidc")).headers["location"])).headers["location"]
    assert (await browser.get(own)).headers["location"] == "/"
    assert "why=oidc-refused" in (await browser.get(own)).headers["location"], "a code is good once"


async def test_who_is_nobody_here_joins_with_both_halves_of_an_invitation_and_never_as_an_owner(
    new_company: NewCompany, provider: OidcProvider, browser: httpx.AsyncClient
) -> None:
    company = await new_company()
    email = f"{uuid4().hex}@example.com"
    provider.person = person(email)
    assert "oidc-unknown" in await _end(browser, await browser.get("/login/oidc"))
    for role, code, expected in (
        ("owner", None, "oidc-invitation"),
        ("viewer", "0000", "oidc-invitation"),
        ("viewer", None, "/"),
    ):
        made = (await company.http.post("/api/v1/invitations", json={"role": role})).json()
        halves = {"token": made["token"], "code": code or made["code"]}
        assert expected in await _end(browser, await browser.post("/login/oidc", data=halves))
    me = (await browser.get("/api/v1/me")).json()
    assert (me["email"], me["role"]) == (email, "viewer")
    refused = await browser.post("/api/v1/sessions", json={"email": email, "password": PASSWORD})
    assert refused.status_code == 401, "there is no password to guess"


async def test_a_provider_that_does_not_answer_leaves_the_password(
    company: Company, provider: OidcProvider, browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "issuer", "https://renamed.example.com")
    assert (await browser.get("/login/oidc")).headers["location"] == "/login?why=oidc-away&next=%2F"
    answer = await browser.post("/api/v1/sessions", json={"email": company.email, "password": PASSWORD})
    assert answer.status_code == 201


def test_the_operators_file_is_checked_when_the_cloud_starts(tmp_path: Path) -> None:
    assert load_oidc(tmp_path) is None
    path = tmp_path / "oidc.toml"
    for content in ("issuer = 1", 'issuer = "http://example.com"\nclient_id = "a"', 'issuer = "https://a.example"'):
        path.write_text(content)
        with pytest.raises(ConfigError):
            load_oidc(tmp_path)
    path.write_text('issuer = "https://a.example"\nclient_id = "a"\nclient_secret = "s"')
    path.chmod(0o644)
    with pytest.raises(ConfigError):
        load_oidc(tmp_path)
    path.chmod(0o600)
    assert load_oidc(tmp_path) == OidcSettings("https://a.example", "a", "s")
