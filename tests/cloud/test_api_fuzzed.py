"""Every operation, asked what its own OpenAPI document allows and what it forbids: never a 5xx, always as documented.

Schemathesis makes the questions; ids of things there are stand in for some of those it invents, so that a question gets
past "not found". SUNMAO_FUZZ_EXAMPLES=200 looks longer than CI does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from protocols.uplink.messages import MEDIA_TYPE
from tests.cloud.conftest import Cluster, Company
from tests.cloud.test_isolation_api import LAST, _ids

EXAMPLES = int(os.environ.get("SUNMAO_FUZZ_EXAMPLES", "2"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
NOT_WALKED = {
    LAST: "ends the session of the walk",
    "GET /api/v1/alarms/changes": "a stream that does not end; see alarms/test_alarms_api",
    "GET /api/v1/changes": "a stream that does not end; see test_telemetry_changes",
}


@schemathesis.serializer(MEDIA_TYPE, "application/zip")
def _message(_: object, value: object) -> bytes:
    """What is made up for a binary body goes as it is."""
    return value if isinstance(value, bytes) else str(value).encode()


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """The HTTP side is what is tried here."""
    return embedded_cluster


# Hypothesis takes it for a strategy's doing when the cloud, in a thread beside it, draws a random number.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.timeout(3600 if "SUNMAO_FUZZ_EXAMPLES" in os.environ else 300)
async def test_no_operation_fails_whatever_it_is_asked(company: Company) -> None:
    known = await _ids(company)
    del known["user_id"]  # of the one owner, whose sign-in the walk uses
    async with company.agent("walked") as agent:
        await asyncio.to_thread(_walk, str(company.http.base_url), company.token, agent.token, known)


def _walk(url: str, person: str, agent: str, known: dict[str, str]) -> None:
    document = httpx.get(f"{url}/api/v1/openapi.json").json()
    generation = GenerationConfig(with_security_parameters=False, allow_x00=True)
    config = SchemathesisConfig(projects=ProjectsConfig(default=ProjectConfig(generation=generation)))
    schema = schemathesis.openapi.from_dict(document, config=config)
    faults: dict[str, str] = {}
    walked = 0
    with requests.Session() as session:
        for operation in (found.ok() for found in schema.get_all_operations()):
            name = f"{operation.method.upper()} {operation.path}"
            if name in NOT_WALKED:
                continue
            walked += 1
            token = agent if operation.path.startswith("/api/v1/uplink/") else person
            session.headers["Authorization"] = f"Bearer {token}"
            faults |= dict(_faults(name, operation, known, lambda case: case.call(url, session, timeout=30)))
    assert walked > 50
    assert not faults, "\n\n".join(f"{name}: {fault}" for name, fault in faults.items())


def _faults(name: str, operation: Any, known: dict[str, str], call: Any) -> Iterator[tuple[str, str]]:
    cases = st.one_of(operation.as_strategy(GenerationMode.POSITIVE), operation.as_strategy(GenerationMode.NEGATIVE))

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, real=st.booleans())
    def ask(case: Case, real: bool) -> None:
        if real:
            for given_parameters in (case.path_parameters, case.query):
                for parameter in set(given_parameters or ()) & set(known):
                    given_parameters[parameter] = known[parameter]
        case.validate_response(call(case), checks=CHECKS)

    try:
        ask()
    except Exception as error:
        yield name, f"{error}"[:1500] + "".join(f"\n  {one}" for one in getattr(error, "exceptions", ()))[:3000]
