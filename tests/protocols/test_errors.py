"""What a person reads when something fails, in the right language, and what a script sees of it."""

import pytest

from protocols.errors import ConfigError, Malformed, Refused, SunmaoError, Unreachable
from protocols.text import LANGUAGES, Language, Text, choose_language

WHAT = Text("no answer from 10.0.0.5", "10.0.0.5 没有应答")
MEND = Text("check the cable", "请检查网线")


@pytest.mark.parametrize(
    ("error", "english", "chinese"),
    [
        (Unreachable(WHAT), "no answer from 10.0.0.5", "10.0.0.5 没有应答"),
        (Unreachable(WHAT, MEND), "no answer from 10.0.0.5 - check the cable", "10.0.0.5 没有应答 - 请检查网线"),
        (
            Unreachable(WHAT, MEND, key="device[1]"),
            "device[1]: no answer from 10.0.0.5 - check the cable",
            "device[1]: 10.0.0.5 没有应答 - 请检查网线",
        ),
    ],
)
def test_a_failure_is_one_line(error: SunmaoError, english: str, chinese: str) -> None:
    assert error.explain("en") == str(error) == english
    assert error.explain("zh") == chinese


def test_scripts_tell_the_fates_apart() -> None:
    fates: list[type[SunmaoError]] = [ConfigError, Unreachable, Refused, Malformed]
    assert [fate.exit_code for fate in fates] == [2, 3, 3, 3]
    assert SunmaoError.exit_code == 1


@pytest.mark.parametrize(
    ("wanted", "environment", "language"),
    [
        ("zh", {}, "zh"),
        ("zh-CN", {"LANG": "en_GB.UTF-8"}, "zh"),
        ("ZH_cn.UTF-8", {}, "zh"),
        ("en-GB", {"LANG": "zh_CN.UTF-8"}, "en"),
        ("de", {"LANG": "zh_CN.UTF-8"}, "en"),
        (None, {"LANG": "zh_CN.UTF-8"}, "zh"),
        (None, {"LC_MESSAGES": "zh_TW", "LANG": "en_US"}, "zh"),
        (None, {"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        ("", {"LANG": "zh_CN.UTF-8"}, "zh"),
    ],
)
def test_the_language_is_asked_for_or_the_shells(
    monkeypatch: pytest.MonkeyPatch, wanted: str | None, environment: dict[str, str], language: Language
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert choose_language(wanted) == language


def test_without_any_hint_the_locale_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("locale.getlocale", lambda: ("Chinese (Simplified)_China", "936"))
    assert choose_language() == "zh"
    monkeypatch.setattr("locale.getlocale", lambda: (None, None))
    assert choose_language() == "en"


def test_a_text_speaks_every_language() -> None:
    assert [WHAT.to(language) for language in LANGUAGES] == [WHAT.en, WHAT.zh]
