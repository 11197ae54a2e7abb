"""Reads a point list (点表): what a device's points are called, as its maker, an integrator or a browser wrote it down.

Three forms are read: CSV, workbooks (first sheet that has a head; see `list_file`) and JSON, an object with `points` or
a bare list of them. Column names are recognised in English and Chinese. No device is touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unicodedata import normalize

import msgspec

from edge_agent.onboard.list_file import MAX_BYTES, Rows, Spoilt, number, read_cells
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
    "low": ("low", "min", "minimum", "range low", "lower limit", "下限", "最小值", "量程下限"),
    "high": ("high", "max", "maximum", "range high", "upper limit", "上限", "最大值", "量程上限"),
    "property": ("property", "entry", "dictionary entry", "字典条目", "条目", "条目代码"),
    "value": ("value", "present value", "live value", "当前值", "实时值"),
    "why": ("why", "reason", "依据", "理由"),
}
"""What a column may be called, in folded form (see `_folded`)."""

HEAD_ROWS = 20
"""A title and notes may stand above the head; it is looked for in so many rows."""

EMPTY = frozenset({"", "-", "/", "--", "—"})
"""What people write into a cell to say that it is empty."""


class Point(msgspec.Struct, frozen=True):
    """One point. `scale`: engineering value per raw unit; `access`: any of r, w, rw; all but `address` may be empty.

    `low` and `high` are the range in normal operation, in `unit`; `value` is what a browser saw.
    """

    address: str
    name: str = ""
    description: str = ""
    unit: str = ""
    datatype: str = ""
    scale: float | None = None
    access: str = ""
    low: float | None = None
    high: float | None = None
    value: str = ""


class PointList(msgspec.Struct, frozen=True):
    """The points of one device. `kind` says what it is, in any words; "" where nobody said."""

    points: Sequence[Point]
    vendor: str = ""
    model: str = ""
    kind: str = ""


class Row(msgspec.Struct, frozen=True):
    """One row as written: its number as the spreadsheet counts, and its cells by field of `COLUMNS` or folded head."""

    number: int
    cells: Mapping[str, str]


class Listed(msgspec.Struct, frozen=True):
    """A point list as written. `counted` says what `Row.number` counts; `columns` in the order of the file."""

    rows: Sequence[Row]
    columns: Sequence[str]
    counted: Text
    vendor: str = ""
    model: str = ""
    kind: str = ""


class Fault(msgspec.Struct, frozen=True):
    """What is wrong in one row."""

    row: int
    what: Text


class _JsonList(msgspec.Struct, frozen=True):
    points: list[Any]
    vendor: str | None = None
    model: str | None = None
    kind: str | None = None


def read_point_list(path: Path) -> PointList:
    """Return the point list in `path` (.csv, .tsv, .txt, .xlsx or .json).

    Raises ConfigError naming the file and each wrong row, OSError where the file cannot be read.
    """
    listed = read_rows(path)
    found, faults = understand(listed)
    if faults:
        raise refusal(faults, listed.counted, path)
    _check_addresses(found.points, path)
    return found


def read_rows(path: Path) -> Listed:
    """Return the rows of the list in `path`, whatever they say; raises ConfigError where it is no list."""
    ending = path.suffix.lower()
    if path.stat().st_size > MAX_BYTES:
        raise ConfigError(
            Text("is larger than 32 MB", "文件超过 32 MB"),
            Text("split it by device", "请按设备拆分"),
            key=str(path),
        )
    if ending == ".json":
        return _from_json(path)
    if ending in {".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".xls", ".ods"}:
        return _from_cells(read_cells(path, _columns_found), path)
    raise ConfigError(
        Text("is no known form of a point list", "不是可识别的点表格式"),
        Text("save it as .csv, .xlsx or .json", "请另存为 .csv、.xlsx 或 .json"),
        key=str(path),
    )


def understand(listed: Listed) -> tuple[PointList, list[Fault]]:
    """Return the points of all rows that can be understood, and what is wrong in the others."""
    points, faults = [], []
    for row in listed.rows:
        point = point_in(row.cells)
        if isinstance(point, Point):
            points.append(point)
        else:
            faults += [Fault(row.number, what) for what in point]
    return PointList(points, listed.vendor, listed.model, listed.kind), faults


def refusal(faults: Sequence[Fault], counted: Text, path: Path) -> ConfigError:
    """Return the one line that names the first faults of a list and counts the others."""
    shown, more = faults[:5], len(faults) - len(faults[:5])
    en = "; ".join(f"{counted.en} {fault.row}: {fault.what.en}" for fault in shown)
    zh = "；".join(f"第 {fault.row} {counted.zh}：{fault.what.zh}" for fault in shown)
    return ConfigError(
        Text(en + (f"; and {more} more" if more else ""), zh + (f"；另有 {more} 处" if more else "")),
        Text("mend these rows", "请改正以上各行"),
        key=str(path),
    )


def number_in(cells: Mapping[str, str], field: str) -> float | int | None:
    """Return the number in a cell, None where it is empty; raises ValueError(Text) as `list_file.number`."""
    written = cells.get(field, "")
    return None if written in EMPTY else number(written.lstrip("×xX*") if field == "scale" else written)


def folded(label: str) -> str:
    """Return the head of a column without what people write differently: case, width, blanks, brackets of a unit."""
    return " ".join(normalize("NFKC", label).casefold().replace("_", " ").split()).strip(" *:")


def _from_json(path: Path) -> Listed:
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
    rows, faults = [], []
    columns: dict[str, None] = {}
    for place, item in enumerate(whole.points, 1):
        if not isinstance(item, dict) or not isinstance(item.get("address"), (str, int)):
            faults.append(Fault(place, Text("is no object with an address", "不是带 address 的对象")))
            continue
        cells = {_field(folded(key)): _json_text(value) for key, value in item.items()}
        rows.append(Row(place, cells))
        columns.update(dict.fromkeys(cells))
    counted = Text("point", "个点")
    if faults:
        raise refusal(faults, counted, path)
    return Listed(rows, list(columns), counted, whole.vendor or "", whole.model or "", whole.kind or "")


def _json_text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _from_cells(rows: Rows, path: Path) -> Listed:
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
    listed = []
    for place, row in enumerate(rows[start:], start + 1):
        cells = {field: row[column] for field, column in columns.items() if column < len(row)}
        if any(cells.values()):
            listed.append(Row(place, cells))
    return Listed(listed, sorted(columns, key=lambda field: columns[field]), Text("row", "行"))


def point_in(cells: Mapping[str, str]) -> Point | list[Text]:
    """Return the point in `cells`, or all that is wrong with them."""
    faults = [cell.why for field in COLUMNS if isinstance(cell := cells.get(field, ""), Spoilt)]
    if not cells.get("address"):
        faults.append(Text("no address", "缺少地址"))
    if not (cells.get("name") or cells.get("description")):
        faults.append(Text("no name", "缺少名称"))
    numbers: dict[str, float | int | None] = {}
    for field in ("scale", "low", "high"):
        try:
            numbers[field] = number_in(cells, field)
        except ValueError as error:
            # What a maker writes for a range ("see note") is no reason to refuse a list; an import looks closer.
            if field == "scale":
                faults.append(Text(f"scale {error.args[0].en}", f"倍率{error.args[0].zh}"))
    if faults:
        return faults
    texts = {field: cells.get(field, "") for field in ("address", "name", "description", "unit", "datatype", "value")}
    return Point(**texts, **numbers, access=_access(cells.get("access", "")))  # type: ignore[arg-type]


def _columns_found(rows: Rows) -> int:
    found = _find_head(rows)
    return len(found[1]) if found else 0


def _find_head(rows: Rows) -> tuple[int, dict[str, int]] | None:
    """Return (index of the first row below the head, column of each field); None where no head names address and name.

    A head may take two rows, groups above ("register") and their parts below ("address", "type"), with cells that
    reach over both.
    """
    for index in range(min(HEAD_ROWS, len(rows))):
        found = [(head, end) for at in (index, index + 1) for head, end in _heads(rows, at) if _names_points(head)]
        if any(end <= index + 2 for _, end in found):
            # Of several readings the one that recognises most; a title may stand above, the first point below.
            head, end = max(found, key=lambda each: (len(COLUMNS.keys() & each[0].keys()), -each[1]))
            return end, head
    return None


def _heads(rows: Rows, index: int) -> Iterator[tuple[dict[str, int], int]]:
    """Yield the columns that one row names, and that it names together with the next, each with where the points begin."""
    if index >= len(rows):
        return
    upper = [folded(label) for label in rows[index]]
    yield _columns(upper), index + 1
    if index + 1 < len(rows):
        below = [folded(label) for label in rows[index + 1]]
        width = max(len(upper), len(below))
        pairs = list(zip([*upper, *[""] * (width - len(upper))], [*below, *[""] * (width - len(below))], strict=True))
        if all(_is_known(lower) or not _is_known(over) for over, lower in pairs if lower):
            yield _columns([lower or over for over, lower in pairs]), index + 2


def _names_points(head: Mapping[str, int]) -> bool:
    return "address" in head and ("name" in head or "description" in head)


def _is_known(label: str) -> bool:
    return any(label in spellings for spellings in COLUMNS.values())


def _columns(labels: Sequence[str]) -> dict[str, int]:
    """Return the column of each field: those of `COLUMNS` by their spellings, all others by their own label."""
    columns: dict[str, int] = {}
    for place, label in enumerate(labels):
        if label and (field := _field(label)) not in columns:
            columns[field] = place
    return columns


def _field(label: str) -> str:
    """Return the field of `COLUMNS` that a folded head stands for, else the head itself."""
    return next((field for field, spellings in COLUMNS.items() if label in spellings), label)


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
