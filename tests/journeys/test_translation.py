"""Every page is wholly in the reader's language: no word of ours from the other one is on it."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import cloud.web
from protocols.dictionary.entries import equipment_classes, load_dictionary
from protocols.text import Text

pytestmark = pytest.mark.chromium

ENGLISH = re.compile(r"[A-Za-z]{2,}(?: [A-Za-z]{2,}){2,}")
"""Three words in a row: a sentence or a phrase, not a unit, a name or a command."""
CHINESE = re.compile(r"[\u3400-\u9fff]")


def texts_in(thing: Any, depth: int = 0) -> Iterator[Text]:
    if isinstance(thing, Text):
        yield thing
    elif isinstance(thing, Mapping) and depth < 4:
        for value in thing.values():
            yield from texts_in(value, depth + 1)
    elif isinstance(thing, (tuple, list)) and depth < 4:
        for value in thing:
            yield from texts_in(value, depth + 1)


def all_texts() -> set[Text]:
    found = {entry.name for entry in load_dictionary().values()} | set(equipment_classes().values())
    for module in pkgutil.walk_packages(cloud.web.__path__, "cloud.web."):
        for value in vars(importlib.import_module(module.name)).values():
            found |= set(texts_in(value))
    return found


def test_no_text_is_left_in_english() -> None:
    texts = all_texts()
    assert len(texts) > 250
    worded = [text for text in texts if re.search("[A-Za-z]{3}", re.sub(r"{\w*}", "", text.en))]
    assert [text for text in worded if not CHINESE.search(text.zh) or CHINESE.search(text.en)] == []


def test_braces_agree_in_both_languages() -> None:
    for text in all_texts():
        assert sorted(re.findall(r"{\w*}", text.en)) == sorted(re.findall(r"{\w*}", text.zh)), text


def lines(page: Page) -> list[str]:
    shown = page.evaluate(
        """() => {
            const said = [document.title, ...document.body.innerText.split('\\n')];
            for (const element of document.querySelectorAll('[title], [aria-label], [alt]'))
                said.push(element.title, element.getAttribute('aria-label') || '', element.alt || '');
            return said;
        }"""
    )
    return [line.strip() for line in shown if line and line.strip()]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_page_before_the_log_in_shows_the_other_language(open_browser, language: str) -> None:
    """The pages behind it are walked by `test_every_page`."""
    page = open_browser(language)
    for address in ("/login", "/login?why=refused", "/enrol", "/no/such/page"):
        page.goto(address)
        expect(page.locator("h1")).to_be_visible()
        expect(page.locator("html")).to_have_attribute("lang", {"zh": "zh-CN", "en": "en-US"}[language])
        check(lines(page), other_language(language), language)


def other_language(language: str) -> set[str]:
    """Return all our words that must not stand on a page in `language`."""
    return {text.zh if language == "en" else text.en for text in all_texts() if "{" not in text.en}


def test_the_first_steps_are_translated(open_browser, found) -> None:
    page = open_browser("zh", "phone", company=found("unequipped"))
    page.locator(".steps button").click()
    expect(page.locator(".code")).to_be_visible()
    check(lines(page), {text.en for text in all_texts()}, "zh")


def check(shown: list[str], foreign: set[str], language: str) -> None:
    ours = [line for line in shown if line not in {"中文", "榫卯"}]
    assert [line for line in ours if line in foreign] == []
    if language == "en":
        assert [line for line in ours if CHINESE.search(line)] == []
    else:
        assert [line for line in ours if ENGLISH.search(line) and not line.startswith("sunmao-")] == []
