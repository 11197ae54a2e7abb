"""Roll-outs: real box and real cloud from shadow to full and back; the rule on what boxes say; what is refused by name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg import AsyncConnection

from cloud.core.db import Database
from cloud.registry.bundles import MAX_UPLOAD_BYTES
from cloud.registry.judgement import decide, share
from cloud.registry.schemas import Evidence, Plan
from models.bundle import packed, write_bundle
from models.series.health_fit import fit
from models.series.recipe import HealthRecipe
from models.series.table import Table
from models.signing import public_key
from protocols.reading import now_us
from protocols.uplink.codec import encode
from protocols.uplink.messages import Batch, Frame, Inspection, SecondOpinion
from protocols.uplink.models import ModelRecord, ModelsReport, ModelsWanted, StationModels
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.cloud.registry.bundles import Shelf, shelf
from tests.doubles.agent import AgentDouble, _decoded
from tests.edge_agent.inspect.conftest import SignedBundle, drop, small_bundle
from tests.edge_agent.inspect.test_forecast_watch import write_model
from tests.edge_agent.test_agent import Start, done, start

__all__ = ["small_bundle", "start"]

CONFIG = """
[agent]
name = "box"
report_s = 1.0
[cloud]
url = "{url}"
[buffer]
group_s = 0.05
[[inspection]]
device = "camera-1"
folder = "pictures"
bundle = "{bundle}"
trust = ["{trust}"]
"""


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, small_bundle: SignedBundle) -> Shelf:
    return shelf(tmp_path_factory.mktemp("shelf"), small_bundle)


@pytest.fixture(scope="module")
def health_models(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    values = np.random.default_rng(0).normal(size=(200, 2))
    release = fit(Table(("pressure", "flow"), values, None), HealthRecipe("pump", half_life=1))
    folder, key = tmp_path_factory.mktemp("health") / "pump", Ed25519PrivateKey.generate()
    write_bundle(folder, release.card, release.onnx, key)
    return shelf(folder.parent / "shelf", SignedBundle(folder, [public_key(key)]))


@pytest.fixture(scope="module")
def seasonal(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder, key = tmp_path_factory.mktemp("seasonal"), Ed25519PrivateKey.generate()
    write_model(folder / "energy", key)
    return shelf(folder / "shelf", SignedBundle(folder / "energy", [public_key(key)]))


async def upload(company: Company, content: bytes) -> httpx.Response:
    return await company.http.post("/api/v1/models", content=content, headers={"Content-Type": "application/zip"})


async def released(company: Company, models: Shelf, *versions: str) -> list[str]:
    """Trust the key and release the versions; return their ids."""
    await company.http.post("/api/v1/models/keys", json={"public_key": models.trust, "name": "ours"})
    answers = [await upload(company, models.zip(version)) for version in versions]
    assert [answer.status_code for answer in answers] == [201] * len(versions), [answer.text for answer in answers]
    return [answer.json()["id"] for answer in answers]


async def get(company: Company, path: str) -> Any:
    return (await company.http.get(f"/api/v1/{path}")).json()


async def until(asked: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool]) -> Any:
    """Return what is asked for once it holds."""
    now = None
    try:
        async with asyncio.timeout(60):
            while not holds(now := await asked()):  # noqa: ASYNC110 - neither box nor cloud calls us
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"still {now}")
    return now


async def test_a_box_takes_a_model_by_stages_and_sends_a_slow_one_back(
    company: Company, models: Shelf, start: Start, tmp_path: Path
) -> None:
    path, pictures = tmp_path / "agent.toml", tmp_path / "pictures"
    pictures.mkdir()
    text = CONFIG.format(url=company.http.base_url, bundle=models.folder / "1", trust=models.trust)
    path.write_text(text, encoding="utf-8")
    code, _, err = await done(await start("enrol", await company.code(), "-c", path, "--json"))
    assert code == 0, err
    await start("run", "-c", path)
    taken = 0

    def photograph(count: int, times: int = 1) -> None:
        nonlocal taken
        for number in range(taken, taken + count):
            drop(pictures, f"p-{number:03}.png", 7000 + number, times=times)
        taken += count

    first, second = await released(company, models, "1", "2")
    (station,) = await until(lambda: get(company, "models/stations"), lambda found: bool(found and found[0]["running"]))
    assert (station["running_name"], station["wanted"]) == ("ramp 1", "")

    async def rollout(version: str, **plan: Any) -> dict[str, Any]:
        body = {
            "version_id": version,
            "stations": [station["equipment_id"]],
            "plan": {"min_parts": 20, "min_minutes": 0} | plan,
        }
        answer = await company.http.post("/api/v1/rollouts", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    begun = await rollout(second)
    assert (begun["stage"], begun["next_en"]) == ("shadow", "20 more judgements")
    await until(lambda: get(company, "models/stations"), lambda found: found[0]["shadow"] == models.digests["2"])
    photograph(21)
    one = f"rollouts/{begun['id']}"
    await until(lambda: get(company, one), lambda now: now["stage"] == "full")
    await until(lambda: get(company, "models/stations"), lambda found: found[0]["running"] == models.digests["2"])
    photograph(21)
    await until(lambda: get(company, one), lambda now: now["stage"] == "done")
    (station,) = await until(lambda: get(company, "models/stations"), lambda found: found[0]["outcome"] == "done")
    assert station["previous"] == models.digests["1"]

    # Back to the first, but it may take a millisecond only: the box itself goes back, and the roll-out with it.
    slow = await rollout(first, shadow=False, latency_ms=1)
    await until(lambda: get(company, "models/stations"), lambda found: found[0]["outcome"] == "trial")
    photograph(21, times=30)  # to open one takes longer than a millisecond on any machine
    ended = await until(lambda: get(company, f"rollouts/{slow['id']}"), lambda now: now["stage"] == "returned")
    assert "more than the 1 ms" in ended["reason_en"]
    assert "毫秒" in ended["reason_zh"]
    await until(lambda: get(company, "models/stations"), lambda found: found[0]["running"] == models.digests["2"])
    photograph(1)

    async def parts() -> list[dict[str, Any]]:
        return list((await get(company, "inspections?limit=200"))["items"])

    judged = await until(parts, lambda found: len(found) >= taken)
    assert sorted(each["part"] for each in judged) == [f"p-{number:03}" for number in range(taken)], (
        "each once, none lost"
    )
    assert {each["model_version"] for each in judged} == {"1", "2"}
    assert judged[0]["model_version"] == "2"


class Station:
    """One inspection station of a company, as its box speaks to the cloud."""

    def __init__(self, agent: AgentDouble, name: str, digest: str, task: str = "inspect") -> None:
        self.agent, self.name = agent, name
        self.state = StationModels(name, digest, task=task)

    async def says(self, **counted: int) -> None:
        """A watch over a machine has judged so much since its order."""
        await self.report(record=ModelRecord(**counted))

    async def report(self, **changed: Any) -> ModelsWanted:
        fields = {name: getattr(self.state, name) for name in self.state.__struct_fields__} | changed
        self.state = StationModels(**fields)
        return _decoded(await self.agent.post("/uplink/models", ModelsReport([self.state]), token=True), ModelsWanted)

    async def obey(self) -> None:
        """Run what is wanted, as a box does."""
        for order in (await self.report()).orders:
            await self.report(
                running=order.run or self.state.running, shadow=order.shadow, order=order.number, outcome="done"
            )

    async def judges(self, version: str, count: int, rejects: int, shadow: tuple[str, int] | None = None) -> None:
        made = []
        for number in range(count):
            verdict = "reject" if number < rejects else "pass"
            second = None
            if shadow:
                other = "reject" if number < shadow[1] else "pass"
                second = SecondOpinion("ramp", shadow[0], other, 0.5, 4000)
            fields = (str(uuid4()), self.name, now_us(), f"p{number}", verdict, 0.5, 3.0, 4.0, "ramp", version, 3000)
            made.append(Inspection(*fields, picture=b"", heatmap=b"", shadow=second))
        self.agent.seq = getattr(self.agent, "seq", 0) + 1
        await self.agent.deliver(Frame(self.agent.seq, encode(Batch(inspections=made))))


async def _waiting(connection: AsyncConnection) -> int:
    (count,) = await (await connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")).fetchone() or (0,)
    return int(count)


async def test_a_canary_that_rejects_more_than_before_is_taken_back_by_itself(
    company: Company, new_company: NewCompany, models: Shelf, db: Database
) -> None:
    (second,) = await released(company, models, "2")
    old, new = "a" * 64, models.digests["2"]
    async with company.agent("line") as agent:
        stations = [Station(agent, f"camera-{number}", old) for number in (1, 2)]
        for station in stations:
            await station.report()
            await station.judges("1", 100, 2)
        names = {each["name"]: each["id"] for each in await get(company, "equipment")}
        body = {
            "version_id": second,
            "stations": [names["camera-1"], names["camera-2"]],
            "canary": [names["camera-2"]],
            "plan": {"min_parts": 20, "min_minutes": 0, "automatic": False},
        }
        begun = (await company.http.post("/api/v1/rollouts", json=body)).json()
        one = f"rollouts/{begun['id']}"
        busy = await company.http.post("/api/v1/rollouts", json=body)
        assert (busy.status_code, "has not ended" in busy.json()["detail"]) == (409, True)
        for station in stations:
            await station.obey()
            assert (station.state.running, station.state.shadow) == (old, new)
        await stations[0].judges("1", 40, 2, shadow=("2", 3))
        shown = await until(lambda: get(company, one), lambda now: now["evidence"]["rejects"]["parts"] == 40)
        assert (shown["evidence"]["differing"], shown["evidence"]["latency_ms"]) == (1, 4.0)
        assert shown["next_en"] == "somebody to promote it"

        # While the clock looks at it, a person waits and is not told that it has ended.
        async with db.tenant(company.scope) as looking:
            await looking.execute("SELECT FROM rollout FOR UPDATE")
            promoting = asyncio.create_task(company.http.post(f"/api/v1/{one}/promote"))
            await until(lambda: _waiting(looking), lambda count: count > 0)
        promoted = await promoting
        assert promoted.json()["stage"] == "canary"
        for station in stations:
            await station.obey()
        assert [(each.state.running, each.state.shadow) for each in stations] == [(old, new), (new, "")]
        await stations[1].judges("2", 40, 20)
        ended = await until(lambda: get(company, one), lambda now: now["stage"] == "returned")
        assert ended["reason_en"].startswith("it rejects 50.0% of 40 judgements")
        for station in stations:
            await station.obey()
            assert (station.state.running, station.state.shadow) == (old, "")
        again = await company.http.post(f"/api/v1/{one}/return")
        assert (again.status_code, again.json()["detail"]) == (409, "This roll-out has ended.")
        stranger = await new_company()
        for path in (one, f"models/{second}", f"models/{second}/bundle"):
            assert (await stranger.http.get(f"/api/v1/{path}")).status_code == 404
        for path in ("rollouts", "models", "models/stations", "models/keys"):
            assert await get(stranger, path) == []
        acts = [row["act"] for row in (await get(company, "audit"))["items"]]
        assert acts[:3] == ["rollout.return", "rollout.promote", "rollout.begin"]


async def test_a_health_model_goes_by_what_watches_count_and_back_when_it_alarms_more(
    company: Company, health_models: Shelf, models: Shelf
) -> None:
    second, picture = *await released(company, health_models, "2"), *await released(company, models, "3")
    old, new = "b" * 64, health_models.digests["2"]
    async with company.agent("hall") as agent:
        watches = [Station(agent, f"pump-{number}-health", old, "health") for number in (1, 2)]
        for watch in watches:
            await watch.says(judged=200, rejects=2, p95_us=90)
        places = {each["name"]: each["id"] for each in await get(company, "equipment")}
        body = {
            "version_id": picture,
            "stations": [places[watch.name] for watch in watches],
            "canary": [places["pump-1-health"]],
            "plan": {"min_parts": 20, "min_minutes": 0},
        }
        unlike = await company.http.post("/api/v1/rollouts", json=body)
        assert (unlike.status_code, "do not go together" in unlike.json()["detail"]) == (422, True)
        begun = (await company.http.post("/api/v1/rollouts", json=body | {"version_id": second})).json()
        one = f"rollouts/{begun['id']}"
        await watches[0].says(beside=30, beside_rejects=30, beside_decided=0)
        waiting = await get(company, one)
        assert waiting["evidence"]["rejects"]["parts"] == 0, "what was counted before the order is not of this stage"
        for watch in watches:
            await watch.obey()
            assert (watch.state.running, watch.state.shadow) == (old, new)
            await watch.says(judged=12, beside=11, beside_rejects=1, beside_decided=1, beside_p95_us=120)
        await until(lambda: get(company, one), lambda now: now["stage"] == "canary")
        for watch in watches:
            await watch.obey()
        assert [(each.state.running, each.state.shadow) for each in watches] == [(new, ""), (old, new)]
        await watches[0].says(judged=40, rejects=20, p95_us=100)
        ended = await until(lambda: get(company, one), lambda now: now["stage"] == "returned")
        assert ended["reason_en"].startswith("it rejects 50.0% of 40 judgements")
        assert "before it was 1.0%" in ended["reason_en"]
        for watch in watches:
            await watch.obey()
            assert (watch.state.running, watch.state.shadow) == (old, "")


async def test_a_seasonal_model_goes_to_forecasts_by_what_they_count(company: Company, seasonal: Shelf) -> None:
    (second,) = await released(company, seasonal, "2")
    async with company.agent("hall") as agent:
        forecast, pump = Station(agent, "hall-energy", "b" * 64, "seasonal"), Station(agent, "pump", "c" * 64, "health")
        for each in (forecast, pump):
            await each.says(judged=100, rejects=1)
        places = {each["name"]: each["id"] for each in await get(company, "equipment")}
        body = {"version_id": second, "stations": [places["pump"]], "plan": {"min_parts": 20, "min_minutes": 0}}
        unlike = await company.http.post("/api/v1/rollouts", json=body)
        assert (unlike.status_code, "seasonal ones to forecasts" in unlike.json()["detail"]) == (422, True)
        begun = (await company.http.post("/api/v1/rollouts", json=body | {"stations": [places["hall-energy"]]})).json()
        await forecast.obey()
        assert forecast.state.shadow == seasonal.digests["2"]
        await forecast.says(beside=20, beside_rejects=0, beside_decided=0)
        await until(lambda: get(company, f"rollouts/{begun['id']}"), lambda now: now["stage"] == "full")


async def test_what_no_box_would_take_is_refused_by_name(company: Company, models: Shelf) -> None:
    files = models.files("3")
    refused = [
        (models.zip("3"), "no signature counts here yet"),
        *(
            (content, why)
            for content, why in (
                (models.zip("3", card_toml=files["card.toml"].replace(b"ramp", b"romp")), "card.toml was changed"),
                (models.zip("3", signature=bytes(64)), "not by a trusted key"),
                (packed("b", {name: files[name] for name in files if name != "signature"}), "is not signed"),
                (packed("b", files | {"run.sh": b"#!"}), "is no part of a bundle"),
                (models.zip("3", card_toml=b" " * 70_000), "card.toml is above"),
                (b"no zip", "no ZIP file"),
            )
        ),
    ]
    for number, (content, why) in enumerate(refused):
        answer = await upload(company, content)
        assert answer.status_code == 422, answer.text
        assert why.lower() in answer.json()["detail"].lower()
        if number == 0:
            key = {"public_key": models.trust, "name": "ours"}
            assert (await company.http.post("/api/v1/models/keys", json=key)).status_code == 204
            assert (await company.http.post("/api/v1/models/keys", json=key)).status_code == 409
    too_large = await upload(company, b"x" * (MAX_UPLOAD_BYTES + 1))
    assert too_large.status_code == 413
    taken = await upload(company, models.zip("3"))
    again = await upload(company, models.zip("3"))
    assert (taken.status_code, again.json()["id"]) == (201, taken.json()["id"])
    nobody = {"version_id": taken.json()["id"], "stations": [str(UUID(int=7))]}
    unknown = await company.http.post("/api/v1/rollouts", json=nobody)
    assert (unknown.status_code, "has not said what model" in unknown.json()["detail"]) == (422, True)
    removed = await company.http.delete("/api/v1/models/keys", params={"public_key": models.trust})
    assert removed.status_code == 204


def test_the_rule() -> None:
    plan = Plan.model_validate({"min_parts": 50, "min_minutes": 10, "latency_ms": 20})

    def what(rejects: tuple[int, int], before: tuple[int, int] = (20, 1000), ms: float = 5, minutes: float = 60) -> str:
        shares = share(*rejects), share(*before)
        return decide(
            Evidence(rejects=shares[0], before=shares[1], differing=None, latency_ms=ms, minutes=minutes),
            plan,
            last=False,
        ).act

    assert what((1, 50)) == "promote"
    assert what((1, 49)) == "wait"
    assert what((1, 50), minutes=9) == "wait"
    assert what((10, 50)) == "return"
    assert what((10, 19)) == "wait", "of so few nothing is concluded"
    assert what((4, 50)) == "promote", "within what chance gives"
    assert what((0, 20), ms=21) == "return"
    assert what((25, 50), before=(0, 0)) == "promote", "nothing is known of before"
    assert share(0, 0).value is None
    low = share(1, 50)
    assert low.low is not None
    assert low.high is not None
    assert (round(low.low, 4), round(low.high, 4)) == (0.0005, 0.1065), "Clopper and Pearson's own example width"
    assert json.loads(plan.model_dump_json())["automatic"] is True
