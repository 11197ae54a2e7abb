"""HTTP of the fleet domain: enrolment and log-in of agents (MessagePack), and what people see of them (JSON)."""

from __future__ import annotations

from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import Field

from cloud.core.access import PUBLIC, AgentCaller, Engineer, Reader, address_of
from cloud.core.body import message, read_message, speaks
from cloud.core.instants import Instant
from cloud.core.keyset import BY_ID_NEWEST, BY_NAME, BY_NUMBER_NEWEST
from cloud.core.paging import Paged, Typed
from cloud.fleet.schemas import (
    Agent,
    Code,
    CodeRequest,
    Configuration,
    ConfigurationDifference,
    ConfigurationRequest,
    ConfigurationText,
    ConfigurationVersion,
    Diagnostic,
    DiagnosticPage,
    DiagnosticRequest,
    Equipment,
    EquipmentChange,
    EventPage,
    MachineRequest,
    NewCode,
)
from cloud.fleet.service import Fleet
from protocols.uplink.diagnostics import Answer, AnswerKept, Inquiries, InquiryPoll
from protocols.uplink.messages import (
    ChallengeReply,
    ChallengeRequest,
    ConfigurationKept,
    ConfigurationReport,
    DesiredConfiguration,
    DesiredRequest,
    EnrolReply,
    EnrolRequest,
    Health,
    HealthReply,
    TokenReply,
    TokenRequest,
)

router = APIRouter(prefix="/api/v1", tags=["fleet"])

LOG_IN = ("/api/v1/agents/challenge", "/api/v1/agents/token")


async def fleet_of(request: Request) -> Fleet:
    """Return the running cloud's fleet domain."""
    return cast(Fleet, request.app.state.fleet)


FleetDoor = Annotated[Fleet, Depends(fleet_of)]
WaitS = Annotated[
    float,
    Query(ge=0, le=30, description="Seconds to wait for the gateway's answer; without, what is known is returned."),
]
VersionNumber = Annotated[int, Field(ge=0, le=2**31 - 1)]


@router.post("/agents/enrol", openapi_extra=PUBLIC | speaks(EnrolRequest, EnrolReply))
async def enrol(request: Request, fleet: FleetDoor) -> Response:
    """Trade a one-time code for a place in the fleet; the agent's public key is pinned."""
    return message(await fleet.enrol(await read_message(request, EnrolRequest), address_of(request)))


@router.post("/agents/challenge", openapi_extra=PUBLIC | speaks(ChallengeRequest, ChallengeReply))
async def challenge(request: Request, fleet: FleetDoor) -> Response:
    """Get a nonce to sign, good once and for 60 s."""
    body = await read_message(request, ChallengeRequest)
    return message(await fleet.challenge(body.agent_id, address_of(request)))


@router.post("/agents/token", openapi_extra=PUBLIC | speaks(TokenRequest, TokenReply))
async def token(request: Request, fleet: FleetDoor) -> Response:
    """Trade a signed nonce for a 15-minute token."""
    return message(await fleet.token(await read_message(request, TokenRequest), address_of(request)))


@router.post("/uplink/health", openapi_extra=speaks(Health, HealthReply))
async def report(request: Request, agent: AgentCaller, fleet: FleetDoor) -> Response:
    """Report what the agent is and how it fares."""
    return message(await fleet.report(agent, await read_message(request, Health)))


@router.get("/agents")
async def list_agents(principal: Reader, fleet: FleetDoor, page: Paged) -> list[Agent]:
    """The company's edge agents, by name."""
    return page.cut(await fleet.agents(principal.scope, page.window(BY_NAME)), lambda one: (one.name, one.id))


@router.delete("/agents/{agent_id}", status_code=204)
async def revoke_agent(principal: Engineer, agent_id: UUID, fleet: FleetDoor) -> None:
    """Revoke an agent: its next request is refused. Its data remain."""
    await fleet.revoke(principal.scope, agent_id, principal.actor)


@router.post("/uplink/configuration", openapi_extra=speaks(ConfigurationReport, ConfigurationKept))
async def report_configuration(request: Request, agent: AgentCaller, fleet: FleetDoor) -> Response:
    """Tell which configuration is in force at the agent, without its secrets."""
    return message(await fleet.configurations.reported(agent, await read_message(request, ConfigurationReport)))


@router.post("/uplink/configuration/desired", openapi_extra=speaks(DesiredRequest, DesiredConfiguration))
async def desired_configuration(request: Request, agent: AgentCaller, fleet: FleetDoor) -> Response:
    """Get the configuration the agent shall have; 404 if there is none it has not settled."""
    await read_message(request, DesiredRequest)
    return message(await fleet.configurations.desired(agent))


@router.get("/agents/{agent_id}/configuration")
async def get_configuration(principal: Reader, agent_id: UUID, fleet: FleetDoor, response: Response) -> Configuration:
    """Which configuration is in force at an agent and which is wanted. The ETag goes into a change's If-Match."""
    current = await fleet.configurations.current(principal.scope, agent_id)
    response.headers["ETag"] = current.etag
    return current


@router.put("/agents/{agent_id}/configuration", status_code=202)
async def put_configuration(
    principal: Engineer,
    agent_id: UUID,
    body: ConfigurationRequest,
    fleet: FleetDoor,
    if_match: Annotated[str | None, Header()] = None,
) -> ConfigurationVersion:
    """Want another configuration at an agent. It fetches it, tries it on probation, and keeps it or goes back."""
    return await fleet.configurations.want(principal.scope, agent_id, body, etag=if_match, actor=principal.actor)


@router.get("/agents/{agent_id}/configuration/versions")
async def list_configuration_versions(
    principal: Reader, agent_id: UUID, fleet: FleetDoor, page: Paged
) -> list[ConfigurationVersion]:
    """The versions of an agent's configuration, newest first: who, when, why, and what became of each."""
    window = page.window(BY_NUMBER_NEWEST)
    return page.cut(await fleet.configurations.versions(principal.scope, agent_id, window), lambda one: (one.version,))


@router.get("/agents/{agent_id}/configuration/versions/{version}")
async def get_configuration_version(
    principal: Reader, agent_id: UUID, version: VersionNumber, fleet: FleetDoor
) -> ConfigurationText:
    """One version with its text."""
    return await fleet.configurations.version(principal.scope, agent_id, version)


@router.get("/agents/{agent_id}/configuration/difference")
async def compare_configurations(
    principal: Reader, agent_id: UUID, before: VersionNumber, after: VersionNumber, fleet: FleetDoor
) -> ConfigurationDifference:
    """What one version has other than another, as a unified diff."""
    return await fleet.configurations.difference(principal.scope, agent_id, before, after)


@router.post("/agents/{agent_id}/diagnostics", status_code=202)
async def ask_agent(
    principal: Engineer, agent_id: UUID, body: DiagnosticRequest, fleet: FleetDoor, wait_s: WaitS = 0
) -> Diagnostic:
    """Ask an agent to read points, test one, check a device or itself. Nothing is written to any machine.

    The agent fetches the question at once if it is connected; 409 where its software is too old or the box refuses.
    """
    asked = await fleet.diagnostics.ask(principal.scope, agent_id, body, principal.actor)
    return await fleet.diagnostics.diagnostic(principal.scope, agent_id, asked.id, wait_s) if wait_s else asked


@router.get("/agents/{agent_id}/diagnostics")
async def list_diagnostics(
    principal: Reader, agent_id: UUID, fleet: FleetDoor, before_id: UUID | None = None
) -> DiagnosticPage:
    """What an agent was asked to look at and what it found, newest first, 50 a page."""
    return await fleet.diagnostics.diagnostics(principal.scope, agent_id, before_id)


@router.get("/agents/{agent_id}/diagnostics/{diagnostic_id}")
async def get_diagnostic(
    principal: Reader, agent_id: UUID, diagnostic_id: UUID, fleet: FleetDoor, wait_s: WaitS = 0
) -> Diagnostic:
    """One question and its answer, as soon as there is one."""
    return await fleet.diagnostics.diagnostic(principal.scope, agent_id, diagnostic_id, wait_s)


@router.post("/uplink/diagnostics", openapi_extra=speaks(InquiryPoll, Inquiries))
async def take_inquiries(request: Request, agent: AgentCaller, fleet: FleetDoor) -> Response:
    """Get what somebody asks the agent to look at; waits for it as long as the poll says."""
    poll = await read_message(request, InquiryPoll)
    return message(await fleet.diagnostics.work(agent, poll.wait_s, request.is_disconnected))


@router.post("/uplink/diagnostics/answer", openapi_extra=speaks(Answer, AnswerKept))
async def answer_inquiry(request: Request, agent: AgentCaller, fleet: FleetDoor) -> Response:
    """Tell what was found; one that was told before is kept once."""
    await fleet.diagnostics.answered(agent, await read_message(request, Answer))
    return message(AnswerKept())


@router.get("/enrolment-codes")
async def list_codes(principal: Engineer, fleet: FleetDoor, page: Paged) -> list[Code]:
    """The enrolment codes, newest first."""
    return page.cut(await fleet.codes(principal.scope, page.window(BY_ID_NEWEST)), lambda one: (one.id,))


@router.post("/enrolment-codes", status_code=201)
async def create_code(principal: Engineer, body: CodeRequest, fleet: FleetDoor) -> NewCode:
    """Make a one-time code that enrols one agent at a site. It is shown this once."""
    return await fleet.create_code(principal.scope, body, principal.actor)


@router.get("/equipment")
async def list_equipment(principal: Reader, fleet: FleetDoor, page: Paged, search: Typed = "") -> list[Equipment]:
    """The company's equipment, by name; or what `search` finds."""
    if search:
        return await fleet.find_equipment(principal.scope, search, page.limit)
    window = page.window(BY_NAME)
    return page.cut(await fleet.equipment_list(principal.scope, window), lambda one: (one.name, one.id))


@router.post("/equipment", status_code=201)
async def add_equipment(principal: Engineer, body: MachineRequest, fleet: FleetDoor) -> Equipment:
    """Name a machine that no gateway reads: people enter its values, and upload them as a file."""
    return await fleet.equipment(principal.scope, await fleet.desks.add_machine(principal, body))


@router.get("/equipment/{equipment_id}")
async def get_equipment(principal: Reader, equipment_id: UUID, fleet: FleetDoor) -> Equipment:
    """One piece of equipment."""
    return await fleet.equipment(principal.scope, equipment_id)


@router.patch("/equipment/{equipment_id}")
async def describe_equipment(
    principal: Engineer, equipment_id: UUID, body: EquipmentChange, fleet: FleetDoor
) -> Equipment:
    """Place a piece of equipment in a line and say what it is. What is left out stays; null takes away."""
    return await fleet.describe(principal.scope, equipment_id, body, principal.actor)


@router.get("/events")
async def list_events(
    principal: Reader, fleet: FleetDoor, before_time: Instant | None = None, before_id: UUID | None = None
) -> EventPage:
    """What happened at the edge and people should see, newest first, 100 a page."""
    return await fleet.events(principal.scope, (before_time, before_id) if before_time and before_id else None)
