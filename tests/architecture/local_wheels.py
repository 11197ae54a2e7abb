"""Wheels of what is installed here: a folder to install from where no network is.

An installed distribution says itself what belongs to it (RECORD, the "Recording installed projects" specification of the
Python Packaging User Guide); packed again, that is the wheel it came from.
"""

from __future__ import annotations

import re
import zipfile
from collections import deque
from collections.abc import Container, Iterable, Mapping
from importlib.metadata import Distribution, distribution
from pathlib import Path
from types import MappingProxyType

from packaging.requirements import Requirement

_NOT_OF_THE_WHEEL = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")


def needed_by(requirements: Iterable[str]) -> list[Distribution]:
    """Return what is installed here to meet `requirements` and, in turn, theirs."""
    waiting = deque(Requirement(text) for text in requirements)
    found: dict[tuple[str, str], Distribution] = {}
    while waiting:
        wanted = waiting.popleft()
        for extra in ("", *sorted(wanted.extras)):
            name = re.sub(r"[-_.]+", "-", wanted.name).lower()
            if (name, extra) in found or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
                continue
            found[name, extra] = distribution(wanted.name)
            for text in found[name, extra].requires or ():
                requirement = Requirement(text)
                if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                    requirement.marker = None
                    waiting.append(requirement)
    return [held for (_, extra), held in found.items() if not extra or (_, "") not in found]


def pack(held: Distribution, folder: Path) -> Path:
    """Write the wheel of an installed distribution into `folder` and return it."""
    tags = [tag.split("-") for tag in re.findall(r"^Tag: (\S+)", held.read_text("WHEEL") or "", re.M)]
    tag = "-".join(".".join(dict.fromkeys(parts)) for parts in zip(*tags, strict=True))
    name = re.sub(r"[-_.]+", "_", held.metadata["Name"])
    wheel = folder / f"{name}-{held.version}-{tag}.whl"
    kept = [
        file
        for file in held.files or ()
        if ".." not in file.parts and "__pycache__" not in file.parts and file.name not in _NOT_OF_THE_WHEEL
    ]
    info = next(file.parts[0] for file in kept if file.parts[0].endswith(".dist-info"))
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_STORED) as archive:
        for file in kept:
            archive.write(str(held.locate_file(file)), file.as_posix())
        lines = "".join(f"{file.as_posix()},,\n" for file in kept)
        archive.writestr(f"{info}/RECORD", f"{lines}{info}/RECORD,,\n")
    return wheel


def make_light(wheel: Path, kept: Container[str] = (), changed: Mapping[str, bytes] = MappingProxyType({})) -> None:
    """Let a wheel need of its extras only what is `kept`, and hold `changed` files: soon installed, to see it refused."""
    with zipfile.ZipFile(wheel) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    metadata = next(name for name in content if name.endswith(".dist-info/METADATA"))
    needs = re.compile(r"^Requires-Dist: ([\w.-]+).*\bextra ==.*\n", re.M)
    light = needs.sub(lambda need: need[0] if need[1] in kept else "", content[metadata].decode("utf-8"))
    wheel.unlink()  # its other links stay as they are
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in {**content, **changed, metadata: light.encode("utf-8")}.items():
            archive.writestr(name, data)
