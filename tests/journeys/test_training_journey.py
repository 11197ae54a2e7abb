"""From thirty good pictures to a better version: upload, train, try, take it to the box, judge at the line, train again."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from uuid_utils import uuid7

from models.bundle import Bundle, read_bundle
from models.vision.detector import Detector, heatmap_png
from models.vision.pictures import decode, fit_to
from models.vision.synthetic import Defect
from protocols.reading import now_us
from protocols.uplink.messages import Inspection
from protocols.uplink.models import StationModels
from tests.cloud.training.pictures import part, png
from tests.doubles.plant import Plant
from tests.journeys.conftest import Company
from tests.journeys.test_every_page import OVERFLOW, picture

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(400)]

GOOD, TABLET = 30, {"width": 820, "height": 1180}
KINDS: dict[Defect, int] = {"scratch": 10, "short_shot": 10, "flash": 3}


def file(name: str, content: bytes) -> Any:
    return {"name": f"{name}.png", "mimeType": "image/png", "buffer": content}


def look(page: Page, name: str) -> None:
    """Leave a picture to be looked at; nothing may run over the side, on a phone neither."""
    before = page.viewport_size
    for screen, size in {"desk": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}.items():
        page.set_viewport_size(size)
        assert page.evaluate(OVERFLOW) == []
        picture(page, f"training-{name}-{screen}")
    page.set_viewport_size(before)


def unpacked(page: Page, number: int, folder: Path) -> Bundle:
    """Download version `number` and read it as a box does that trusts the key the page shows."""
    card = page.locator(".version").filter(has_text=re.compile(rf"(Version|版本) {number}"))
    with page.expect_download() as download:
        card.locator("a").click()
    ZipFile(download.value.path()).extractall(folder)
    trust = re.search(r'trust = \["(.+)"\]', page.locator(".command").inner_text())
    assert trust
    return read_bundle(folder / f"cap-{number}", [trust[1]])


def inspected(bundle: Bundle, name: str, content: bytes) -> Inspection:
    """What a station that runs `bundle` sends of a picture."""
    detector = Detector(bundle)
    found = detector.inspect(fit_to(decode(content, name), detector.side))
    jpeg = BytesIO()
    with Image.open(BytesIO(content)) as image:
        image.save(jpeg, "JPEG", quality=90)
    return Inspection(
        id=str(uuid7()), device="camera-1", time=now_us(), part=name, verdict=found.verdict, score=found.score,
        review_limit=found.review, reject_limit=found.reject, model=bundle.card.name, model_version=bundle.card.version,
        latency_us=9_000, picture=jpeg.getvalue(), heatmap=heatmap_png(found, (256, 256)),
    )  # fmt: skip


def test_from_thirty_pictures_to_a_second_version(open_browser, found, cloud: str, tmp_path: Path) -> None:
    company: Company = found("caps")
    with httpx.Client(base_url=cloud, timeout=30) as client:
        plant = Plant(client)
        plant.enrol(company.code())
        plant.report_health()
        plant.deliver_values([now_us()])
        page = open_browser("en", company=company)
        upload_and_train(page)
        page.locator("input[aria-label='Try a picture']").set_input_files(file("odd", png(950, "short_shot")))
        expect(page.locator(".judge .mark")).to_have_text(re.compile("Review|Reject"))
        expect(page.locator(".judge .plate img")).to_have_count(2)
        for image in page.locator(".judge .plate img").all():
            assert image.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
        look(page, "version-en")

        bundle = unpacked(page, 1, tmp_path)
        shown = [(f"line-{number}", png(500 + number)) for number in range(4)]
        shown += [(f"line-bad-{number}", png(600 + number, "black_spot")) for number in range(2)]
        plant.deliver_values([], inspections=[inspected(bundle, *each) for each in shown])

    page_of_set = page.url
    tablet = open_browser("zh", company=company)
    tablet.set_viewport_size(TABLET)
    judge_at_the_line(tablet)

    # The words have joined the set; the second version is judged beside the first, by the same parts.
    page.goto(page_of_set)
    page.get_by_role("button", name="Train again").click()
    second = page.locator(".version").filter(has_text="Version 2")
    expect(second).to_be_visible(timeout=150_000)
    expect(second.locator("table").first.locator("thead th")).to_have_text(["Figure", "This version", "Before"])
    expect(second.locator(".mark")).to_have_text(re.compile("before|another"))
    look(page, "second-en")
    with httpx.Client(base_url=cloud, timeout=30) as client:
        plant.client = client
        roll_out_and_take_back(page, plant, bundle, unpacked(page, 2, tmp_path))


def roll_out_and_take_back(page: Page, plant: Plant, first: Bundle, second: Bundle) -> None:
    """The second version goes to the station, its verdicts are seen, and the first one is back."""
    station = StationModels("camera-1", first.digest)
    assert plant.runs(station) is None
    page.locator(".version").filter(has_text="Version 2").get_by_role("button", name="Roll out").click()
    page.wait_for_url("**/models?version=*")
    expect(page.locator("select[aria-label='Model'] option:checked")).to_have_text("cap 2")
    page.get_by_label("How").select_option("all")
    page.get_by_role("button", name="Begin").click()
    expect(page.locator(".rollout .stages .here")).to_have_text("At all stations")
    order = plant.runs(station)
    assert order
    assert order.run == second.digest
    station = StationModels("camera-1", second.digest, first.digest, order=order.number, outcome="trial")
    plant.runs(station)
    plant.deliver_values([], inspections=[inspected(second, f"new-{number}", png(700 + number)) for number in range(3)])
    expect(page.locator(".rollout")).to_contain_text("47 more judgements")
    page.reload()
    expect(page.locator(".tile .mark")).to_have_text("On trial")
    look(page, "models-en")
    page.get_by_role("button", name="Take it back").click()
    expect(page.locator(".rollout .mark")).to_have_text("Taken back")
    order = plant.runs(station)
    assert order
    assert order.run == first.digest


def upload_and_train(page: Page) -> None:
    page.goto("/training")
    page.get_by_label("Name of the model").fill("cap")
    page.get_by_label("How it looks").select_option("texture")
    page.get_by_role("button", name="Make it").click()
    page.wait_for_url("**/training/*-*")
    chooser = page.locator("input[aria-label='Choose pictures']")
    page.get_by_label("Which part does a picture show?").select_option("name")
    chooser.set_input_files([file(f"{part(number)}_1", png(number)) for number in range(10)] + [file("no_1", b"x")])
    expect(page.get_by_role("status")).to_have_text("10 pictures are in the set.")
    expect(page.get_by_role("alert").last).to_contain_text("no_1.png")
    page.get_by_role("button", name="Train the model").click()
    expect(page.get_by_role("alert").last).to_contain_text("at least 20 good pictures")
    chooser.set_input_files([file(f"{part(number)}_1", png(number)) for number in range(10, GOOD)])
    expect(page.get_by_role("status")).to_have_text("20 pictures are in the set.")
    page.get_by_label("What do they show?").select_option("defect")
    shown = 0
    for kind, count in KINDS.items():
        page.get_by_label("Kind of defect").fill(kind)
        chooser.set_input_files([file(f"{kind}{number}_1", png(900 + number, kind)) for number in range(count)])
        shown += count
        expect(page.locator(".thumb.defect")).to_have_count(shown)
    expect(page.locator(".page")).to_contain_text("Named defects: flash 3 (lacks 7), scratch 10, short_shot 10.")
    page.get_by_role("button", name="Train the model").click()
    expect(page.locator(".fit-stage")).to_be_visible()
    look(page, "running-en")
    expect(page.locator(".version").filter(has_text="Version 1")).to_be_visible(timeout=150_000)
    expect(page.locator(".version .mark")).to_have_text("First version")
    expect(page.locator(".version")).to_contain_text(re.compile(r"Names defects: macro-F1 \d\.\d\d"))
    expect(page.locator(".version")).to_contain_text("short_shot")
    look(page, "names-en")


def judge_at_the_line(page: Page) -> None:
    page.goto("/judge")
    name = page.locator(".part")
    first = name.inner_text()
    expect(page.locator(".judge .plate .heat")).to_be_visible()
    look(page, "judge-zh")
    page.get_by_role("button", name="缺陷品").click()
    expect(name).not_to_have_text(first)
    expect(page.locator(".new-words")).to_contain_text("已判定 1 件")
    page.get_by_role("button", name="撤销").click()
    expect(name).to_have_text(first)
    expect(page.locator(".new-words")).to_contain_text("已判定 0 件")
    for count in range(1, 7):
        judged = name.inner_text()
        if count == 1:
            page.get_by_label("其他缺陷").fill("gd 黑点")
            page.get_by_role("button", name="保存").click()
        else:
            page.keyboard.press("d" if "bad" in judged else "g")
        expect(page.locator(".new-words")).to_contain_text(f"已判定 {count} 件")
    expect(page.locator(".page")).to_contain_text("均已判定")
    page.goto("/training")
    look(page, "sets-zh")
