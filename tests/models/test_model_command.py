"""The command `sunmao-model` as people and scripts use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from models.bundle import read_bundle
from models.cli import app
from models.vision.detector import Detector
from models.vision.pictures import Grey
from models.vision.synthetic import picture


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def save(folder: Path, name: str, grey: Grey) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey).save(folder / name)
    return folder / name


@pytest.fixture(scope="module")
def good_folder(tmp_path_factory: pytest.TempPathFactory, good_pictures: list[Grey]) -> Path:
    folder = tmp_path_factory.mktemp("good") / "cap"
    for number, grey in enumerate(good_pictures[:40]):
        save(folder, f"part{number // 2:02d}_{number % 2}.png", grey)
    return folder


@pytest.fixture(scope="module")
def fitted(good_folder: Path, key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fitted") / "bundle"
    result = run("fit", "vision", good_folder, "--family", "texture", "--out", out, "--key", key_file, "--json")
    assert result.exit_code == 0, result.output
    card = json.loads(result.stdout)["card"]
    assert (card["name"], card["fit"]["samples"], card["fit"]["groups"]) == ("cap", 40, 20)
    assert card["reject"]["provisional"]
    return out


def test_fit_verify_inspect(fitted: Path, trust: list[str], tmp_path: Path) -> None:
    assert run("verify", fitted, "--trust", trust[0]).exit_code == 0
    flawed = save(tmp_path, "flawed.png", picture(400, 0, "short_shot").grey)
    heatmap = tmp_path / "heat.png"
    result = run("inspect", flawed, "--bundle", fitted, "--trust", trust[0], "--heatmap", heatmap, "--json")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert answer["verdict"] == "reject"
    assert answer["score"] > answer["reject"] >= answer["review"]
    with Image.open(heatmap) as saved:
        assert saved.size == (256, 256)
    shown = run("inspect", flawed, "--bundle", fitted, "--trust", trust[0], "--heatmap", heatmap, "--lang", "zh")
    assert "不合格" in shown.stdout


def test_evaluate_puts_brightness_beside_it(fitted: Path, trust: list[str], tmp_path: Path) -> None:
    for part in range(12):
        save(tmp_path / "good", f"{part}.png", picture(401, part).grey)
        save(tmp_path / "bad", f"{part}.png", picture(402, part, "flash").grey)
    words: list[str | Path] = [
        "evaluate",
        fitted,
        "--good",
        tmp_path / "good",
        "--bad",
        tmp_path / "bad",
        "--trust",
        trust[0],
    ]
    figures = json.loads(run(*words, "--json").stdout)
    assert figures["auroc"] > 0.95
    assert figures["recall_review"]["pictures"] == 12
    alone = run("evaluate", fitted, "--good", tmp_path, "--trust", trust[0], "--json")
    assert json.loads(alone.stdout) == figures, "the same, told by the names of the folders"
    page = tmp_path / "page.html"
    assert "AUROC" in run(*words, "--lang", "zh", "--report", page).stdout
    html = page.read_text(encoding="utf-8")
    assert html.count("<img") == 4 * 2 * 2
    assert "缺陷检出(含复核)" in html
    assert 'src="http' not in html, "it needs nothing from elsewhere"
    assert run(*words, "--report", tmp_path / "page.pdf").exit_code == 0
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF-")
    wrong = run(*words, "--lang", "en", "--report", tmp_path / "page.docx")
    assert (wrong.exit_code, "a report is a .html or a .pdf file" in wrong.stderr) == (2, True)


def test_parts_may_be_folders_or_listed(good_pictures: list[Grey], key_file: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'name = "caps"\nfamily = "texture"\ntile = "whole"\nsize = 64\nscales = 2\ngrid = 8\nplanted = 20'
    )
    folders, listed = tmp_path / "folders", tmp_path / "listed"
    rows = ["picture,part"]
    for number, grey in enumerate(good_pictures[:20]):
        save(folders / f"p{number // 4}", f"{number}.png", grey)
        save(listed, f"{number:02d}.png", grey)
        rows.append(f"{number:02d}.png,p{number // 4}")
    (listed / "parts.csv").write_text("\n".join(rows))
    for folder in (folders, listed):
        out = tmp_path / f"{folder.name}-bundle"
        result = run("fit", "vision", folder, "--recipe", recipe, "--out", out, "--key", key_file, "--json")
        found = json.loads(result.stdout)["card"]["fit"]
        assert (found["groups"], found["parts"]) == (5, folder.name)
    (listed / "parts.csv").write_text(rows[0])
    result = run("fit", "vision", listed, "--out", tmp_path / "x", "--key", key_file, "--lang", "en")
    assert result.exit_code == 2
    assert result.stderr.strip() == "parts.csv does not name 00.png"
    (listed / "parts.csv").write_bytes("picture,part\n00.png,螺母\n".encode("gbk"))
    result = run("fit", "vision", listed, "--out", tmp_path / "x", "--key", key_file, "--lang", "zh")
    assert (result.exit_code, "请另存为 UTF-8" in result.stderr) == (2, True)


def test_a_name_no_bundle_may_have_is_refused_before_anything_is_written(
    good_folder: Path, key_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "recipe.toml").write_text('name = "../x"')
    words = ["fit", "vision", good_folder, "--recipe", tmp_path / "recipe.toml", "--out", tmp_path / "out"]
    result = run(*words, "--key", key_file, "--lang", "en")
    assert result.exit_code == 2
    assert "name must be" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["fit", "vision", "{empty}", "--out", "{out}", "--key", "{key}"], "no JPEG, PNG, BMP, TIFF or WEBP pictures"),
        (["fit", "vision", "{empty}/nowhere", "--out", "{out}", "--key", "{key}"], "no such folder"),
        (["fit", "vision", "--out", "{out}", "--key", "{key}"], "either a folder of pictures or --zoo"),
        (["fit", "vision", "--zoo", "x", "--out", "{out}", "--key", "{key}"], "it has: part-surface"),
        (["fit", "vision", "{good}", "--out", "{out}", "--key", "{empty}/no.pem"], "key create"),
        (["fit", "vision", "{good}", "--out", "{out}", "--key", "{text}"], "not an unencrypted PEM key"),
        (["fit", "vision", "{good}", "--out", "{out}", "--key", "{key}", "--name", "Ärger"], "not a model's name"),
        (
            ["inspect", "{text}", "--bundle", "{bundle}", "--trust", "{trust}"],
            "not a complete JPEG, PNG, BMP, TIFF or WEBP",
        ),
        (["inspect", "{empty}/no.png", "--bundle", "{bundle}", "--trust", "{trust}"], "cannot be read"),
        (["key", "create", "{key}"], "cannot write the key"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(
    words: list[str], says: str, tmp_path: Path, key_file: Path, good_folder: Path, fitted: Path, trust: list[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("hello")
    places = {
        "empty": tmp_path / "empty",
        "text": tmp_path / "text.png",
        "out": tmp_path / "out",
        "key": key_file,
        "good": good_folder,
        "bundle": fitted,
        "trust": trust[0],
    }
    filled = [word.format(**places) for word in words]
    result = run(*filled, "--lang", "en")
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    chinese = run(*filled, "--lang", "zh").stderr
    assert chinese.count("\n") == 1
    assert chinese != result.stderr
    refusal = json.loads(run(*filled, "--json").stdout)
    assert refusal["error"]
    assert not (tmp_path / "out").exists()


def test_a_refused_bundle_is_exit_1(signed_bundle: Path) -> None:
    result = run("verify", signed_bundle, "--trust", "A" * 43 + "=", "--lang", "zh")
    assert result.exit_code == 1
    assert "受信任" in result.stderr


def test_recalibration_changes_the_limits_and_nothing_else(
    fitted: Path, key_file: Path, trust: list[str], tmp_path: Path
) -> None:
    for part in range(120):
        save(tmp_path / "good", f"{part}.png", picture(403, part).grey)
    words: list[str | Path] = [
        "recalibrate",
        fitted,
        "--good",
        tmp_path / "good",
        "--key",
        key_file,
        "--trust",
        trust[0],
    ]
    result = run(*words, "--out", tmp_path / "new", "--version", "2", "--json")
    assert result.exit_code == 0, result.output
    before, after = (read_bundle(folder, trust) for folder in (fitted, tmp_path / "new"))
    assert (after.card.version, after.card.fit) == ("2", before.card.fit)
    assert before.card.reject.provisional
    assert not after.card.reject.provisional
    assert sum(a != b for a, b in zip(before.onnx, after.onnx, strict=True)) <= 16  # four float32 numbers
    old, new = Detector(before), Detector(after)
    unseen = [picture(404, part).grey for part in range(60)]
    assert sum(new.inspect(grey).verdict != "pass" for grey in unseen) <= 8
    flawed = picture(405, 0, "flash").grey
    assert new.inspect(flawed).verdict == "reject"
    assert new.inspect(flawed).reject == pytest.approx(after.card.reject.value)
    assert new.inspect(flawed).score != old.inspect(flawed).score
    same = run(*words, "--out", tmp_path / "same", "--version", "1", "--lang", "en")
    assert (same.exit_code, same.stderr) == (2, "version 1 exists; name another one\n")
