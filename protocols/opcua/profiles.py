"""What is known of servers beyond what they say of themselves: `profiles.toml`, and which of it fits a server."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from protocols.validation import validate

T = TypeVar("T", int, float, bool)


class Fact(BaseModel, Generic[T]):
    """One number of a vendor's server, and who says so."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: T
    source: str = Field(min_length=10)


class Profile(BaseModel):
    """One kind of server; see the head of `profiles.toml` for the fields. What is None is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    name: str
    manufacturer: tuple[str, ...] = Field(min_length=1)
    product: tuple[str, ...]
    nodes_per_call: Fact[int] | None = None
    monitored_items: Fact[int] | None = None
    queue_size: Fact[int] | None = None
    sampling_s: Fact[float] | None = None
    publishing_s: Fact[float] | None = None
    deadband: Fact[bool] | None = None

    def fits(self, build: Mapping[str, str]) -> bool:
        """Return whether `build`, as `Session.build` holds it, is that of such a server."""
        manufacturer = build.get("manufacturer", "").lower()
        product = f"{build.get('product', '')} {build.get('product_uri', '')}".lower()
        return any(text in manufacturer for text in self.manufacturer) and (
            not self.product or any(text in product for text in self.product)
        )


@cache
def profiles() -> dict[str, Profile]:
    """Return all profiles by id, in the order of the file."""
    text = files("protocols.opcua").joinpath("profiles.toml").read_text(encoding="utf-8")
    found = [
        validate(Profile, table, f"profile[{number}]") for number, table in enumerate(tomllib.loads(text)["profile"], 1)
    ]
    return {profile.id: profile for profile in found}


def recognise(build: Mapping[str, str]) -> Profile | None:
    """Return the profile of the server with this build information; None for one that nothing is known of."""
    return next((profile for profile in profiles().values() if profile.fits(build)), None)
