"""The command of `sunmao-model` that learns from pictures, and how pictures are read for commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from models.console import Json, Key, Lang, answer_release, bar, explained, progress, say
from models.errors import InputError, Language, choose_language

if TYPE_CHECKING:
    from models.vision.parts import Parts
    from models.vision.pictures import Grey, Size

PartNames = Annotated[
    str,
    typer.Option(
        "--parts",
        help="Regular expression that finds the part in a picture's name. 从图片文件名中提取工件编号的正则表达式。",
    ),
]


class Family(StrEnum):
    """Of a recipe, as typer wants it."""

    AUTO = "auto"
    TEXTURE = "texture"
    ALIGNED = "aligned"
    COMPARE = "compare"


def fit_vision(
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder to write the bundle to. 模型包输出文件夹。")],
    key: Key,
    pictures: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of pictures of good parts; or with a folder good/ (ok, gut, 良品) and others of confirmed defects, called as these are, or train/ with these."
            " 良品图片文件夹；或含 good/(ok、良品、合格)及以缺陷名称命名的各缺陷文件夹，或含此结构的 train/。"
        ),
    ] = None,
    zoo: Annotated[
        str | None,
        typer.Option("--zoo", help="Fit this recipe of the zoo on generated pictures. 使用模型库配方与生成的图片。"),
    ] = None,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="TOML file of a recipe. 配方文件。")] = None,
    part_names: PartNames = "",
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            help="Where to look: a picture, white there and black elsewhere, or a JSON file of polygons. 检测区域：掩膜图片(白色为检测区域)或多边形 JSON 文件。",
        ),
    ] = None,
    tile: Annotated[
        str | None,
        typer.Option(
            "--tile",
            help="How large pictures are seen: whole, in tiles of so many pixels a side, or auto: in tiles where that finds planted"
            " defects plainly better. 大图检测方式：whole 整幅、数字为分块边长(像素)、auto 自动择优。",
        ),
    ] = None,
    family: Annotated[
        Family | None,
        typer.Option(
            "--family",
            help="How to look: texture, aligned (texture, laid over a reference), compare (with a reference, for printed or flat parts), or auto:"
            " what finds planted defects better. 检测方式：texture 纹理、aligned 对齐后看纹理、compare 与标准件比对(印刷件或平面件)、auto 自动择优。",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the model; the folder's otherwise. 模型名称。")
    ] = None,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Learn from pictures of good parts what is usual, and write a signed bundle. 从良品图片学习并输出签名的模型包。"""
    from models.bundle import write_bundle
    from models.kinds import missing
    from models.names import name_of
    from models.signing import load_key
    from models.vision.fit import fit
    from models.vision.layout import layout_of
    from models.vision.parts import Parts
    from models.vision.recipe import Recipe, load_recipe, with_family, with_name, with_tile
    from models.vision.region import read_mask
    from models.vision.sort import Named
    from models.vision.tiled import Originals
    from models.vision.zoo import PICTURES, zoo_pictures, zoo_recipe

    language = choose_language(lang)
    with explained(language, as_json):
        if (zoo is None) == (pictures is None):
            raise InputError("usage", "give either a folder of pictures or --zoo", "请给出图片文件夹或 --zoo，二者取一")
        signing_key = load_key(key)
        named: list[Named] = []
        originals: Originals | None = None
        if zoo is not None:
            chosen = zoo_recipe(zoo)
            greys = list(progress(zoo_pictures(), PICTURES, say(language, "pictures", "生成图片"), as_json))
            parts = Parts("listed", [str(part) for part in range(PICTURES)])
        else:
            assert pictures is not None  # noqa: S101 - one of the two is given, as checked above
            chosen = load_recipe(recipe) if recipe else Recipe(name_of(pictures.resolve().name))
            good, kinds, left_out = layout_of(pictures)
            if good != pictures and not as_json:
                _tell_layout(good, left_out, language)
            paths, greys, parts = read_parts(good, chosen.size, part_names, language, as_json)
            paths_named: list[Path] = []
            for kind, folder in kinds.items():
                shown, theirs, told = read_parts(folder, chosen.size, part_names, language, as_json)
                paths_named += shown
                named += [Named(grey, part, kind) for grey, part in zip(theirs, told.names, strict=True)]
            originals = Originals(paths, paths_named)
        if name:
            chosen = with_name(chosen, name)
        if family:
            chosen = with_family(chosen, family.value)
        if tile:
            chosen = with_tile(chosen, tile)
        looked_at, region = read_mask(mask) if mask else (None, [])
        with bar(say(language, "features", "计算特征"), len(greys), as_json) as advance:
            release = fit(greys, parts, chosen, advance, looked_at, named=named, originals=originals)
        release = release._replace(card=msgspec.structs.replace(release.card, region=region))
        write_bundle(out, release.card, release.onnx, signing_key)
    lacking = {kind: lacks for kind, lacks in missing([(one.kind, one.part) for one in named]).items() if lacks}
    answer_release(release, out, signing_key, language, as_json, lacking=lacking)


def _tell_layout(good: Path, left_out: Sequence[Path], language: Language) -> None:
    names = ", ".join(one.name for one in left_out)
    rest = say(language, f"; not learnt from: {names}", f"；不参与训练：{names}") if names else ""
    typer.echo(say(language, f"good pictures: {good}{rest}", f"良品图片：{good}{rest}"), err=True)


def reading(paths: Sequence[Path], sees: Size, language: Language, quiet: bool) -> Iterator[Grey]:
    """Yield the pictures as the model sees them, with a progress bar."""
    from models.vision.pictures import read_greys

    return progress(read_greys(paths, sees), len(paths), say(language, "pictures", "读取图片"), quiet)


def read_parts(
    folder: Path, side: int, pattern: str, language: Language, quiet: bool
) -> tuple[list[Path], list[Grey], Parts]:
    """Return the files in `folder`, their pictures side x side, and the parts that they show."""
    from models.vision.parts import alike_parts, told_parts
    from models.vision.pictures import list_pictures

    paths = list_pictures(folder)
    told = told_parts(folder, paths, pattern)
    greys = list(reading(paths, side, language, quiet))
    return paths, greys, told or alike_parts(greys)
