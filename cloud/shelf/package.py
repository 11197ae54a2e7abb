"""What a package is: one JSON document with a manifest and contents that fit any plant. Pure: no database, no clock.

Everything in it is said by meaning - class of equipment and dictionary entry - and never by ids, places, addresses or
people of the company that published it, so that nothing else of theirs can travel.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from base64 import b64decode
from collections.abc import Iterator
from typing import Annotated, Any
from uuid import UUID, uuid5

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from cloud.alarms.schemas import Condition, Name, Priority, Remark, Rule, RuleRequest, Selection, Template
from cloud.core.audit import canonical
from cloud.core.errors import Invalid, field_faults
from cloud.dictionary.service import entry_of
from cloud.production.schemas import LossKind
from cloud.telemetry.schemas import Compared, ViewRequest
from models.bundle import LIMITS
from protocols.dictionary.entries import equipment_classes
from protocols.errors import ConfigError
from protocols.library.templates import DeviceType
from protocols.text import Language, Text
from protocols.uplink.configuration import secrets_in
from protocols.validation import validate

FORMAT = 1
MAX_PACKAGE_BYTES = 24 * 1024 * 1024
MOST_OF_A_KIND = 100
MAX_TEMPLATE_BYTES = 64 * 1024
_ADDRESSES = frozenset({"host", "url", "endpoint", "broker", "port"})
_SIGNED = b"sunmao package\n"
_KEYS = UUID("5b0c2a52-8a0f-5d39-9c32-5a2f7d1c9b61")

Version = tuple[int, int, int]


def _known_class(code: str) -> str:
    if code not in equipment_classes():
        raise ValueError(
            f"'{code}' is no equipment class; see the data dictionary / “{code}”不是设备类型，请查阅数据字典"
        )
    return code


def _known_entry(code: str) -> str:
    if entry_of(code) is None:
        raise ValueError(
            f"'{code}' is no released entry of the dictionary: others would not know what it means"
            f" / “{code}”不是已发布的数据字典条目，其他企业无法理解其含义"
        )
    return code


def _checked(text: str) -> str:
    head_of(text)
    return text


Code = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$", description="Lower-case letters, digits and hyphens.")
]
Semver = Annotated[
    str, Field(pattern=r"^(0|[1-9]\d{0,5})(\.(0|[1-9]\d{0,5})){2}$", description="Semantic version, as 1.4.0.")
]
EquipmentClass = Annotated[str, AfterValidator(_known_class)]
Entry = Annotated[str, AfterValidator(_known_entry)]
Licence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Title(_Closed):
    """A name in both languages."""

    en: Name
    zh: Name

    @property
    def text(self) -> Text:
        """The same as a text."""
        return Text(self.en, self.zh)


class Description(_Closed):
    """What it is for, in both languages."""

    en: Annotated[str, Field(min_length=1, max_length=2000)]
    zh: Annotated[str, Field(min_length=1, max_length=2000)]


class PackagedRule(_Closed):
    """An alarm rule by meaning. Whom it tells and whether it is on are the installer's."""

    key: Code
    name: Title
    entry: Entry | None = None
    equipment_class: EquipmentClass | None = None
    condition: Condition
    priority: Priority = "medium"
    on_delay_s: int = 0
    off_delay_s: int = 0
    latching: bool = False
    message_en: Template = ""
    message_zh: Template = ""
    hint_en: Remark = ""
    hint_zh: Remark = ""

    @model_validator(mode="after")
    def _is_a_rule(self) -> PackagedRule:
        self.request("en")
        return self

    def request(self, language: Language) -> RuleRequest:
        """Return the rule, switched on, with its name in `language`."""
        return RuleRequest(
            name=self.name.text.to(language),
            selection=Selection.model_validate({"property": self.entry, "equipment_class": self.equipment_class}),
            **self.model_dump(include=_RULE_FIELDS),
        )

    @staticmethod
    def fields_of(rule: Rule) -> dict[str, Any]:
        """Return what may travel of a stored rule; raises Invalid for one that holds at one place only."""
        chosen = rule.selection.model_dump(exclude={"property", "equipment_class"}, exclude_none=True)
        if chosen:
            raise Invalid(
                Text(
                    f"Rule '{rule.name}' is for one place ({', '.join(chosen)}); give it a class and an entry instead.",
                    f"规则“{rule.name}”只针对某一位置（{'、'.join(chosen)}），请改为按设备类型和字典条目选择。",
                )
            )
        wanted = rule.selection
        return {
            "key": key_of(rule.id),
            "name": {"en": rule.name, "zh": rule.name},
            "entry": wanted.property,
            "equipment_class": wanted.equipment_class,
            **rule.model_dump(include=_RULE_FIELDS),
        }


_RULE_FIELDS = {"condition", "priority", "on_delay_s", "off_delay_s", "latching", "message_en", "message_zh"}
_RULE_FIELDS |= {"hint_en", "hint_zh"}


class PackagedView(_Closed):
    """A look at curves by meaning: every point of a class of equipment that has one of the entries."""

    key: Code
    name: Title
    equipment_class: EquipmentClass | None = None
    entries: Annotated[tuple[Entry, ...], Field(min_length=1, max_length=8)]
    length_s: int = Field(8 * 3600, ge=10, le=400 * 86400)
    compare: Compared = "none"

    def request(self, language: Language) -> ViewRequest:
        """Return the look with its name in `language`."""
        fields = self.model_dump(mode="json", include={"equipment_class", "entries", "length_s", "compare"})
        return ViewRequest(name=self.name.text.to(language), **fields)


class PackagedTemplate(_Closed):
    """A device template: the TOML that `sunmao-edge library add` takes."""

    text: Annotated[str, AfterValidator(_checked)]

    @property
    def head(self) -> DeviceType:
        """Its table [device]."""
        return head_of(self.text)


class PackagedReason(_Closed):
    """A stop reason; one with a parent stands under the first-level reason of that English name."""

    name: Title
    loss: LossKind
    parent_en: Name | None = None


class PackagedModel(_Closed):
    """A signed bundle of the model registry, its files in base64."""

    name: Name
    version: Annotated[str, Field(min_length=1, max_length=80)]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    signer: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")]
    files: dict[str, str]

    @model_validator(mode="after")
    def _whole(self) -> PackagedModel:
        if set(self.files) != set(LIMITS):
            raise ValueError(f"a model has the files {', '.join(LIMITS)} / 模型应包含文件 {'、'.join(LIMITS)}")
        self.unpacked()
        return self

    def unpacked(self) -> dict[str, bytes]:
        """Return its files; raises ValueError for what is not base64."""
        return {name: b64decode(content, validate=True) for name, content in self.files.items()}


class Contents(_Closed):
    """What a package brings."""

    rules: Annotated[tuple[PackagedRule, ...], Field(max_length=MOST_OF_A_KIND)] = ()
    views: Annotated[tuple[PackagedView, ...], Field(max_length=MOST_OF_A_KIND)] = ()
    templates: Annotated[tuple[PackagedTemplate, ...], Field(max_length=10)] = ()
    reasons: Annotated[tuple[PackagedReason, ...], Field(max_length=MOST_OF_A_KIND)] = ()
    models: Annotated[tuple[PackagedModel, ...], Field(max_length=4)] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Contents:
        if not any(getattr(self, kind) for kind in type(self).model_fields):
            raise ValueError(
                "a package brings something: name a rule, view, template, reason or model / 套件内容不能为空"
            )
        for kind, keys in (
            ("rules", [each.key for each in self.rules]),
            ("rules", [each.name.en for each in self.rules]),
            ("rules", [each.name.zh for each in self.rules]),
            ("views", [each.key for each in self.views]),
            ("views", [each.name.en for each in self.views]),
            ("views", [each.name.zh for each in self.views]),
            ("templates", [each.head.id for each in self.templates]),
            ("reasons", [(each.parent_en, each.name.en) for each in self.reasons]),
            ("models", [(each.name, each.version) for each in self.models]),
        ):
            if len(keys) != len(set(keys)):
                raise ValueError(f"{kind}: one is there twice / {kind} 中有重复")
        return self


class Manifest(_Closed):
    """What a package says of itself."""

    id: Code
    version: Semver
    title: Title
    description: Description
    licence: Licence


class Package(_Closed):
    """A package."""

    format: int = Field(FORMAT, ge=FORMAT, le=FORMAT)
    manifest: Manifest
    contents: Contents

    @property
    def document(self) -> str:
        """The package as it is hashed, signed and stored."""
        return canonical(self.model_dump(mode="json"))

    @property
    def needs(self) -> tuple[list[str], list[str]]:
        """Classes of equipment and dictionary entries that it speaks of."""
        inner = self.contents
        classes = {each.equipment_class for each in inner.rules} | {each.equipment_class for each in inner.views}
        classes |= {each.head.equipment_class for each in inner.templates}
        entries = {each.entry for each in inner.rules if each.entry} | {
            one for each in inner.views for one in each.entries
        }
        return sorted(each for each in classes if each), sorted(entries)

    @property
    def counts(self) -> dict[str, int]:
        """How many things of each kind it brings, without those it brings none of."""
        return {kind: len(found) for kind in Contents.model_fields if (found := getattr(self.contents, kind))}


def read_package(text: str) -> Package:
    """Return the package of a JSON document; raises Invalid naming what is wrong in it or above a limit."""
    if len(text.encode()) > MAX_PACKAGE_BYTES:
        raise Invalid(Text(f"The package is above {MAX_PACKAGE_BYTES} bytes.", f"套件超过 {MAX_PACKAGE_BYTES} 字节。"))
    try:
        return Package.model_validate(json.loads(text))
    except ValidationError as error:
        raise Invalid(_said(error)) from error
    except (ValueError, RecursionError) as error:
        raise Invalid(Text("This is no JSON document.", "这不是 JSON 文档。")) from error


def composed(**parts: Any) -> Package:
    """Return a package of its parts; raises Invalid as `read_package`."""
    try:
        package = Package(**parts)
    except ValidationError as error:
        raise Invalid(_said(error)) from error
    return read_package(package.document)


def _said(error: ValidationError) -> Text:
    found = [dict(fault) for fault in error.errors()]
    en, zh = (
        "; ".join(f"{fault['where']}: {fault['message']}" for fault in field_faults(found, language)[:5])
        for language in ("en", "zh")
    )
    return Text(en, zh)


def digest_of(document: str) -> str:
    """Return the content hash of a document, SHA-256."""
    return hashlib.sha256(document.encode()).hexdigest()


def signed_bytes(document: str) -> bytes:
    """Return what a provider's key signs: not the document itself, so that no signature of anything else is one of it."""
    return _SIGNED + digest_of(document).encode()


def key_of(identity: UUID) -> str:
    """Return the key that a stored thing has in packages: the same in every version, and not its id."""
    return str(uuid5(_KEYS, str(identity)))


def version_of(version: str) -> Version:
    """Return a semantic version to compare by."""
    major, minor, patch = map(int, version.split("."))
    return major, minor, patch


def head_of(text: str) -> DeviceType:
    """Return the table [device] of a template; raises ValueError naming what is wrong with the template.

    The protocol's own fields are for the box to judge, which has the driver: `sunmao-edge library add` does.
    """
    if len(text.encode()) > MAX_TEMPLATE_BYTES:
        raise ValueError(f"a template is above {MAX_TEMPLATE_BYTES} bytes / 模板超过 {MAX_TEMPLATE_BYTES} 字节")
    try:
        tables = tomllib.loads(text)
        device = tables.get("device")
        head = validate(DeviceType, device if isinstance(device, dict) else {}, "device")
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"not valid TOML: {error} / 不是有效的 TOML：{error}") from error
    except ConfigError as error:
        raise ValueError(f"{error.key}: {error.what.en} / {error.key}：{error.what.zh}") from error
    _known_class(head.equipment_class)
    for problem in _problems(tables):
        raise ValueError(f"{problem.en} / {problem.zh}")
    return head


def _problems(tables: dict[str, Any]) -> Iterator[Text]:
    points = tables.get("point", [])
    if not isinstance(points, list) or not all(isinstance(each, dict) for each in points):
        yield Text("points are written as [[point]]", "点应写作 [[point]]")
        return
    if not points and "extends" not in tables:
        yield Text("add a [[point]]", "请添加 [[point]]")
    for number, point in enumerate(points, 1):
        code = point.get("property")
        if code is not None and (not isinstance(code, str) or entry_of(code) is None):
            yield Text(f"point[{number}].property: no dictionary entry", f"point[{number}].property：不是数据字典条目")
    defaults = tables.get("defaults", {})
    for name in sorted(_ADDRESSES & set(defaults if isinstance(defaults, dict) else ())):
        yield Text(f"defaults.{name}: an address is each plant's own", f"defaults.{name}：地址属于各工厂自己，请删去")
    for path, _ in secrets_in(tables):
        yield Text(f"{'.'.join(path)}: a password is no part of a template", f"{'.'.join(path)}：模板不得包含密码")
