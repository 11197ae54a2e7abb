"""The unified social credit code (统一社会信用代码) of a Chinese organisation, GB 32100-2015."""

from __future__ import annotations

from protocols.errors import ConfigError
from protocols.text import Text

_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_LENGTH = 18


def check_character(first_17: str) -> str:
    """Return the 18th character: (31 - sum(C_i x W_i) mod 31) mod 31, W_i = 3^(i-1) mod 31 (GB 32100-2015, 附录A)."""
    total = sum(_ALPHABET.index(character) * pow(3, position, 31) for position, character in enumerate(first_17))
    return _ALPHABET[-total % 31]


def verified(code: str) -> str:
    """Return `code` in capitals; raises ConfigError if it is not a unified social credit code."""
    code = code.strip().upper()
    if len(code) != _LENGTH or any(character not in _ALPHABET for character in code):
        raise _wrong(
            code,
            Text(
                f"it has {_LENGTH} characters out of 0-9 and A-Z without I, O, S, V, Z",
                f"应为 {_LENGTH} 位，由数字和大写字母组成(不含 I、O、S、V、Z)",
            ),
        )
    if code[-1] != check_character(code[:-1]):
        raise _wrong(
            code, Text("its check character does not fit; compare it digit by digit", "校验位不符，请逐位核对")
        )
    return code


def taken(code: str) -> ConfigError:
    """Return the error for a code that another company has."""
    return ConfigError(
        Text(f"a company with the credit code '{code}' exists", f"统一社会信用代码为“{code}”的企业已存在"),
        Text("compare the code; a company is created once", "请核对代码；同一企业只需创建一次"),
        key="credit_code",
    )


def _wrong(code: str, mend: Text) -> ConfigError:
    return ConfigError(
        Text(f"'{code}' is not a unified social credit code", f"“{code}”不是有效的统一社会信用代码"),
        mend,
        key="credit_code",
    )
