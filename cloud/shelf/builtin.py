"""The packages that come with the platform, one TOML file each in `packages/`, so that the shelf is never empty."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid5

from cloud.shelf.package import Package

PLATFORM = UUID(int=0)
PROVIDER = "Sunmao"


class BuiltIn(NamedTuple):
    """A package, under an id that is the same in every installation of the platform."""

    id: UUID
    package: Package


@cache
def built_in() -> dict[UUID, BuiltIn]:
    """Return the packages that come with the platform, by id; read once per process."""
    files = sorted((Path(__file__).parent / "packages").glob("*.toml"))
    found = (Package.model_validate(tomllib.loads(file.read_text(encoding="utf-8"))) for file in files)
    made = [BuiltIn(uuid5(PLATFORM, f"{one.manifest.id} {one.manifest.version}"), one) for one in found]
    return {one.id: one for one in made}
