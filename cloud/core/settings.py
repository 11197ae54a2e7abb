"""Where this cloud keeps its things, and the secrets it made for itself there."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

import msgspec

from protocols.errors import ConfigError
from protocols.text import Text

_MIN_SECRET_CHARACTERS = 32
_PLACEHOLDER = "CHANGE-ME"
"""What the samples in deploy/cloud have where a password belongs."""


class Secrets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The secrets of one installation, each 256 bits of randomness in URL-safe base64.

    Attributes:
        signing_key: signs agents' tokens.
        lookup_key: keys the hashes under which one-time codes are stored.
        database_password: the app role's.
    """

    signing_key: str
    lookup_key: str
    database_password: str

    def __repr__(self) -> str:
        return "Secrets(...)"


class Settings(msgspec.Struct, frozen=True):
    """What `serve` was told. `dsn` None means the embedded PostgreSQL in `data`."""

    data: Path
    dsn: str | None = None

    @property
    def postgres_folder(self) -> Path:
        """Where the embedded PostgreSQL lives."""
        return self.data / "postgres"

    def refuse_unset_dsn(self) -> None:
        """Raise ConfigError for a DSN that was to be filled in: empty, it is not to mean the embedded PostgreSQL."""
        if self.dsn is not None and (not self.dsn.strip() or _PLACEHOLDER in self.dsn):
            raise ConfigError(
                Text(
                    f"the database's DSN is empty or still says {_PLACEHOLDER}",
                    f"数据库连接串为空，或仍含有 {_PLACEHOLDER}",
                ),
                Text(
                    "set SUNMAO_DSN to postgresql://user:password@host:port/database with a password of its own,"
                    " or unset it for the embedded PostgreSQL",
                    "请将 SUNMAO_DSN 设为 postgresql://user:password@host:port/database 并使用自己的密码；"
                    "如用内置 PostgreSQL，请取消该变量",
                ),
                key="--dsn",
            )


def load_secrets(data: Path) -> Secrets:
    """Return the secrets in `data`, made on first use, readable by the owner only.

    Raises ConfigError if the file is damaged, open to others, or holds a secret too short to be one of ours.
    """
    path = data / "secrets.json"
    try:
        data.mkdir(parents=True, exist_ok=True)
        _create(path)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise _wrong(
                path, Text("other users can read it", "其他用户可读"), Text("chmod 600 it", "请执行 chmod 600")
            )
        found = msgspec.json.decode(path.read_bytes(), type=Secrets)
    except OSError as error:
        raise _wrong(
            path, Text(str(error), str(error)), Text("choose a folder you may write", "请选择可写目录")
        ) from error
    except msgspec.MsgspecError as error:
        raise _wrong(path, Text(str(error), str(error)), _RESTORE) from error
    for name in Secrets.__struct_fields__:
        if len(getattr(found, name)) < _MIN_SECRET_CHARACTERS:
            raise _wrong(path, Text(f"'{name}' is empty or too short", f"“{name}”为空或过短"), _RESTORE)
    return found


_RESTORE = Text(
    "restore it from a backup, or delete it: all sign-ins and unused codes then end",
    "请从备份恢复，或将其删除(所有登录与未使用的注册码随之失效)",
)


def _create(path: Path) -> None:
    """Write new secrets unless there are some; of several processes exactly one wins."""
    fresh = Secrets(*(secrets.token_urlsafe(32) for _ in Secrets.__struct_fields__))
    # Random: in containers that share the folder every process has the same number.
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(fresh))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _wrong(path: Path, what: Text, mend: Text) -> ConfigError:
    return ConfigError(Text(f"{path}: {what.en}", f"{path}:{what.zh}"), mend, key="--data")
