"""A machine is read from the office: a real gateway at a simulated meter, a press of a button, the value on the page."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Company
from tests.journeys.technician import EDGE, running

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def meter(found, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A company whose only gateway reads a meter."""
    company: Company = found("diagnosed")
    folder: Path = tmp_path_factory.mktemp("box")
    with running(folder, "meter", "simulate", "demo-energy-meter") as serving, (folder / "stderr").open("w") as log:
        host, _, port = serving["address"].rpartition(":")
        (folder / "agent.toml").write_text(
            f'[agent]\nname = "box"\nreport_s = 1.0\n[cloud]\nurl = "{company.url}"\n[[device]]\nname = "meter"\n'
            f'template = "demo-energy-meter"\n[device.connection]\nhost = "{host}"\nport = {port}\n',
            encoding="utf-8",
        )
        subprocess.run([EDGE, "enrol", company.code()], cwd=folder, check=True, capture_output=True, timeout=60)
        agent = subprocess.Popen([EDGE, "run"], cwd=folder, stderr=log, env=os.environ)
        try:
            yield company
        finally:
            agent.send_signal(signal.SIGINT)
            agent.wait(timeout=20)
    assert "Traceback" not in (folder / "stderr").read_text()


def test_read_now_shows_what_the_machine_says(open_browser, meter: Company) -> None:
    page = open_browser("zh", "phone", company=meter)
    page.goto("/gateways")
    link = page.get_by_text("立即读取设备、远程诊断")
    expect(page.get_by_text("在线", exact=True)).to_be_visible()
    link.click()
    expect(page.get_by_text("尚无诊断记录", exact=False)).to_be_visible()
    expect(page.get_by_role("combobox", name="设备")).to_be_visible()
    page.get_by_role("button", name="立即读取", exact=True).click()
    expect(page.get_by_text("已答复", exact=True)).to_be_visible()
    expect(page.locator("table.points tbody tr").first.locator("td.value")).not_to_have_text("–")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("button", name="测试该点").click()
    expect(page.locator(".notice.bad")).to_contain_text("请指定要测试的一个点")
    page.get_by_role("button", name="检查整台网关").click()
    expect(page.get_by_text("网关体检报告", exact=True)).to_be_visible()
    expect(page.get_by_text("已答复", exact=True)).to_have_count(2, timeout=30_000)
