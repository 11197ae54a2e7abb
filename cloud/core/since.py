"""From when what people say of a plant holds: a whole hour, or the beginning."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, Field

from cloud.core.errors import Invalid
from protocols.text import Text

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""From when that holds which holds for all there is."""

_WHOLE_HOUR = Text(
    "Give a whole hour (UTC); what a machine did is kept by the hour.", "时间应为整点（UTC）；设备状态按小时保存。"
)


def this_hour() -> datetime:
    """Return the begin of the hour that lasts."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def check_hour(time: datetime) -> None:
    """Raise Invalid for what is no whole hour."""
    if time.astimezone(UTC) != time.astimezone(UTC).replace(minute=0, second=0, microsecond=0):
        raise Invalid(_WHOLE_HOUR)


class Version(BaseModel):
    """What holds from a whole hour on, until the next version does; 1970-01-01 is the beginning."""

    valid_from: datetime
    set_by: str
    set_at: datetime | None = Field(description="Null, as nobody in `set_by`, for what was set before it was kept.")
