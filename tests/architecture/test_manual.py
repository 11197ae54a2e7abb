"""The manual is what the code says: no stale page, no option without a description, no message outside the catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.manual import commands, options
from deploy.manual.errors import kinds, qualities
from deploy.manual.messages import event_kinds, messages
from deploy.manual.write import pages
from edge_agent.ui.words import quality_words
from protocols.reading import BAD, UNCERTAIN

ROOT = Path(__file__).parents[2]
MANUAL = ROOT / "docs" / "manual"


@pytest.mark.parametrize("name", ["options.md", "commands.md", "errors.md", "errors.zh.md"])
def test_no_page_is_stale(name: str) -> None:
    assert (MANUAL / name).read_text(encoding="utf-8") == pages(ROOT)[name], (
        "run `make docs`, or: python -P -m deploy.manual.write"
    )


def test_every_option_is_described() -> None:
    assert options.undescribed() == []
    assert commands.undescribed() == []
    described = (MANUAL / "options.md").read_text("utf-8")
    assert all(
        f"| `{key}` |" in described for key in ("period_s", "connection.host", "write.min", "endpoint", "rotate_mb")
    )


def test_every_message_is_in_the_catalogue() -> None:
    said, lost = messages(ROOT)
    assert lost == []
    assert len(said) > 200
    assert {message.file.split("/")[0] for message in said} == {"edge_agent", "protocols", "models"}
    assert all(message.zh and message.en for message in said)


def test_every_kind_of_event_and_quality_is_explained() -> None:
    found, lost = event_kinds(ROOT)
    assert lost == []
    assert found.keys() == kinds().keys()
    assert [
        quality.cause
        for quality in qualities()
        if quality_words(quality).en == quality.cause and quality not in (BAD, UNCERTAIN)
    ] == []


PLANTED = """
_SAID = Text("by a name", "名称")
def where(key):
    raise ConfigError(Text(f"at {key}", f"位于 {key}"), Text("mend it", "改正"), key=key)
def branch(bad):
    what = Text("one", "一") if bad else _SAID
    raise Refused(what)
def _wrong(en, zh):
    return ValueError(Text(en, zh))
def caller(x):
    raise _wrong("from the caller", "来自调用者")
def again(error):
    raise Malformed(error.what, error.mend)
def checked(ok):
    yield Finding("x", "ok" if ok else "wrong", Text("found", "发现"), Text("step", "步骤"))
    self._announce("", "kind_of_event", Text("said", "说"))
"""


def planted(folder: Path, text: str) -> Path:
    for room in ("edge_agent", "protocols", "models"):
        (folder / room).mkdir()
    (folder / "edge_agent" / "planted.py").write_text(text, "utf-8")
    return folder


def test_sentences_are_followed_to_where_they_are(tmp_path: Path) -> None:
    said, lost = messages(planted(tmp_path, PLANTED))
    assert lost == []
    assert [(message.fate, message.en, message.mend_en) for message in said] == [
        ("ConfigError", "at ‹key›", "mend it"),
        ("Refused", "one", ""),
        ("Refused", "by a name", ""),
        ("ConfigError", "from the caller", ""),
        ("finding", "found", "step"),
    ]
    assert event_kinds(tmp_path) == ({"kind_of_event": [("said", "说")]}, [])


@pytest.mark.parametrize(
    "text", ["def f(x):\n    raise Refused(somewhere(x))\n", "def f(x):\n    raise ConfigError(TEXTS[x], None)\n"]
)
def test_a_message_that_cannot_be_catalogued_is_caught(tmp_path: Path, text: str) -> None:
    said, lost = messages(planted(tmp_path, text))
    assert (said, [place.line for place in lost]) == ([], [2])


def test_a_kind_of_event_that_cannot_be_found_out_is_caught(tmp_path: Path) -> None:
    _, lost = event_kinds(planted(tmp_path, "def f(self):\n    self.announce('', self.kind, Text('a', '甲'))\n"))
    assert [place.line for place in lost] == [2]
