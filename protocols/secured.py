"""What connections have in common that others could listen to: security that was chosen, a user, files that hold keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, model_validator

from protocols.driver import ConnectionConfig
from protocols.errors import ConfigError
from protocols.text import Text


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    return Path(folder, path) if folder is not None else path


FilePath = Annotated[Path, AfterValidator(_beside_the_file)]
"""A path relative to the folder of the configuration file, which `protocols.validation.validate` passes on."""


class SecuredConnection(ConnectionConfig):
    """A connection whose model has a field `security` without a default: "none" only by that word."""

    advised_security: ClassVar[str]
    """The value of `security` to advise to whoever has not chosen."""

    user: str | None = Field(None, min_length=1, description="User name; anonymous where absent.")
    password: SecretStr | None = Field(None, description="Password of the user.")

    @model_validator(mode="before")
    @classmethod
    def _security_is_chosen(cls, data: Any) -> Any:
        # A mistyped key is left to the check for unknown keys, which says more.
        if isinstance(data, dict) and "security" not in data and data.keys() <= cls.model_fields.keys():
            raise ConfigError(
                Text("the security of the connection is not chosen", "未选择连接的安全方式"),
                Text(
                    f'write security = "{cls.advised_security}"; or, knowing that everybody on the network can read and'
                    ' change what is sent, security = "none"',
                    f'请写 security = "{cls.advised_security}"；若接受网络上任何人都能读取和篡改数据，可写 security = "none"',
                ),
                key="security",
            )
        return data

    @model_validator(mode="after")
    def _password_has_a_user(self) -> SecuredConnection:
        if self.password is not None and self.user is None:
            raise ConfigError(
                Text("there is a password but no user", "有密码但没有用户名"),
                Text("add user, or remove password", "请添加 user，或删除 password"),
                key="user",
            )
        return self
