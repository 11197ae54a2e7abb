"""Reads a point list (点表): what a device's points are called, as its maker, an integrator or a browser wrote it down.

Three forms are read: CSV (UTF-8 or GB 18030, parted by comma, semicolon or tab), XLSX (first sheet that has a head)
and JSON, an object with `points` or a bare list of them. Column names are recognised in English and Chinese. No device
is touched.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unicodedata import normalize

import msgspec

from protocols.errors import ConfigError
from protocols.text import Text

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "address": (
        *("address", "addr", "register", "register address", "reg", "node", "nodeid", "node id", "browse path", "path"),
        *("地址", "寄存器", "寄存器地址", "点地址", "modbus地址", "通讯地址", "节点", "节点id", "路径", "地址(hex)"),
        *("地址(十六进制)", "地址(十进制)", "起始地址", "tag address"),
    ),
    "name": (
        *(
            "name",
            "tag",
            "tag name",
            "point",
            "point name",
            "parameter",
            "parameter name",
            "variable",
            "signal",
            "label",
        ),
        *(
            "名称",
            "点名",
            "点位",
            "点位名称",
            "点名称",
            "变量",
            "变量名",
            "变量名称",
            "参数",
            "参数名",
            "参数名称",
            "信号",
        ),
        *("信号名称", "测点", "测点名称", "数据名称", "标签", "标签名", "项目", "数据项", "数据项名称"),
    ),
    "description": (
        *("description", "desc", "comment", "remark", "remarks", "note", "notes", "meaning", "explanation"),
        *("描述", "说明", "备注", "注释", "含义", "定义", "内容", "中文名称", "中文描述", "中文名", "功能", "功能说明"),
    ),
    "unit": ("unit", "units", "uom", "engineering unit", "eu", "单位", "工程单位", "计量单位"),
    "datatype": (
        *("datatype", "data type", "type", "format", "data format"),
        *("类型", "数据类型", "格式", "数据格式", "变量类型"),
    ),
    "scale": (
        *("scale", "factor", "multiplier", "gain", "scaling", "resolution"),
        *("倍率", "系数", "比例", "缩放", "变比", "比例系数", "分辨率", "精度", "放大倍数", "换算系数"),
    ),
    "access": (
        *("access", "rw", "r/w", "read/write", "mode", "permission"),
        *("读写", "读/写", "读写属性", "访问", "权限", "属性", "操作", "读写权限", "访问权限"),
    ),
}
"""What a column may be called, in folded form (see `_folded`)."""

HEAD_ROWS = 20
"""A title and notes may stand above the head; it is looked for in so many rows."""

MAX_BYTES = 32 << 20


class Point(msgspec.Struct, frozen=True):
    """One point. `scale`: engineering value per raw unit; `access`: any of r, w, rw; all but `address` may be empty."""

    address: str
    name: str = ""
    description: str = ""
    unit: str = ""
    datatype: str = ""
    scale: float | None = None
    access: str = ""


class PointList(msgspec.Struct, frozen=True):
    """The points of one device. `kind` says what it is, in any words; "" where nobody said."""

    points: Sequence[Point]
    vendor: str = ""
    model: str = ""
    kind: str = ""


class _JsonPoint(msgspec.Struct, frozen=True):
    """A point as JSON writes it: whatever else it carries is not read."""

    address: str | int
    name: str | None = None
    description: str | None = None
    unit: str | None = None
    datatype: str | None = None
    scale: float | None = None
    access: str | None = None


class _JsonList(msgspec.Struct, frozen=True):
    points: list[Any]
    vendor: str | None = None
    model: str | None = None
    kind: str | None = None


def read_point_list(path: Path) -> PointList:
    """Return the point list in `path` (.csv, .tsv, .txt, .xlsx or .json).

    Raises ConfigError naming the file and each wrong row, OSError where the file cannot be read.
    """
    ending = path.suffix.lower()
    if path.stat().st_size > MAX_BYTES:
        raise ConfigError(
            Text("is larger than 32 MB", "文件超过 32 MB"),
            Text("split it by device", "请按设备拆分"),
            key=str(path),
        )
    if ending == ".json":
        found = _from_json(path)
    elif ending in {".csv", ".tsv", ".txt"}:
        found = PointList(_from_rows(_csv_rows(path), path))
    elif ending in {".xlsx", ".xlsm", ".xls", ".ods"}:
        found = PointList(_from_rows(_sheet_rows(path), path))
    else:
        raise ConfigError(
            Text("is no known form of a point list", "不是可识别的点表格式"),
            Text("save it as .csv, .xlsx or .json", "请另存为 .csv、.xlsx 或 .json"),
            key=str(path),
        )
    _check_addresses(found.points, path)
    return found


def _from_json(path: Path) -> PointList:
    try:
        raw = msgspec.json.decode(path.read_bytes())
        whole = msgspec.convert({"points": raw} if isinstance(raw, list) else raw, _JsonList)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            Text(f"is no point list in JSON: {error}", f"不是 JSON 点表：{error}"),
            Text(
                'write {"points": [{"address": "...", "name": "..."}]}',
                '应为 {"points": [{"address": "...", "name": "..."}]}',
            ),
            key=str(path),
        ) from error
    points, wrong = [], []
    for number, item in enumerate(whole.points, 1):
        try:
            point = msgspec.convert(item, _JsonPoint)
        except msgspec.ValidationError as error:
            wrong.append((number, Text(str(error), str(error))))
            continue
        fields = {key: value for key, value in msgspec.structs.asdict(point).items() if value is not None}
        points.append(Point(**fields | {"address": str(point.address)}))
    _refuse(wrong, path, Text("point", "点"))
    return PointList(points, whole.vendor or "", whole.model or "", whole.kind or "")


def _csv_rows(path: Path) -> list[list[str]]:
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        # What a spreadsheet saves as "CSV" on a Chinese Windows.
        text = raw.decode("gb18030", errors="replace")
    head = text[:4096]
    delimiter = max(",;\t", key=head.count)
    try:
        return list(csv.reader(io.StringIO(text.replace("\0", "")), delimiter=delimiter))
    except csv.Error as error:
        raise ConfigError(
            Text(f"is no CSV: {error}", f"不是有效的 CSV：{error}"),
            Text("save it as UTF-8 CSV again", "请重新另存为 UTF-8 编码的 CSV"),
            key=str(path),
        ) from error


def _sheet_rows(path: Path) -> list[list[str]]:
    from python_calamine import CalamineError, CalamineWorkbook  # noqa: PLC0415 - only workbooks need it

    try:
        with CalamineWorkbook.from_path(str(path)) as book:
            sheets = [
                [[_cell(cell) for cell in row] for row in book.get_sheet_by_name(name).to_python()]
                for name in book.sheet_names
            ]
    except (CalamineError, ValueError) as error:
        raise ConfigError(
            Text(f"is no workbook: {error}", f"不是有效的工作簿：{error}"),
            Text("save it as .xlsx again", "请重新另存为 .xlsx"),
            key=str(path),
        ) from error
    return next((rows for rows in sheets if _find_head(rows) is not None), sheets[0] if sheets else [])


def _cell(cell: object) -> str:
    """Return a cell as a person sees it: the spreadsheet's 4126.0 is the address 4126."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _from_rows(rows: Sequence[Sequence[str]], path: Path) -> list[Point]:
    found = _find_head(rows)
    if found is None:
        raise ConfigError(
            Text("has no row of column names with an address and a name", "没有包含“地址”和“名称”的表头行"),
            Text(
                "name the columns: address, name, description, unit, type, scale, access",
                "请注明列名：地址、名称、描述、单位、类型、倍率、读写",
            ),
            key=str(path),
        )
    start, columns = found
    points, wrong = [], []
    for number, row in enumerate(rows[start + 1 :], start + 2):
        cells = {field: row[place].strip() for field, place in columns.items() if place < len(row)}
        if not any(cells.values()):
            continue
        problem, scale = _row_problem(cells)
        if problem:
            wrong.append((number, problem))
            continue
        given = {field: cells.get(field, "") for field in COLUMNS if field != "scale"}
        points.append(Point(**given | {"access": _access(given["access"])}, scale=scale))
    _refuse(wrong, path, Text("row", "第"))
    return points


def _row_problem(cells: Mapping[str, str]) -> tuple[Text | None, float | None]:
    if not cells.get("address"):
        return Text("no address", "缺少地址"), None
    if not (cells.get("name") or cells.get("description")):
        return Text("no name", "缺少名称"), None
    written = cells.get("scale", "")
    try:
        scale = float(written.lstrip("×xX*").replace(",", ".")) if written not in {"", "-", "/", "--"} else None
    except ValueError:
        scale = math.nan
    if scale is not None and not math.isfinite(scale):
        return Text(f"scale '{written}' is no number", f"倍率“{written}”不是数字"), None
    return None, scale


def _find_head(rows: Sequence[Sequence[str]]) -> tuple[int, dict[str, int]] | None:
    """Return (index of the head's row, column of each field); None where no row names an address and a name."""
    for index, row in enumerate(rows[:HEAD_ROWS]):
        columns: dict[str, int] = {}
        for place, cell in enumerate(row):
            label = _folded(str(cell))
            for field, spellings in COLUMNS.items():
                if label in spellings and field not in columns:
                    columns[field] = place
                    break
        if "address" in columns and ("name" in columns or "description" in columns):
            return index, columns
    return None


def _folded(label: str) -> str:
    return " ".join(normalize("NFKC", label).casefold().replace("_", " ").replace("\n", " ").split()).strip(" *:")


def _access(written: str) -> str:
    """Return r, w or rw from "R/W", "RO", "只读", "读写" and the like; "" where it says nothing."""
    text = written.casefold()
    read = "读" in text or "r" in text
    write = "写" in text or "w" in text
    return "r" * read + "w" * write if text not in {"write", "write only"} else "w"


def _check_addresses(points: Sequence[Point], path: Path) -> None:
    """Refuse a list without points or with two points at one address, under which no answer could be told apart."""
    if not points:
        raise ConfigError(
            Text("lists no point", "点表中没有任何点"),
            Text("give one row per point", "请每个点填写一行"),
            key=str(path),
        )
    seen: set[str] = set()
    twice = [point.address for point in points if point.address in seen or seen.add(point.address)]  # type: ignore[func-returns-value]
    if twice:
        listed = ", ".join(dict.fromkeys(twice[:5]))
        raise ConfigError(
            Text(f"has addresses more than once: {listed}", f"地址重复：{listed}"),
            Text("give each point its own address, e.g. 100.3 for a bit", "每个点须有唯一地址，按位的点可写成 100.3"),
            key=str(path),
        )


def _refuse(wrong: Sequence[tuple[int, Text]], path: Path, what: Text) -> None:
    if not wrong:
        return
    ends = "行" if what.zh == "第" else ""
    shown = wrong[:5]
    more = len(wrong) - len(shown)
    en = "; ".join(f"{what.en} {number}: {problem.en}" for number, problem in shown)
    zh = "；".join(f"{what.zh} {number} {ends}：{problem.zh}" for number, problem in shown)
    raise ConfigError(
        Text(en + (f"; and {more} more" if more else ""), zh + (f"；另有 {more} 处" if more else "")),
        Text("mend these rows", "请改正以上各行"),
        key=str(path),
    )
