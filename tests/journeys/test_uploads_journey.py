"""A supplier without a gateway accepts a request, fills in the template, is told what is wrong, mends it, and its leader sees it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import Company
from tests.journeys.test_every_page import OVERFLOW, SCREENS, picture

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(180)]

MACHINE = "注塑机-01"
ROWS = 8


def filled(template: Path, into: Path, *, power: object) -> Path:
    """Fill in a template with a value every ten minutes of the last hour and a half, the first of them `power`."""
    book = openpyxl.load_workbook(template)
    sheet = book.worksheets[0]
    assert [cell.value for cell in sheet[1]][:2] == ["设备 Machine", "时间 Time (Asia/Shanghai)"]
    assert str(sheet["C1"].value).startswith("总有功功率 Total active power [kW")
    assert sheet["A3"].value == MACHINE
    first = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=10 * ROWS)
    for row in range(ROWS):
        sheet.cell(row + 3, 1).value = MACHINE
        at = first + timedelta(minutes=10 * row)
        sheet.cell(row + 3, 2).value = at.astimezone(ZoneInfo("Asia/Shanghai")).replace(tzinfo=None)
        sheet.cell(row + 3, 3).value = power if row == 0 else 40.5
    book.save(into)
    return into


def fits(page: Page, name: str) -> None:
    """Let the page stand on a desk's and a phone's screen without running over."""
    for screen, size in SCREENS.items():
        page.set_viewport_size(size)
        page.wait_for_function(f"() => ({OVERFLOW})().length === 0")
        picture(page, f"{name}-{screen}")
    page.set_viewport_size(SCREENS["desktop"])


def test_values_by_file(open_browser, found, tmp_path: Path) -> None:
    leader: Company = found("assembler")
    supplier: Company = found("moulder")
    desk = open_browser("en", company=leader)
    desk.goto("/programmes")
    desk.get_by_label("Name", exact=True).fill("2026")
    desk.get_by_label("What the data is for").fill("用能核算")
    desk.get_by_label("New values come").select_option("day")
    for kind in ("cnc", "injection_moulding"):
        desk.get_by_label("What", exact=True).select_option(label="Total active power")
        desk.get_by_label("Of which machines").select_option(kind)
        desk.get_by_label("How finely").select_option("raw")
        desk.get_by_role("button", name="Add", exact=True).click()
    kinds = "Total active power (CNC machine tool, Injection moulding machine): every reading"
    expect(desk.locator(".lot")).to_contain_text(kinds)
    fits(desk, "programmes-by-kind-en")
    desk.get_by_role("button", name="Create").click()
    desk.wait_for_url("**/programmes/*")
    suppliers = tmp_path / "suppliers.csv"
    suppliers.write_text(f"credit_code,name\n{supplier.credit_code},moulder\n", encoding="utf-8")
    desk.get_by_label("Choose the file").set_input_files(suppliers)
    expect(desk.get_by_role("status")).to_contain_text("1 suppliers are invited")

    page = open_browser("zh", company=supplier)
    page.goto("/shares")
    page.get_by_role("button", name="同意").click()
    expect(page.locator(".page")).to_contain_text("生效中")
    page.locator(".card.tile").first.click()
    page.get_by_role("link", name="没有网关？用表格填报数据").click()
    page.wait_for_url("**/uploads")
    page.get_by_label("设备名称").fill(MACHINE)
    page.get_by_label("类别", exact=True).select_option("injection_moulding")
    page.get_by_role("button", name="添加设备").click()
    expect(page.locator(".page")).to_contain_text("总有功功率 (数控机床、注塑机)：每个原始读数 - assembler")
    with page.expect_download() as download:
        page.get_by_role("link", name="Excel 模板", exact=True).click()
    template = tmp_path / "template.xlsx"
    download.value.save_as(template)

    page.get_by_label("选择文件").set_input_files(filled(template, tmp_path / "wrong.xlsx", power="四十"))
    expect(page.get_by_role("alert")).to_have_text("未入库：共 1 处错误。")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("C3")
    expect(page.locator("tbody tr")).to_contain_text("“四十”不是数字")
    fits(page, "uploads-faults-zh")
    assert supplier.client.get("/api/v1/telemetry/stats").json()["readings"] == 0

    page.get_by_label("选择文件").set_input_files(filled(template, tmp_path / "right.xlsx", power="４０，５ kW"))
    expect(page.locator(".page")).to_contain_text("8 行、8 个数值，识别结果：")
    expect(page.locator("tbody tr")).to_contain_text("40.50")
    fits(page, "uploads-understood-zh")
    assert supplier.client.get("/api/v1/telemetry/stats").json()["readings"] == 0, "nothing before somebody says so"
    page.get_by_role("button", name="入库 8 个数值").click()
    expect(page.get_by_role("status")).to_have_text("已入库 8 个数值。")
    expect(page.locator(".lot")).to_have_count(1)
    page.get_by_label("选择文件").set_input_files(tmp_path / "right.xlsx")
    expect(page.get_by_role("status")).to_contain_text("此前已上传")
    fits(page, "uploads-stored-zh")
    page.get_by_label("设备名称").fill("车床-02")
    page.get_by_label("类别", exact=True).select_option("cnc")
    page.get_by_role("button", name="添加设备").click()
    page.get_by_label("填报哪些设备").select_option(label="车床-02")
    expect(page.get_by_role("link", name="CSV 模板")).to_have_attribute(
        "href", re.compile("equipment_id=[0-9a-f-]{36}&")
    )
    page.get_by_role("link", name=MACHINE).click()
    expect(page.locator(".page")).to_contain_text("人工填报")
    fits(page, "equipment-by-hand-zh")
    page.goto("/")
    expect(page.locator(".page")).to_contain_text("人工填报")
    fits(page, "overview-by-hand-zh")

    desk.reload()
    desk.get_by_role("button", name="Check now").click()
    expect(desk.locator(".supplier .mark")).to_have_text("First machine")
    expect(desk.locator(".supplier")).to_contain_text("车床-02 lacks Total active power")
    expect(desk.locator(".supplier")).to_contain_text("Values of some machines are entered by hand.")
    desk.locator(".supplier a.strong").click()
    expect(desk.locator(".shared-value")).to_contain_text("40.50 kW")
    expect(desk.locator(".page")).to_contain_text(f"Entered by hand, not measured by a gateway: {MACHINE}")
    fits(desk, "share-by-hand-en")
