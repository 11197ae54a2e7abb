"""Documents that cannot drift: READMEs embed their sample, the map names rooms that exist, promises name real tests."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("protocols", "edge_agent", "cloud", "models", "deploy", "tests", "docs")

SAMPLE = re.compile(r"<!-- sample\.toml -->\n```toml\n(.*?)```\n<!-- /sample\.toml -->", re.S)
"""How a README embeds the sample.toml beside it."""
EXCERPT = re.compile(r"^ *<!-- ([\w./-]+) -->\n *```\w+\n(.*?)^ *```", re.S | re.M)
"""How a guide shows a part of a file."""
MENTIONED_PLACE = re.compile(rf"`((?:{'|'.join(ROOMS)})/[\w./-]*)`")
MENTIONED_TEST = re.compile(r"`(tests/[\w/.-]+\.py)::(\w+)`")


def drifted_samples(root: Path) -> Iterator[str]:
    for sample in sorted(root.glob("*/*/sample.toml")):
        readme = sample.with_name("README.md")
        embedded = SAMPLE.search(readme.read_text(encoding="utf-8")) if readme.exists() else None
        if embedded is None or embedded.group(1) != sample.read_text(encoding="utf-8"):
            yield f"{readme.relative_to(root)} does not embed its sample.toml as it is"


def missing_places(root: Path) -> Iterator[str]:
    for document in [*root.glob("*.md"), *root.glob("docs/**/*.md")]:
        for place in MENTIONED_PLACE.findall(document.read_text(encoding="utf-8")):
            if not (root / place).exists():
                yield f"{document.relative_to(root)} names {place}, which does not exist"


def missing_tests(root: Path) -> Iterator[str]:
    for promise in sorted(root.glob("docs/promises/*.md")):
        named = MENTIONED_TEST.findall(promise.read_text(encoding="utf-8"))
        if not named and promise.name != "README.md":
            yield f"{promise.relative_to(root)} names no test"
        for file, function in named:
            if function not in functions_of(root / file):
                yield f"{promise.relative_to(root)} names {file}::{function}, which does not exist"


def functions_of(file: Path) -> set[str]:
    if not file.exists():
        return set()
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


def broken_links(root: Path) -> Iterator[str]:
    for document in [*root.glob("*.md"), *root.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8")):
            if "://" not in target and not target.startswith("mailto:") and not (document.parent / target).exists():
                yield f"{document.relative_to(root)} links to {target}, which does not exist"


def untrue_excerpts(root: Path) -> Iterator[str]:
    for guide in sorted(root.glob("docs/guides/*.md")):
        for file, block in EXCERPT.findall(guide.read_text(encoding="utf-8")):
            if _stripped(block) not in _stripped((root / file).read_text(encoding="utf-8")):
                yield f"{guide.relative_to(root)} shows of {file} what does not stand there"


def _stripped(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


def unlike_twins(root: Path) -> Iterator[str]:
    """Guides that do not say the same in both languages: other commands, pictures or numbers of parts."""
    for guide in sorted(root.glob("docs/guides/*.md")):
        if guide.name.endswith(".zh.md"):
            continue
        twin = guide.with_suffix(".zh.md")
        if not twin.exists() or _outline(guide) != _outline(twin):
            yield f"{guide.relative_to(root)} and its Chinese twin differ"


def _outline(guide: Path) -> list[str]:
    text = re.sub(r"(-| )(en|zh)(?=\.png|-desktop)", r"\1xx", guide.read_text(encoding="utf-8"))
    blocks = re.sub(r" +#.*", "", "".join(re.findall(r"^ *```sh\n(.*?)^ *```", text, re.S | re.M)))
    return [
        blocks,
        *re.findall(r"\(([\w./-]+\.png)\)", text),
        *re.findall(r"^(?:#+ |\d\. |\*\*\d |\|-)", text, re.M),
    ]


CHECKS = (drifted_samples, missing_places, missing_tests, broken_links, untrue_excerpts, unlike_twins)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_documents_are_true(check: type[Iterator[str]]) -> None:
    assert list(check(ROOT)) == []


def test_a_drifted_sample_is_caught(tmp_path: Path) -> None:
    room = tmp_path / "protocols" / "modbus"
    room.mkdir(parents=True)
    (room / "sample.toml").write_text("port = 502\n")
    (room / "README.md").write_text("<!-- sample.toml -->\n```toml\nport = 502\n```\n<!-- /sample.toml -->\n")
    assert list(drifted_samples(tmp_path)) == []
    (room / "sample.toml").write_text("port = 1502\n")
    assert len(list(drifted_samples(tmp_path))) == 1


def test_a_room_that_does_not_exist_is_caught(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "architecture.md").write_text("The `cloud/attic/` holds what nobody needs.\n")
    assert list(missing_places(tmp_path)) == ["docs/architecture.md names cloud/attic/, which does not exist"]


def test_a_promise_without_its_test_is_caught(tmp_path: Path) -> None:
    (tmp_path / "docs" / "promises").mkdir(parents=True)
    (tmp_path / "docs" / "promises" / "empty.md").write_text("We promise.\n")
    (tmp_path / "docs" / "promises" / "gone.md").write_text("Proved by `tests/x/test_x.py::test_gone`.\n")
    assert list(missing_tests(tmp_path)) == [
        "docs/promises/empty.md names no test",
        "docs/promises/gone.md names tests/x/test_x.py::test_gone, which does not exist",
    ]


def test_a_broken_link_is_caught(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("See [the map](docs/map.md) and [Python](https://www.python.org).\n")
    assert list(broken_links(tmp_path)) == ["README.md links to docs/map.md, which does not exist"]


def test_an_excerpt_that_does_not_stand_there_is_caught(tmp_path: Path) -> None:
    (tmp_path / "docs" / "guides").mkdir(parents=True)
    (tmp_path / "sample.toml").write_text("a = 1\nport = 502\n")
    guide = tmp_path / "docs" / "guides" / "device.md"
    guide.write_text("1. See\n\n   <!-- sample.toml -->\n   ```toml\n   port = 502\n   ```\n")
    assert list(untrue_excerpts(tmp_path)) == []
    (tmp_path / "sample.toml").write_text("port = 1502\n")
    assert len(list(untrue_excerpts(tmp_path))) == 1


def test_a_twin_that_says_something_else_is_caught(tmp_path: Path) -> None:
    (tmp_path / "docs" / "guides").mkdir(parents=True)
    one, other = (tmp_path / "docs" / "guides" / name for name in ("device.md", "device.zh.md"))
    one.write_text("# Add\n\n```sh\nmake test   # all\n```\n![a](x-en.png)\n")
    assert len(list(unlike_twins(tmp_path))) == 1
    other.write_text("# 添加\n\n```sh\nmake test   # 全部\n```\n![a](x-zh.png)\n")
    assert list(unlike_twins(tmp_path)) == []
    other.write_text("# 添加\n\n```sh\nmake check\n```\n![a](x-zh.png)\n")
    assert len(list(unlike_twins(tmp_path))) == 1
