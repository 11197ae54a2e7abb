"""Says what is wrong in a configuration table, by key, in both languages: pydantic's findings as one ConfigError."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from protocols.errors import ConfigError
from protocols.text import Text

Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], table: Any, key: str, folder: Path | None = None) -> Model:
    """Return `table` as a `model`; raises ConfigError for one thing wrong in it.

    `key` is where the table stands in the file ("device[2].connection"). Arrays of tables are counted from 1, as a
    person counts them. A validator of a model may raise `ValueError(Text(...))` to be understood in both languages.
    `folder` is where the file lies; a model with paths finds it as `info.context["folder"]`.
    """
    try:
        return model.model_validate(table, context={"folder": folder})
    except ValidationError as error:
        found = error.errors(include_url=False)
        # A mistyped key is both unknown and missing; the unknown one says more.
        first = next((each for each in found if each["type"] == "extra_forbidden" and len(each["loc"]) == 1), found[0])
        raise ConfigError(*_explain(first, model), key=_place(first, table, key)) from error
    except ConfigError as error:
        raise _keyed(error, key) from error


def all_faults(model: type[BaseModel], table: Any, key: str) -> list[ConfigError]:
    """Return everything that `validate` would refuse `table` for, in the order of the model's fields; [] where nothing.

    What concerns several fields together is only looked at once each of them is right by itself.
    """
    try:
        model.model_validate(table)
    except ValidationError as error:
        return [
            ConfigError(*_explain(each, model), key=_place(each, table, key))
            for each in error.errors(include_url=False)
        ]
    except ConfigError as error:
        return [_keyed(error, key)]
    return []


def _keyed(error: ConfigError, key: str) -> ConfigError:
    return ConfigError(error.what, error.mend, key=f"{key}.{error.key}" if error.key else key)


def _place(error: ErrorDetails, table: Any, key: str) -> str:
    """Return the key of the error; a union's branch names, which pydantic appends, are no keys and left out."""
    for part in error["loc"]:
        if isinstance(part, int) and isinstance(table, Sequence):
            key += f"[{part + 1}]"
            table = table[part]
        elif isinstance(table, Mapping) and (part in table or error["type"] == "missing"):
            key = f"{key}.{part}" if key else str(part)
            table = table.get(part)
        else:
            break
    return key


def _explain(error: ErrorDetails, model: type[BaseModel]) -> tuple[Text, Text | None]:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        what, mend = unknown_key(str(error["loc"][-1]), list(model.model_fields))
        return what, mend if len(error["loc"]) == 1 else Text("remove it", "请删除")
    if kind == "missing":
        return Text("this key is missing", "缺少此项"), Text("add it", "请补上")
    if kind == "value_error" and isinstance(said := context["error"].args[0], Text):
        return said, None
    if kind not in _EXPECTED:
        return Text(error["msg"], error["msg"]), None
    expected = _EXPECTED[kind]
    field = model.model_fields.get(str(next(iter(error["loc"]), "")))
    secret = field is not None and SecretStr in (field.annotation, *get_args(field.annotation))
    got = "***" if secret else _shown(error["input"])
    return (
        Text(f"{got} is not {expected.en.format(**context)}", f"{got} 不是{expected.zh.format(**context)}"),
        Text("correct the value", "请改正此值"),
    )


def unknown_key(name: str, known: Sequence[str]) -> tuple[Text, Text]:
    """Return what to say of the unknown key `name` where only `known` ones have a meaning."""
    near = get_close_matches(name, known, 1)
    listed = ", ".join(known)
    return (
        Text(f"unknown key '{name}'", f"未知的键“{name}”"),
        Text(f"did you mean '{near[0]}'?", f"是否指“{near[0]}”?")
        if near
        else Text(f"known keys: {listed}", f"可用的键：{listed}"),
    )


def no_such(en: str, zh: str, name: str, known: Sequence[str]) -> ConfigError:
    """Return that there is no `en` (in Chinese `zh`) called `name`, and which there are."""
    listed = ", ".join(known)
    return ConfigError(
        Text(f"there is no {en} '{name}'", f"没有名为“{name}”的{zh}"), Text(f"there are: {listed}", f"现有：{listed}")
    )


def _shown(value: object) -> str:
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_WHOLE = Text("a whole number (no quotes)", "整数(不加引号)")
_NUMBER = Text("a number (no quotes)", "数字(不加引号)")
_BOOLEAN = Text("true or false (no quotes)", "true 或 false(不加引号)")
_LIST = Text("a list, as in [1, 2]", "列表，例如 [1, 2]")
_TABLE = Text("a table of keys and values", "由键和值组成的表")
_EXPECTED = {
    "string_type": Text("text in quotes", "带引号的文字"),
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "greater_than": Text("greater than {gt}", "大于 {gt} 的值"),
    "greater_than_equal": Text("{ge} or more", "不小于 {ge} 的值"),
    "less_than": Text("less than {lt}", "小于 {lt} 的值"),
    "less_than_equal": Text("{le} or less", "不大于 {le} 的值"),
    "literal_error": Text("one of {expected}", "以下之一：{expected}"),
    "string_too_short": Text("text of {min_length} or more characters", "至少 {min_length} 个字符的文字"),
    "string_too_long": Text("text of at most {max_length} characters", "最多 {max_length} 个字符的文字"),
    "string_pattern_mismatch": Text("text of the form {pattern}", "符合格式 {pattern} 的文字"),
    "too_short": Text("a list of {min_length} or more", "至少含 {min_length} 项的列表"),
}
