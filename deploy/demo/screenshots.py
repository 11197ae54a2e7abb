"""Takes the README's pictures of a running cloud: overview, equipment, inspection; English and Chinese; desk and phone.

python -m deploy.demo.screenshots --url http://127.0.0.1:8000 --email EMAIL --password PASSWORD [--out docs/images]
"""

from __future__ import annotations

import argparse
import time
from os.path import exists
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = next(filter(exists, ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")), "/usr/bin/chromium")
"""Debian's; the shell is the same browser without the windows around it, and costs a third."""
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
LANGUAGES = {"en": "en-GB", "zh": "zh-CN"}
SCREENS = {"desktop": (1440, 900, 1), "phone": (390, 844, 2)}


def main() -> None:
    """Take all pictures; every one shows the page as a visitor's browser draws it once its charts are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--email", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--settle", type=float, default=60.0, help="Seconds to let the charts fill before.")
    arguments = parser.parse_args()
    time.sleep(arguments.settle)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for language in LANGUAGES:
            for screen in SCREENS:
                for file in take(browser, arguments, language, screen):
                    print(file)
        browser.close()


def take(browser: Browser, arguments: argparse.Namespace, language: str, screen: str) -> list[Path]:
    """Log in afresh and return the pictures of one language on one screen."""
    width, height, scale = SCREENS[screen]
    context = browser.new_context(
        base_url=arguments.url,
        locale=LANGUAGES[language],
        viewport={"width": width, "height": height},
        device_scale_factor=scale,
        is_mobile=screen == "phone",
        has_touch=screen == "phone",
    )
    page = context.new_page()
    files: list[Path] = []

    def shoot(name: str) -> None:
        page.wait_for_load_state("networkidle")
        page.evaluate("document.fonts.ready")
        files.append(arguments.out / f"{name}-{language}-{screen}.png")
        page.screenshot(path=files[-1], full_page=screen == "desktop" and name != "equipment")

    log_in(page, arguments.email, arguments.password)
    page.locator(".tile").first.wait_for()
    page.locator(".chart canvas").first.wait_for()
    shoot("overview")
    page.locator(".tile").first.click()
    page.locator(".points tbody tr").first.wait_for()
    page.locator(".chart canvas").first.wait_for()
    shoot("equipment")
    page.goto("/inspections?verdict=reject")
    page.locator(".shot").first.click()
    page.locator(".plate .heat").wait_for()
    shoot("inspection")
    context.close()
    return files


def log_in(page: Page, email: str, password: str) -> None:
    """Fill in the log-in form."""
    page.goto("/login")
    page.locator("input[name=email]").fill(email)
    page.locator("input[name=password]").fill(password)
    page.locator("button[type=submit]").click()


if __name__ == "__main__":
    main()
