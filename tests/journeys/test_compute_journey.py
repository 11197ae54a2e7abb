"""A small company gets a voucher, compares, lets its model be fitted on rented computing, and reads the bill and the receipt."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.cloud.compute.site import working
from tests.cloud.training.pictures import part, png
from tests.journeys.conftest import CLOUD, Company, run
from tests.journeys.test_every_page import OVERFLOW, picture

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(240)]

GOOD, BAD = 30, 4


def pictured(company: Company) -> None:
    """Give the company a set of pictures."""
    made = (
        company.client.post("/api/v1/training/sets", json={"name": "bottle-cap", "family": "texture"})
        .raise_for_status()
        .json()
    )
    for number in range(GOOD + BAD):
        good = number < GOOD
        query = {"set_id": made["id"], "kind": "good" if good else "defect", "part": part(number)}
        content = png(number) if good else png(number, "scratch")
        answer = company.client.post(
            "/api/v1/training/pictures", params=query, content=content, headers={"Content-Type": "image/png"}
        )
        answer.raise_for_status()


def opened_market(desk: Page, company: Company) -> None:
    """Let the operator open a programme and book what the company has paid in."""
    desk.goto("/wallet")
    desk.get_by_role("link", name="The market: money, programmes, applications").click()
    pools = desk.locator(".card").filter(has=desk.get_by_role("heading", name="Programmes"))
    pools.get_by_label("Programme").select_option(label="Wuhan one-person-company voucher")
    pools.get_by_label("Amount, yuan").fill("1000")
    pools.get_by_role("button", name="Open, or add to it").click()
    expect(pools.get_by_role("status")).to_have_text("Open with ¥1,000.00 more.")
    money = desk.locator(".card").filter(has=desk.get_by_role("heading", name="Money in and out"))
    money.get_by_label("Unified social credit code").fill(company.credit_code)
    money.get_by_label("Amount, yuan").fill("50")
    money.get_by_role("button", name="Book").click()
    expect(money.get_by_role("alert")).to_contain_text("reference")
    money.get_by_label("Bank slip").fill("slip 2026-0042")
    money.get_by_role("button", name="Book").click()
    expect(money.get_by_role("status")).to_contain_text("¥50.00 booked for")


def inspected(phone: Page) -> None:
    """Let all pictures of the set be inspected with the new model, and read what came out."""
    phone.goto("/compute")
    phone.get_by_label("计算任务").select_option(label="批量检测图片")
    phone.get_by_role("button", name="比较报价").click()
    phone.get_by_role("button", name="在此运行").first.click()
    phone.wait_for_url(re.compile("/compute/jobs/"))
    expect(phone.locator(".mark").first).to_have_text("已完成", timeout=60_000)
    expect(phone.locator(".page")).to_contain_text("合格: ")
    expect(phone.get_by_role("link", name="results.jsonl")).to_be_visible()
    assert phone.evaluate(OVERFLOW) == []
    picture(phone, "compute-inspect-zh-phone")


def given_back(provider: Page, job: str) -> None:
    """The provider gives a part back on the job's page, and issues its invoices."""
    provider.goto(job)
    expect(provider.locator(".page")).to_contain_text("CPUExecutionProvider")
    expect(provider.locator(".chart").first).to_be_visible()
    picture(provider, "compute-job-provider-en")
    card = provider.locator(".refund")
    card.get_by_label("Share of what it cost, %").fill("25")
    card.get_by_label("Reason").fill("slow")
    card.get_by_role("button", name="Give back").click()
    expect(provider.locator(".page")).to_contain_text("Refund:")
    provider.goto("/provider")
    provider.get_by_role("button", name="Issue invoices for").click()
    expect(provider.locator(".page")).to_contain_text("-00001 ·")
    with provider.expect_download() as printed:
        provider.get_by_role("link", name="PDF").click()
    assert printed.value.path().read_bytes().startswith(b"%PDF")
    picture(provider, "provider-invoice-en")


def bought_ahead(desk: Page, phone: Page) -> None:
    """The market publishes a rate, and the maker buys hours by it."""
    desk.goto("/wallet/market")
    desk.get_by_label("Yuan an hour of a core or card").fill("2")
    desk.get_by_role("button", name="Publish").click()
    expect(desk.locator(".page")).to_contain_text("Published: cpu")
    phone.goto("/wallet")
    card = phone.locator(".bank")
    card.get_by_label("金额，元").fill("10")
    card.get_by_role("button", name="存入").click()
    expect(phone.locator(".bank")).to_contain_text("cpu 5.000 小时")
    assert phone.evaluate(OVERFLOW) == []
    picture(phone, "wallet-bank-zh-phone")


def test_a_voucher_a_quote_a_refit_a_bill_and_a_receipt(
    open_browser, found, cloud: str, cloud_data: Path, tmp_path: Path
) -> None:
    market, grid, maker = found("market"), found("grid"), found("maker")
    run(cloud_data, "compute", "operator", "market", "--fee", "5")
    pictured(maker)
    desk = open_browser("en", company=market)
    opened_market(desk, maker)

    provider = open_browser("en", company=grid)
    provider.goto("/provider")
    provider.get_by_label("Yuan an hour, 8 to 22").fill("36")
    provider.get_by_label("Yuan an hour, 22 to 8").fill("36")
    provider.get_by_role("button", name="Open the offer").click()
    token = provider.locator("code.worker-token").inner_text()
    picture(provider, "provider-en")

    phone = open_browser("zh", "phone", company=maker)
    phone.goto("/wallet")
    expect(phone.locator(".figures")).to_contain_text("¥50.00")
    phone.get_by_label("申请主体").select_option(label="一人公司 OPC")
    phone.get_by_label("用途").fill("瓶盖检测模型重新训练")
    phone.get_by_role("button", name="提交申请").click()
    expect(phone.locator(".voucher")).to_contain_text("待审批")
    assert phone.evaluate(OVERFLOW) == []
    picture(phone, "wallet-zh-phone")

    desk.goto("/wallet/market")
    application = desk.locator(".application").filter(has_text="maker")
    expect(application).to_contain_text("瓶盖检测模型重新训练")
    picture(desk, "market-en")
    application.get_by_role("button", name="Grant").click()
    expect(application).to_have_count(0)
    phone.goto("/wallet")
    expect(phone.locator(".voucher")).to_contain_text("有效")

    with working(cloud, token, tmp_path):
        page = open_browser("en", company=maker)
        page.goto("/compute")
        page.get_by_role("button", name="Compare offers").click()
        best = page.locator(".plan").first
        expect(best).to_contain_text("Best:")
        expect(best).to_contain_text("by voucher")
        assert page.evaluate(OVERFLOW) == []
        picture(page, "compute-en")
        best.get_by_role("button", name="Run here").click()
        page.wait_for_url(re.compile("/compute/jobs/"))
        expect(page.locator(".mark").first).to_have_text("Done", timeout=120_000)
        inspected(phone)
    expect(page.locator(".page")).to_contain_text("paid by voucher")
    expect(page.locator(".page")).to_contain_text("The model is a new version of its set.")
    picture(page, "compute-job-en")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the receipt").click()
    verified = subprocess.run(
        [CLOUD, "compute", "verify-receipt", download.value.path(), "--lang", "en"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "Whole." in verified.stdout
    job = page.url
    phone.goto(job)
    expect(phone.locator(".page")).to_contain_text("已完成")
    assert phone.evaluate(OVERFLOW) == []
    picture(phone, "compute-job-zh-phone")

    given_back(provider, job)
    bought_ahead(desk, phone)

    page.get_by_role("link", name="To the versions").click()
    expect(page.locator(".page")).to_contain_text("Version 1")
    phone.goto("/wallet")
    expect(phone.locator(".page")).to_contain_text("作业付款")
    picture(phone, "wallet-bill-zh-phone")
    provider.goto("/provider")
    expect(provider.locator(".job").first).to_contain_text("bottle-cap")
    market_page = open_browser("zh", "phone", company=market)
    market_page.goto("/wallet/market")
    expect(market_page.locator(".page")).to_contain_text("作业 2 个")
    assert market_page.evaluate(OVERFLOW) == []
    stranger = page.goto("/wallet/market")
    assert stranger is not None
    expect(page.get_by_role("heading", name="Nothing here")).to_be_visible()
