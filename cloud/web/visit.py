"""One person's visit to one page: who they are, what they read, and the services the page may ask for them."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request
from nicegui import ui

from cloud.alarms.service import Alarms
from cloud.assessment.service import Assessments
from cloud.billing.service import Billing
from cloud.compute.service import Compute
from cloud.core.access import SESSION_COOKIE
from cloud.core.principal import Principal, Scope, TenantScope
from cloud.dictionary.service import CompanyEntries
from cloud.energy.service import Energy
from cloud.fleet.service import Fleet
from cloud.identity.service import Identity
from cloud.notify.service import Notify
from cloud.production.service import Production
from cloud.quality.service import Quality
from cloud.registry.service import Registry
from cloud.reports.service import Reports
from cloud.sharing.service import Sharing
from cloud.shelf.service import Shelf
from cloud.spc.service import Spc
from cloud.suppliers.service import Suppliers
from cloud.telemetry.service import Telemetry
from cloud.traceability.service import Traceability
from cloud.training.service import Training
from cloud.uploads.service import Uploads
from cloud.web.language import COOKIE, language_of
from protocols.text import Language, Text


@dataclass(frozen=True)
class Domains:
    """The doors of the domains below, as the running cloud made them."""

    identity: Identity
    company_entries: CompanyEntries
    fleet: Fleet
    telemetry: Telemetry
    quality: Quality
    production: Production
    energy: Energy
    alarms: Alarms
    notify: Notify
    reports: Reports
    training: Training
    registry: Registry
    spc: Spc
    shelf: Shelf
    sharing: Sharing
    uploads: Uploads
    suppliers: Suppliers
    assessments: Assessments
    traceability: Traceability
    billing: Billing
    compute: Compute

    @classmethod
    def of(cls, app: FastAPI) -> Domains:
        """Return those of a running `app`."""
        state = app.state
        names = (
            "identity",
            "company_entries",
            "fleet",
            "telemetry",
            "quality",
            "production",
            "energy",
            "alarms",
            "notify",
            "reports",
            "training",
            "registry",
            "spc",
            "shelf",
            "sharing",
            "uploads",
            "suppliers",
            "assessments",
            "traceability",
            "billing",
            "compute",
        )
        return cls(*(getattr(state, name) for name in names))


@dataclass(frozen=True)
class Visit:
    """A signed-in person on a page. `zone` is the site's, in which all times are shown.

    Attributes:
        unacknowledged: alarms nobody had acknowledged when the page was asked for.
    """

    request: Request
    domains: Domains
    principal: Principal
    language: Language
    tenant: str
    zone: ZoneInfo
    unacknowledged: int = 0

    @property
    def scope(self) -> TenantScope:
        """The tenant everything on the page belongs to, as far as the person may see it. Acts go by `acting`."""
        return self.principal.scope

    def may(self, scope: Scope) -> bool:
        """Return whether the person may do what demands `scope` somewhere; `may_at` says where."""
        return scope in self.principal.scopes

    async def may_at(self, scope: Scope, place: UUID) -> bool:
        """Return whether the person may do what demands `scope` at a site, a line or a piece of equipment they see."""
        if scope not in self.principal.scopes:
            return False
        return (await self.domains.identity.permissions.check(self.principal, None, scope, place)).allowed

    def acting(self, demand: Scope) -> Principal:
        """Return the person for an act that demands `demand`: it reaches only where they have that scope."""
        return self.principal.demanding(demand)

    @property
    def here(self) -> str:
        """The page's own address, to come back to."""
        url = self.request.url
        return f"{url.path}?{url.query}" if url.query else url.path

    def say(self, text: Text, **values: object) -> str:
        """Return `text` in the visitor's language, with `values` in its braces."""
        return text.to(self.language).format(**values) if values else text.to(self.language)

    async def may_still(self, scope: Scope) -> bool:
        """Return whether the page's session is alive and allows `scope`; if not, lead the reader to the log-in page.

        A page outlives the request it was built for, so whatever it does later asks first.
        """
        principal = await self.domains.identity.resolve(self.request.cookies.get(SESSION_COOKIE, ""))
        if principal is not None and scope in principal.scopes:
            return True
        ui.navigate.to("/login")
        return False


async def visit_of(request: Request, domains: Domains) -> Visit | None:
    """Return the visit of a signed-in person; None without a live session.

    The language is the one chosen with the switch on this browser, else the one kept with the account, else the one the
    browser asks for.
    """
    principal = await domains.identity.resolve(request.cookies.get(SESSION_COOKIE, ""))
    if principal is None:
        return None
    me = await domains.identity.me(principal)
    sites = await domains.identity.sites(principal.scope)
    language = language_of(request)
    if COOKIE not in request.cookies and principal.language:
        language = principal.language
    return Visit(
        request=request,
        domains=domains,
        principal=principal,
        language=language,
        tenant=me.tenant,
        zone=ZoneInfo(sites[0].time_zone if sites else "UTC"),
        unacknowledged=(await domains.alarms.counts(principal.scope)).unacknowledged,
    )
