"""What the commands of `sunmao-model` have in common: options, answers, progress bars, errors in one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer

from models.errors import BundleRefused, Language, ModelError
from models.kinds import naming

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from models.card import Card, LimitCard
    from models.release import Release

_T = TypeVar("_T")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines. 输出 JSON。")]
Lang = Annotated[str | None, typer.Option("--lang", help="en or zh; the shell's locale decides otherwise. 语言。")]
Key = Annotated[Path, typer.Option("--key", help="PEM file of the signing key. 签名密钥(PEM 文件)。")]
Trust = Annotated[
    list[str], typer.Option("--trust", help="Base64 public key to accept; may be repeated. 受信任的公钥，可多次给出。")
]
BundleFolder = Annotated[Path, typer.Argument(help="Folder of the model bundle. 模型包文件夹。")]


@contextmanager
def explained(language: Language, as_json: bool) -> Iterator[None]:
    """Turn a ModelError into one line and the exit status."""
    try:
        yield
    except ModelError as error:
        if as_json:
            answer(as_json, {"error": error.reason, "en": error.en, "zh": error.zh}, "")
        else:
            typer.echo(error.explain(language), err=True)
        raise typer.Exit(1 if isinstance(error, BundleRefused) else 2) from error


@contextmanager
def bar(title: str, total: int, quiet: bool) -> Iterator[Any]:
    """Show a progress bar on a terminal's standard error; yields what is called with (done, total)."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=quiet or not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done, _: progress.update(task, completed=done)


def progress(items: Iterator[_T], total: int, title: str, quiet: bool) -> Iterator[_T]:
    """Yield `items`, with a progress bar while they come."""
    with bar(title, total, quiet) as advance:
        for done, item in enumerate(items, 1):
            yield item
            advance(done, total)


def answer(as_json: bool, value: Any, said: str | Sequence[Sequence[str]]) -> None:
    """Print the result: JSON for machines, else a sentence or a table of rows, each a title and its values."""
    from rich.console import Console
    from rich.table import Table

    if as_json:
        typer.echo(msgspec.json.encode(value).decode())
    elif isinstance(said, str):
        typer.echo(said)
    else:
        table = Table(show_header=False, box=None)
        for row in said:
            table.add_row(*row)
        Console().print(table)


def answer_release(
    release: Release,
    out: Path,
    key: Ed25519PrivateKey,
    language: Language,
    as_json: bool,
    *,
    lacking: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Print what was made: its limits, where it is, and the key to trust; `lacking` is how many parts kinds of defects lack."""
    from models.signing import public_key

    card, public = release.card, public_key(key)
    rows = [
        *card_rows(card, language),
        *(
            (
                say(language, f"'{kind}' is not named", f"尚不能命名“{kind}”"),
                say(language, f"{lacks} more parts are needed", f"还需 {lacks} 个工件"),
            )
            for kind, lacks in lacking.items()
        ),
        (say(language, "bundle", "模型包"), str(out)),
        (say(language, "trust", "信任公钥"), public),
    ]
    answer(as_json, {"bundle": str(out), "trust": public, "card": card, "lacking": dict(lacking)}, rows)


def card_rows(card: Card, language: Language) -> list[tuple[str, str]]:
    """Return what a card says of its model."""
    return [
        (say(language, "model", "模型"), f"{card.name} {card.version}"),
        (say(language, "fitted on samples / groups", "训练样本 / 分组"), f"{card.fit.samples} / {card.fit.groups}"),
        *_learnt_rows(card, language),
        *_kind_rows(card, language),
        (say(language, "review limit", "复核限"), _limit_text(card.review, language)),
        (say(language, "reject limit", "拒收限"), _limit_text(card.reject, language)),
    ]


def _learnt_rows(card: Card, language: Language) -> list[tuple[str, str]]:
    """Return what a picture model's card says of parts and members; nothing of a model of sensors."""
    rows = []
    if card.fit.parts:
        en, zh = _RULES[card.fit.parts]
        rows.append((say(language, "parts told by", "工件划分依据"), say(language, en, zh)))
    if card.fit.looked_at < 1:
        share = f"{card.fit.looked_at:.0%}"
        rows.append((say(language, "looks at, of the picture", "检测区域占图片"), share))
    if card.tiling:
        tiling = card.tiling
        how = f"{tiling.tile} px, {tiling.width} x {tiling.height}, {tiling.latency_ms:.0f} ms"
        rows.append((say(language, "large pictures in tiles of", "大图分块"), how))
    for member in card.fit.members:
        en, zh = _MEMBERS[member.name]
        left_out = "" if member.kept else say(language, ", left out", "，未采用")
        found = say(language, "finds planted defects", "植入缺陷检出")
        rows.append((say(language, en, zh), f"{found}: AUROC {member.found:.3f}{left_out}"))
    return rows


def _kind_rows(card: Card, language: Language) -> list[tuple[str, str]]:
    """Return how well the model names defects, kind by kind: what parts of each were called that it had not learnt from."""
    if not card.kinds:
        return []
    found = naming(card.kinds)
    rows = [
        (
            say(language, "names defects", "缺陷命名"),
            say(
                language,
                f"macro-F1 {found.macro_f1:.2f}, {found.named:.0%} named; always the most frequent is right in {found.majority:.0%}",
                f"宏平均 F1 {found.macro_f1:.2f}，{found.named:.0%} 给出名称；始终取最多的一类正确率为 {found.majority:.0%}",
            ),
        )
    ]
    names = [*(kind.name for kind in card.kinds), say(language, "unnamed", "未命名")]
    for kind in card.kinds:
        called = ", ".join(f"{name} {count}" for name, count in zip(names, kind.said, strict=True) if count)
        share = f"{kind.found:.0%} [{kind.low:.0%}, {kind.high:.0%}]"
        rows.append((f"{kind.name} ({kind.parts})", f"{share}: {called}"))
    return rows


_RULES = {
    "listed": ("parts.csv", "parts.csv"),
    "pattern": ("--parts", "--parts"),
    "folders": ("subfolders", "子文件夹"),
    "names": ("names up to the last underscore", "文件名最后一个下划线之前的部分"),
    "likeness": (
        "likeness alone: limits may be too tight; say which pictures show one part by subfolders, parts.csv or --parts",
        "仅凭相似度：判定限可能偏严；请用子文件夹、parts.csv 或 --parts 说明哪些图片属于同一工件",
    ),
}
_MEMBERS = {
    "usual": ("what is usual", "与常态的偏离"),
    "taught": ("what defects look like", "与缺陷的相似"),
    "aligned": ("texture, laid over a reference", "与标准件对齐后的纹理"),
    "compare": ("comparing with a reference", "与标准件比对"),
    "whole": ("large pictures seen whole", "大图整幅检测"),
    "tiles": ("large pictures seen in tiles", "大图分块检测"),
}


def _limit_text(limit: LimitCard, language: Language) -> str:
    text = f"{limit.value:.2f}  ({limit.wanted:.0%}: {limit.measured:.1%} [{limit.low:.1%}, {limit.high:.1%}])"
    return f"{text} {say(language, 'provisional: too few parts', '暂定：工件数量不足')}" if limit.provisional else text


def say(language: Language, en: str, zh: str) -> str:
    """Return the text in `language`."""
    return zh if language == "zh" else en
