"""From uploaded pictures to a signed version, with a real worker: what is learnt from, what judges, what is refused."""

from __future__ import annotations

import asyncio
import base64
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zipfile import ZipFile

import pytest
from PIL import Image

from cloud.core.db import Database
from cloud.training import store
from cloud.training.selection import Candidate, choose, held_back
from models.bundle import read_bundle
from models.errors import BundleRefused
from models.vision.synthetic import Defect
from tests.cloud.conftest import Cluster, Company, NewCompany
from tests.cloud.training.pictures import part, png

GOOD = 28
KINDS: dict[Defect, int] = {"flash": 3, "scratch": 10, "short_shot": 10}
DEFECTS = sum(KINDS.values())


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    """Nothing here rests on how readings are stored."""
    return embedded_cluster


async def made_set(company: Company, name: str = "cap", **fields: Any) -> str:
    answer = await company.http.post("/api/v1/training/sets", json={"name": name, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def upload(company: Company, set_id: str, content: bytes, **query: str) -> Any:
    return await company.http.post(
        "/api/v1/training/pictures",
        params={"set_id": set_id, **query},
        content=content,
        headers={"Content-Type": "image/png"},
    )


async def ended(company: Company, fit: dict[str, Any]) -> dict[str, Any]:
    """Wait until a fit has ended and return it."""
    async with asyncio.timeout(180):
        while True:
            found: dict[str, Any] = (await company.http.get(f"/api/v1/training/fits/{fit['id']}")).json()
            if found["state"] not in {"waiting", "running"}:
                return found
            await asyncio.sleep(0.1)


async def test_thirty_pictures_become_a_version_that_a_box_trusts(
    company: Company, new_company: NewCompany, tmp_path: Path
) -> None:
    set_id = await made_set(company)
    for number in range(GOOD):
        answer = await upload(company, set_id, png(number), part=part(number))
        assert answer.status_code == 201, answer.text
        assert answer.json()["held_back"] == held_back(part(number))
    for defect, count in KINDS.items():
        for number in range(count):
            named = {"kind": "defect", "defect": defect, "part": f"{defect}-{number}"}
            await upload(company, set_id, png(900 + number, defect), **named)
    again = await upload(company, set_id, png(0), part=part(0))
    assert again.json()["digest"] in {each["digest"] for each in await pictures(company, set_id)}

    counts = (await company.http.get(f"/api/v1/training/sets/{set_id}/counts")).json()
    held = sum(held_back(part(number)) for number in range(GOOD))
    assert (counts["learn"], counts["held_good"], counts["held_defect"]) == (GOOD - held, held, DEFECTS)
    assert held > 0
    assert [(kind["name"], kind["parts"], kind["missing"]) for kind in counts["kinds"]] == [
        ("flash", 3, 7),
        ("scratch", 10, 0),
        ("short_shot", 10, 0),
    ]

    beyond = await company.http.patch(f"/api/v1/training/sets/{set_id}", json={"region": [[[0, 0], [1, 0], [0, 1.5]]]})
    assert beyond.status_code == 422
    region = [[[0.05, 0.05], [0.95, 0.05], [0.95, 0.95], [0.05, 0.95]]]
    changed = await company.http.patch(f"/api/v1/training/sets/{set_id}", json={"region": region})
    assert changed.json()["region"] == region

    asked = await company.http.post(f"/api/v1/training/sets/{set_id}/fits")
    assert asked.status_code == 202, asked.text
    assert (await company.http.post(f"/api/v1/training/sets/{set_id}/fits")).status_code == 409, "one at a time"
    fit = await ended(company, asked.json())
    assert (fit["state"], fit["reason_en"]) == ("done", "")

    (version,) = (await company.http.get(f"/api/v1/training/sets/{set_id}/versions")).json()
    assert (version["name"], version["number"], version["comparison"], version["before"]) == ("cap", 1, "first", None)
    assert version["card"]["fit"]["samples"] == GOOD - held, "held-back pictures were not learnt from"
    assert (version["after"]["good_parts"], version["after"]["bad_parts"]) == (held, DEFECTS)
    assert version["card"]["region"] == region
    assert version["card"]["fit"]["looked_at"] == pytest.approx((14 / 16) ** 2)
    assert version["after"]["auroc"] > 0.5  # of so few pictures one pair is much
    assert [(kind["name"], kind["parts"], sum(kind["said"])) for kind in version["card"]["kinds"]] == [
        ("scratch", 10, 10),
        ("short_shot", 10, 10),
    ]

    # The bundle is what a box takes, with the key that is shown - and only with it.
    bundle = await company.http.get(f"/api/v1/training/versions/{version['id']}/bundle")
    ZipFile(BytesIO(bundle.content)).extractall(tmp_path)
    key = (await company.http.get("/api/v1/training/key")).json()["public_key"]
    read = read_bundle(tmp_path / "cap-1", [key])
    assert (read.signer, read.digest, read.card.version) == (version["signer"], version["digest"], "1")
    stranger = await new_company()
    await made_set(stranger)
    other_key = (await stranger.http.get("/api/v1/training/key")).json()["public_key"]
    with pytest.raises(BundleRefused, match="trusted key"):
        read_bundle(tmp_path / "cap-1", [other_key])

    # It finds what it never saw.
    for content, verdicts in ((png(950, "short_shot"), {"review", "reject"}), (png(0), {"pass", "review"})):
        tried = await company.http.post(
            "/api/v1/training/trials", params={"version_id": version["id"]}, content=content
        )
        assert tried.json()["verdict"] in verdicts, tried.text
        assert tried.json()["defect"] in ({"", "short_shot"} if "reject" in verdicts else {"", "scratch", "short_shot"})
        with Image.open(BytesIO(base64.b64decode(tried.json()["heatmap"]))) as heatmap:
            assert heatmap.size == (256, 256)
    refused = await company.http.post(
        "/api/v1/training/trials", params={"version_id": version["id"]}, content=b"no picture"
    )
    assert (refused.status_code, "JPEG" in refused.json()["detail"]) == (422, True)

    # To others none of it exists.
    for path in (
        f"sets/{set_id}",
        f"fits/{fit['id']}",
        f"versions/{version['id']}",
        f"versions/{version['id']}/bundle",
    ):
        assert (await stranger.http.get(f"/api/v1/training/{path}")).status_code == 404


async def pictures(company: Company, set_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await company.http.get(f"/api/v1/training/sets/{set_id}/pictures")).json()
    return found


async def test_what_cannot_be_fitted_is_said_in_numbers(company: Company) -> None:
    set_id = await made_set(company)
    assert (await upload(company, set_id, b"GIF89a")).status_code == 422
    assert (await upload(company, set_id, b"\0" * (8 * 1024 * 1024 + 1))).status_code == 413
    assert (await upload(company, set_id, png(1), part="cap-001")).status_code == 201
    asked = await company.http.post(f"/api/v1/training/sets/{set_id}/fits", headers={"Accept-Language": "zh"})
    assert asked.status_code == 422
    assert "20" in asked.json()["detail"]
    assert "只有 1 张" in asked.json()["detail"]
    assert (await company.http.post("/api/v1/training/sets", json={"name": "cap"})).status_code == 409


def test_a_part_stays_on_its_side_whatever_comes_besides() -> None:
    names = [f"p{number}" for number in range(600)]
    first = choose(Candidate(name, True, name) for name in names[:300])
    later = choose([Candidate(name, True, name) for name in names] + [Candidate("p7", False, "p7-again")])
    assert {one.part for one in first.held_good} <= {one.part for one in later.held_good}
    assert not {one.part for one in later.learn} & {one.part for one in later.held_good}
    assert 70 <= len(later.held_good) <= 130
    assert "p7" not in {one.part for one in later.learn}, "a part with a defect is not learnt from"


async def test_a_fit_whose_process_is_gone_is_begun_again_once(company: Company, db: Database) -> None:
    """What two processes do to one fit, at the level of the lease: never two results, never a third try."""
    set_id = await made_set(company)
    one, two, three = uuid4(), uuid4(), uuid4()
    async with db.tenant(company.scope) as connection:
        await store.insert_fit(connection, one, UUID(set_id), {"pictures": []}, "t")
        assert (await store.claim_fit(connection, one, 60) or {})["id"] == one
        assert await store.claim_fit(connection, two, 60) is None, "the lease is held"
        await connection.execute("UPDATE training_fit SET leased_until = now() - interval '1 s'")
        assert await store.claim_fit(connection, two, 60), "its process is gone"
        assert not await store.beat(connection, one, one, ("read", 1, 2), 60)
        assert not await store.end_fit(connection, one, one, "done"), "the first one's result no longer counts"
        await connection.execute("UPDATE training_fit SET leased_until = now() - interval '1 s'")
        await store.give_up_fits(connection, 2, "twice", "两次")
        assert await store.claim_fit(connection, three, 60) is None
        assert (await store.select_fit(connection, one) or {})["reason_en"] == "twice"
