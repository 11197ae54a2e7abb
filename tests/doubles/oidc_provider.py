"""An OpenID Connect provider over real HTTP: discovery, authorization code with PKCE, keys, signed ID tokens.

Whoever comes to `/authorize` is logged in at once as `person`. `spoil` changes the claims of the next ID tokens.
"""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import uvicorn
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from fastapi import FastAPI, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse
from joserfc import jwt
from joserfc.jwk import RSAKey

from cloud.core.port import listen

CLIENT_ID, CLIENT_SECRET = "sunmao", "only-the-provider-knows"


class OidcProvider:
    """One provider; `person` is who logs in next."""

    def __init__(self) -> None:
        self.issuer = ""
        self.person: dict[str, Any] = {}
        self.spoil: dict[str, Any] = {}
        self.key = RSAKey.generate_key(2048, {"kid": "first", "use": "sig", "alg": "RS256"})
        self.signs_with = self.key
        self._codes: dict[str, dict[str, Any]] = {}

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        def discovery() -> dict[str, Any]:
            return {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            }

        @app.get("/keys")
        def keys() -> dict[str, Any]:
            return {"keys": [self.key.as_dict(private=False)]}

        @app.get("/authorize")
        def authorize(request: Request) -> RedirectResponse:
            asked = dict(request.query_params)
            assert asked["client_id"] == CLIENT_ID
            assert asked["response_type"] == "code"
            assert asked["code_challenge_method"] == "S256"
            assert "openid" in asked["scope"].split()
            code = uuid4().hex
            self._codes[code] = asked | {"person": self.person}
            answer = urlencode({"code": code, "state": asked["state"], "iss": self.issuer})
            return RedirectResponse(f"{asked['redirect_uri']}?{answer}", 302)

        @app.post("/token")
        def token(
            request: Request, code: str = Form(), redirect_uri: str = Form(), code_verifier: str = Form()
        ) -> JSONResponse:
            credentials = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
            begun = self._codes.pop(code, None)  # a code is good once
            if (
                begun is None
                or request.headers.get("authorization") != f"Basic {credentials}"
                or begun["redirect_uri"] != redirect_uri
                or create_s256_code_challenge(code_verifier) != begun["code_challenge"]
            ):
                return JSONResponse({"error": "invalid_grant"}, 400)
            now = int(time.time())
            claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": begun["nonce"]}
            signed = jwt.encode(
                {"alg": "RS256", "kid": "first"}, {**claims, **begun["person"], **self.spoil}, self.signs_with
            )
            return JSONResponse({"access_token": uuid4().hex, "token_type": "Bearer", "id_token": signed})

        return app


@contextmanager
def serving() -> Iterator[OidcProvider]:
    """A provider that listens on a port of its own."""
    provider = OidcProvider()
    listening = listen("127.0.0.1", 0)
    provider.issuer = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(provider.app(), log_level="warning"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
    thread.start()
    try:
        httpx.get(f"{provider.issuer}/keys", timeout=20).raise_for_status()
        yield provider
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
