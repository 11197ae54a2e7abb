"""The technician's sheet: one side of paper in each language, with the code on it and nothing else of the page.

With SUNMAO_PICTURES=guides in the environment it leaves its picture in `docs/images`.
"""

from __future__ import annotations

from io import BytesIO

import pypdf
import pytest
from playwright.sync_api import expect

from edge_agent.ui.enrolment_code import read_photograph
from tests.journeys.conftest import Company
from tests.journeys.test_every_page import GUIDES
from tests.journeys.test_translation import check, lines, other_language

pytestmark = pytest.mark.chromium

PAPERS = {"A4": [595, 842], "Letter": [612, 792]}
MARGIN = dict.fromkeys(("top", "right", "bottom", "left"), "12mm")


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("address", ["/", "/gateways"])
def test_a_code_is_printed_on_one_side_of_paper(open_browser, theirs: Company, language: str, address: str) -> None:
    page = open_browser(language, company=theirs)
    page.goto(address)
    page.locator(".page button.button").last.click()
    code = page.locator(".code").inner_text()
    expect(page.locator(".handout")).to_be_hidden()
    page.evaluate("window.print = () => { window.printed = true }")
    page.locator(".handout").locator("xpath=preceding-sibling::button").click()
    page.wait_for_function("window.printed")
    for paper, size in PAPERS.items():
        printed = pypdf.PdfReader(BytesIO(page.pdf(format=paper, margin=MARGIN)))
        assert len(printed.pages) == 1
        assert [float(side) for side in printed.pages[0].mediabox[2:]] == pytest.approx(size, abs=2)  # points
        assert code in printed.pages[0].extract_text()
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 700, "height": 1000})  # A4 within its margins, in CSS pixels
    expect(page.locator(".handout")).to_be_visible()
    expect(page.locator(".places")).to_be_hidden()
    assert read_photograph(page.locator(".handout-code").screenshot()) == (theirs.url, code)
    check(lines(page), other_language(language), language)
    if GUIDES and address == "/gateways":
        page.locator(".handout").screenshot(path=GUIDES / f"guide-sheet-{language}.png")
