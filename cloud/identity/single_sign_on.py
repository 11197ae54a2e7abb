"""Log-in with the account people have at work: OpenID Connect Core 1.0, authorization code with PKCE (RFC 7636).

The provider vouches for an e-mail address, no more: who it belongs to is a user there is, or one who comes with both halves
of an invitation; nobody becomes an owner that way. The first log-in binds the account to the provider's name for the
person, so that an address that is given to somebody else later opens nothing.
"""

from __future__ import annotations

import hmac
import secrets as randomness
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OctKey

from cloud.core import audit
from cloud.core.db import Database
from cloud.core.errors import Unauthenticated
from cloud.core.limits import RateLimit
from cloud.core.principal import Role, TenantScope
from cloud.core.settings import Secrets
from cloud.identity.invitations import Invitations
from cloud.identity.oidc_settings import OidcSettings, is_safe
from cloud.identity.schemas import JoinRequest, Session
from cloud.identity.store import people as store
from cloud.identity.tokens import Tokens
from protocols.text import Text

TICKET_LIFE_S = 600
_TIMEOUT_S = 10.0
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384"]


class SingleSignOnRefused(Unauthenticated):
    """The log-in did not come about; `why` is a word for it: away, refused, unverified, unknown."""

    def __init__(self, why: str) -> None:
        super().__init__(_WHY[why])
        self.why = why


_WHY = {
    "away": Text(
        "The log-in provider does not answer; try again, or use your password.",
        "登录服务无应答，请重试或使用密码登录。",
    ),
    "refused": Text("The log-in was not completed. Begin again.", "登录未完成，请重新开始。"),
    "unverified": Text("The provider has not verified your e-mail.", "登录服务尚未验证您的邮箱。"),
    "unknown": Text(
        "Nobody here has this e-mail. Ask a manager of your company for an invitation.",
        "此处没有使用该邮箱的用户，请向本企业管理者索取邀请。",
    ),
}


class Departure(NamedTuple):
    """Where the browser goes to log in, and the ticket it brings back as a cookie."""

    url: str
    ticket: str


class Arrival(NamedTuple):
    """Who came back: a session for them, and the page they wanted."""

    session: Session
    target: str


class SingleSignOn:
    """Log-in at the provider that the operator has set."""

    def __init__(
        self, db: Database, secrets: Secrets, settings: OidcSettings, tokens: Tokens, invitations: Invitations
    ) -> None:
        self._db = db
        self.settings = settings
        self._tokens = tokens
        self._invitations = invitations
        self._key = OctKey.import_key(hmac.digest(secrets.signing_key.encode(), b"oidc-ticket", "sha256"))
        self._per_address = RateLimit(burst=30, period_s=2)

    @property
    def called(self) -> str:
        """What people call the provider."""
        return self.settings.name or urlsplit(self.settings.issuer).netloc

    async def begin(
        self, callback: str, address: str, *, target: str = "/", invitation: tuple[str, str] | None = None
    ) -> Departure:
        """Send a browser to the provider, to come back to `callback`; an `invitation` is its token and code.

        Raises SingleSignOnRefused or TooMany.
        """
        self._per_address.spend(address)
        verifier, nonce = generate_token(64), generate_token(32)
        async with self._client(callback) as client:
            provider = await self._provider(client)
            url, state = client.create_authorization_url(
                provider["authorization_endpoint"], code_verifier=verifier, nonce=nonce
            )
        claims = {
            **{"state": state, "nonce": nonce, "verifier": verifier, "target": target},
            **{"invitation": list(invitation or ()), "exp": int(time.time()) + TICKET_LIFE_S},
        }
        return Departure(url, jwt.encode({"alg": "HS256"}, claims, self._key))

    async def finish(self, callback: str, address: str, answer: Mapping[str, str], ticket: str) -> Arrival:
        """Take the provider's answer - the query it came with - and sign its person in.

        Raises SingleSignOnRefused, TooMany, and InvitationRefused or Conflict where one joins.
        """
        self._per_address.spend(address)
        begun = self._begun(ticket)
        returned = (answer.get("state", ""), answer.get("iss", self.settings.issuer))  # RFC 9207
        if returned != (begun["state"], self.settings.issuer) or "code" not in answer:
            raise SingleSignOnRefused("refused")
        claims = await self._claims(callback, answer["code"], begun)
        email = claims.get("email")
        if not isinstance(email, str) or claims.get("email_verified") is not True:
            raise SingleSignOnRefused("unverified")
        subject = f"{self.settings.issuer} {claims['sub']}"
        if begun["invitation"]:
            await self._join(email, begun["invitation"], address)
        return Arrival(await self._sign_in(email.lower(), subject, address), begun["target"])

    def _begun(self, ticket: str) -> dict[str, Any]:
        try:
            claims = jwt.decode(ticket, self._key, algorithms=["HS256"]).claims
            jwt.JWTClaimsRegistry(exp={"essential": True}).validate(claims)
        except (JoseError, ValueError) as error:
            raise SingleSignOnRefused("refused") from error
        return claims

    async def _claims(self, callback: str, code: str, begun: Mapping[str, Any]) -> dict[str, Any]:
        """Trade the code for the person's ID token and return its claims, checked (OpenID Connect Core 3.1.3.7)."""
        async with self._client(callback) as client:
            provider = await self._provider(client)
            try:
                answer = await client.fetch_token(
                    provider["token_endpoint"], code=code, code_verifier=begun["verifier"]
                )
                keys = (
                    (await client.request("GET", provider["jwks_uri"], withhold_token=True)).raise_for_status().json()
                )
                claims = jwt.decode(answer["id_token"], KeySet.import_key_set(keys), algorithms=_ALGORITHMS).claims
                jwt.JWTClaimsRegistry(
                    leeway=60,
                    iss={"essential": True, "value": self.settings.issuer},
                    aud={"essential": True, "value": self.settings.client_id},
                    nonce={"essential": True, "value": begun["nonce"]},
                    exp={"essential": True},
                    iat={"essential": True},
                    sub={"essential": True},
                ).validate(claims)
            except httpx.TransportError as error:
                raise SingleSignOnRefused("away") from error
            except (OAuthError, httpx.HTTPStatusError, JoseError, KeyError, ValueError) as error:
                raise SingleSignOnRefused("refused") from error
        if claims.get("azp", self.settings.client_id) != self.settings.client_id:
            raise SingleSignOnRefused("refused")
        return claims

    async def _provider(self, client: AsyncOAuth2Client) -> dict[str, str]:
        """Return what the provider says of itself (OpenID Connect Discovery 1.0)."""
        url = f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            found = (await client.request("GET", url, withhold_token=True)).raise_for_status().json()
            endpoints = {name: str(found[name]) for name in _ENDPOINTS}
            if found["issuer"] != self.settings.issuer:
                raise ValueError(found["issuer"])
        except (httpx.HTTPError, KeyError, ValueError) as error:
            raise SingleSignOnRefused("away") from error
        if any(not is_safe(endpoint) for endpoint in endpoints.values()):
            raise SingleSignOnRefused("away")
        return endpoints

    def _client(self, callback: str) -> AsyncOAuth2Client:
        settings = self.settings
        return AsyncOAuth2Client(
            settings.client_id,
            settings.client_secret or None,
            token_endpoint_auth_method="client_secret_basic" if settings.client_secret else "none",
            redirect_uri=f"{settings.address.rstrip('/')}{urlsplit(callback).path}" if settings.address else callback,
            scope="openid email",
            code_challenge_method="S256",
            timeout=_TIMEOUT_S,
        )

    async def _join(self, email: str, invitation: list[str], address: str) -> None:
        token, code = invitation
        request = JoinRequest(token=token, code=code, email=email, password=randomness.token_urlsafe(48))
        await self._invitations.join(request, address, highest=Role.MANAGER)

    async def _sign_in(self, email: str, subject: str, address: str) -> Session:
        async with self._db.door() as connection:
            found = await store.find_log_in(connection, email)
        if found is None:
            raise SingleSignOnRefused("unknown")
        async with self._db.tenant(TenantScope(found["tenant_id"])) as connection:
            if not await store.bind_subject(connection, found["user_id"], subject):
                raise SingleSignOnRefused("unknown")
            session = await self._tokens.open_session(connection, found["user_id"])
            await audit.record(connection, f"user:{email}", "session.create", address, by=self.settings.issuer)
        return session


_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
