"""The plain tables of the agent's configuration: who it is, where its readings go, how much it keeps."""

from __future__ import annotations

import binascii
from base64 import b64decode
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from protocols.text import Text


def _printable(name: str) -> str:
    if not name.isprintable() or "/" in name or name != name.strip():
        raise ValueError(
            Text(
                f"the name {name!r} begins or ends with a space, or holds '/' or a control character",
                f"名称 {name!r} 首尾有空格，或含有“/”或控制字符",
            )
        )
    return name


def _public_keys(keys: list[str]) -> list[str]:
    for key in keys:
        try:
            size = len(b64decode(key, validate=True))
        except binascii.Error:
            size = 0
        if size != 32:
            raise ValueError(
                Text(f"'{key}' is not a base64 Ed25519 public key", f"“{key}”不是 base64 编码的 Ed25519 公钥")
            )
    return keys


Name = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_printable)]
PublicKeys = Annotated[list[str], Field(min_length=1), AfterValidator(_public_keys)]
RelativePath = Annotated[Path, Field(strict=False)]


class Table(BaseModel):
    """What every table of the file keeps to: no unknown key, no text for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class AgentConfig(Table):
    """[agent]: who this box is and where it keeps what it must not lose."""

    name: Name = Field(description="Name of this agent, shown in the cloud.")
    allow_writes: bool = Field(
        False,
        description="Whether `sunmao-edge write` may write to devices at all; each point needs its own write rule, too.",
    )
    allow_diagnostics: bool = Field(
        True,
        description="Whether an engineer may ask this box from the cloud to read points and to check itself; nothing is"
        " written.",
    )
    state_dir: RelativePath = Field(Path("state"), description="Folder of the identity key, the buffer and the status.")
    report_s: float = Field(
        10.0,
        ge=1,
        le=60,
        description="Seconds between health reports to the cloud, which also tell what it wants here.",
    )
    probation_s: float = Field(
        60.0,
        ge=1,
        le=3600,
        description="Seconds that a configuration sent by the cloud is watched before it is kept or undone.",
    )


def network_address(url: str, *schemes: str) -> SplitResult | None:
    """Return the parts of an address of one of these schemes with no user in it; None for anything else."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname and parts.hostname.encode("idna")) and (parts.port or 80) > 0
    except ValueError:  # also UnicodeError
        return None
    return parts if named and parts.scheme in schemes and "@" not in parts.netloc else None


class CloudConfig(Table):
    """[cloud]: where readings go."""

    url: str = Field(description="Address of the cloud, https://host[:port] (http only inside a trusted network).")
    ca: RelativePath | None = Field(
        None, description="PEM file of your own certificate authority; the public ones are trusted where absent."
    )

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = network_address(url, "http", "https")
        if parts is None or parts.query or parts.fragment:
            raise ValueError(
                Text(f"'{url}' is not an address like https://host:8000", f"“{url}”不是形如 https://主机:8000 的地址")
            )
        return url.rstrip("/")


class BufferConfig(Table):
    """[buffer]: how much is kept while the cloud cannot be reached."""

    limit_mb: int = Field(
        2048, ge=1, description="Largest size on disk in megabytes; when full the oldest telemetry goes first, counted."
    )
    limit_h: float | None = Field(
        None,
        gt=0,
        description="Longest time in hours that telemetry waits; what is older goes, counted. Without it only size counts.",
    )
    group_s: float = Field(
        0.25, ge=0.01, le=1, description="Longest time in seconds that readings wait to be committed together."
    )
