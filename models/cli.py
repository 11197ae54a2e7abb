"""`sunmao-model`: make, judge, sign and try inspection models.

Exit status: 0 done and well; 1 the bundle is refused, or the inspected part does not pass; 2 wrong use.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from models.archive_cli import archive
from models.console import (
    BundleFolder,
    Json,
    Key,
    Lang,
    Trust,
    answer,
    answer_release,
    card_rows,
    explained,
    say,
)
from models.errors import InputError, Language, choose_language
from models.series_cli import fit_series, judge_series, judge_vibration
from models.vision_cli import PartNames, fit_vision, read_parts, reading

if TYPE_CHECKING:
    from models.evaluate import Evaluation
    from models.vision.detector import Detector

_T = TypeVar("_T")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Make, judge, sign and try inspection models. 检测模型的训练、评估、签名与试用。",
)
fit_app = typer.Typer(no_args_is_help=True, help="Fit a model. 训练模型。")
key_app = typer.Typer(no_args_is_help=True, help="Signing keys. 签名密钥。")
app.add_typer(fit_app, name="fit")
app.add_typer(key_app, name="key")
fit_app.command("series")(fit_series)
fit_app.command("vision")(fit_vision)
app.command("archive")(archive)


@app.command()
def recalibrate(
    bundle: BundleFolder,
    *,
    good: Annotated[
        Path, typer.Option("--good", help="Good pictures the model was not fitted on. 未用于训练的良品图片。")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write the bundle to. 模型包输出文件夹。")],
    version: Annotated[str, typer.Option("--version", help="Version of the new bundle. 新版本号。")],
    part_names: PartNames = "",
    key: Key,
    trust: Trust,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Set new limits from confirmed good parts; what was learnt stays. 用确认的良品重新标定判定限。"""
    from models.bundle import read_bundle, write_bundle
    from models.signing import load_key
    from models.vision.recalibrate import recalibrate as recalibrated

    language = choose_language(lang)
    with explained(language, as_json):
        signing_key = load_key(key)
        found = read_bundle(bundle, trust)
        paths, _, parts = read_parts(good, found.card.input[0].shape[0], part_names, language, as_json)
        release = recalibrated(found, reading(paths, found.card.sees, language, as_json), parts, version)
        write_bundle(out, release.card, release.onnx, signing_key)
    answer_release(release, out, signing_key, language, as_json)


@app.command()
def evaluate(
    bundle: BundleFolder,
    *,
    good: Annotated[
        Path | None,
        typer.Option(
            "--good",
            help="Good pictures, or files of healthy vibration, never seen; without --bad a folder with good/ beside defects, or test/ with these."
            " 模型未见过的良品图片或健康振动；不给 --bad 时为含 good/(良品)与各缺陷文件夹的文件夹，或含此结构的 test/。",
        ),
    ] = None,
    bad: Annotated[
        Path | None,
        typer.Option("--bad", help="Pictures of defective parts, or faulty vibration. 缺陷品图片或故障振动。"),
    ] = None,
    series: Annotated[
        Path | None, typer.Option("--series", help="CSV file of labelled readings. 带标注的数据文件(CSV)。")
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Column that marks anomalous rows. 标注异常的列。")
    ] = None,
    after: Annotated[
        int, typer.Option("--after", min=0, help="Rows that only warm the model up. 仅用于预热的行数。")
    ] = 0,
    beside: Annotated[
        Path | None,
        typer.Option("--beside", help="Bundle of a second model of the same sensors. 相同传感器的第二个模型包。"),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="Also write one page, .html or .pdf, with pictures. 另存一页带图的报告。"),
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", help="Column of times, of a seasonal model. 时间列(季节模型)。")
    ] = None,
    time_format: Annotated[
        str | None, typer.Option("--time-format", help="How times are written, as %d/%m/%Y %H:%M. 时间格式。")
    ] = None,
    trust: Trust,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Judge a model on pictures, or readings, it never saw. 用模型未见过的图片或数据评估。"""
    from models.bundle import read_bundle
    from models.evaluate import evaluate as judge
    from models.vision.layout import judged_layout
    from models.vision.pictures import list_pictures
    from models.vision.report import Judged, page, write_report

    language = choose_language(lang)
    with explained(language, as_json):
        if series is not None and good is None and bad is None:
            other = read_bundle(beside, trust) if beside else None
            found = read_bundle(bundle, trust)
            clock = time, time_format
            judge_series(found, series, label, after, beside=other, clock=clock, language=language, as_json=as_json)
            return
        if good is None or series is not None:
            raise InputError(
                "usage", "give either --good and --bad, or --series", "请给出 --good 与 --bad，或者 --series"
            )
        if bad is not None and "rate" in (shaken := read_bundle(bundle, trust)).card.fit.recipe:
            judge_vibration(shaken, good, bad, language=language, as_json=as_json)
            return
        detector = _detector(bundle, trust)
        if bad is None:
            good, kinds, _ = judged_layout(good)
            defects = [path for folder in kinds.values() for path in list_pictures(folder)]
        else:
            defects = [path for path in list_pictures(bad) if good not in path.parents]
        paths = list_pictures(good), defects
        greys = [list(reading(each, detector.side, language, as_json)) for each in paths]
        seen = [[detector.inspect(grey) for grey in reading(each, detector.sees, language, as_json)] for each in paths]
        result = judge(greys[0], greys[1], seen[0], seen[1])
        rows = _figure_rows(result, language)
        if report is not None:
            judged = [Judged([path.stem for path in paths[each]], greys[each], seen[each]) for each in (0, 1)]
            learnt = card_rows(detector.card, language)
            name = f"{detector.card.name} {detector.card.version}"
            write_report(report, page(name, learnt, rows, (judged[0], judged[1]), language))
    answer(as_json, result, rows)


def _figure_rows(result: Evaluation, language: Language) -> list[tuple[str, str]]:
    shares = [
        (say(language, "defects reviewed or rejected", "缺陷检出(含复核)"), result.recall_review),
        (say(language, "defects rejected", "缺陷拒收"), result.recall_reject),
        (say(language, "good reviewed or rejected", "良品误判(含复核)"), result.false_review),
        (say(language, "good rejected", "良品误拒"), result.false_reject),
    ]
    rows = [
        ("AUROC", f"{result.auroc:.3f}"),
        (say(language, "AUROC of brightness alone", "仅看亮度的 AUROC"), f"{result.trivial_auroc:.3f}"),
    ]
    rows += [(title, f"{s.value:.1%}  [{s.low:.1%}, {s.high:.1%}]  n={s.pictures}") for title, s in shares]
    return rows


@app.command()
def inspect(
    picture: Annotated[Path, typer.Argument(help="The picture. 图片。")],
    *,
    bundle: Annotated[Path, typer.Option("--bundle", help="Folder of the model bundle. 模型包文件夹。")],
    trust: Trust,
    heatmap: Annotated[
        Path | None,
        typer.Option(
            "--heatmap",
            help="Where to save the heat map; the current folder otherwise. 热力图保存位置，默认当前文件夹。",
        ),
    ] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Inspect one picture and save its heat map; exit 1 unless it passes. 检测一张图片并保存热力图。"""
    from models.vision.detector import heatmap_png
    from models.vision.pictures import read_grey

    language = choose_language(lang)
    saved = heatmap or Path(f"{picture.stem}.heatmap.png")
    with explained(language, as_json):
        detector = _detector(bundle, trust)
        finding = detector.inspect(read_grey(picture, detector.sees))
        try:
            saved.write_bytes(heatmap_png(finding, detector.sees))
        except OSError as error:
            raise InputError(
                "heatmap", f"{saved}: cannot be written: {error.strerror}", f"{saved}：无法写入：{error.strerror}"
            ) from error
    words = {"pass": "合格", "review": "待复核", "reject": "不合格"}
    apart = "" if finding.aligned else say(language, " (not aligned with the reference)", "(无法与标准件对齐)")
    rows = [
        (say(language, "verdict", "结论"), say(language, finding.verdict, words[finding.verdict]) + apart),
        (say(language, "score", "异常分值"), f"{finding.score:.2f}"),
        (say(language, "review / reject above", "复核限 / 拒收限"), f"{finding.review:.2f} / {finding.reject:.2f}"),
        (say(language, "heat map", "热力图"), str(saved)),
    ]
    if finding.defect:
        taken_for = f"{finding.defect.name}  {finding.defect.chance:.0%}"
        rows.insert(1, (say(language, "defect", "缺陷"), taken_for))
    numbers = {name: round(getattr(finding, name), 4) for name in ("score", "review", "reject")}
    said = {
        "verdict": finding.verdict,
        **numbers,
        "aligned": finding.aligned,
        "defect": finding.defect,
        "heatmap": str(saved),
    }
    answer(as_json, said, rows)
    if finding.verdict != "pass":
        raise typer.Exit(1)


@app.command()
def sign(bundle: BundleFolder, key: Key, as_json: Json = False, lang: Lang = None) -> None:
    """Check the card and the model of a bundle and sign them as they are. 校验并签名模型包。"""
    from models.bundle import sign_bundle
    from models.signing import load_key, public_key

    language = choose_language(lang)
    with explained(language, as_json):
        signing_key = load_key(key)
        sign_bundle(bundle, signing_key)
    public = public_key(signing_key)
    said = say(language, f"signed; trust = {public}", f"已签名；信任公钥 = {public}")
    answer(as_json, {"bundle": str(bundle), "trust": public}, said)


@app.command()
def verify(bundle: BundleFolder, trust: Trust, as_json: Json = False, lang: Lang = None) -> None:
    """Check a bundle as an edge box does, trial run included. 按边缘端的规则校验模型包，包括试运行。"""
    from models.bundle import read_bundle
    from models.trial import try_bundle

    language = choose_language(lang)
    with explained(language, as_json):
        found = read_bundle(bundle, trust)
        try_bundle(found)
    card = found.card
    title = f"{card.name} {card.version}"
    said = say(language, f"{title}: accepted, signed by {found.signer}", f"{title}：通过校验，签名者 {found.signer}")
    answer(as_json, {"name": card.name, "version": card.version, "signer": found.signer, "digest": found.digest}, said)


@key_app.command("create")
def create_key(
    path: Annotated[Path, typer.Argument(help="PEM file to write; must not exist. 要生成的密钥文件。")],
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Make a signing key; prints the public key to list under `trust`. 生成签名密钥，输出公钥。"""
    from models.signing import create_key as make

    with explained(choose_language(lang), as_json):
        public = make(path)
    answer(as_json, {"key": str(path), "trust": public}, public)


def main() -> None:
    """Run the command line."""
    # Before NumPy is imported: at matrices as small as ours its threads wait for each other by spinning.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    app()


def _detector(folder: Path, trust: Sequence[str]) -> Detector:
    from models.bundle import read_bundle
    from models.vision.detector import Detector

    return Detector(read_bundle(folder, trust))
