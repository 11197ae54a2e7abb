"""Writes what a release is made of, as CycloneDX 1.6: every package that an extra brings, by version, hash and licence.

    python -P -m deploy.sbom FILE

It is read from what is installed and from the lock: a package that is installed in another version than is locked, one that
is not locked, and one whose licence is not among those accepted end it with a line and status 1.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
OURS = "sunmao-iiot"
ACCEPTED = (
    "0bsd", "apache", "bsd", "cc0", "historical permission notice", "hpnd", "isc", "lgpl", "lesser general public",
    "mit", "mozilla", "mpl", "postgresql", "psf", "python", "unlicense", "zlib", "zope",
)  # fmt: skip
"""Parts of the names of licences that a factory may run: permissive ones, and weak copyleft of libraries used unchanged."""


Lock = Mapping[str, Mapping[str, list[str]]]
"""SHA-256 hashes of each version of each package: a package may be locked in one version for each Python."""


def locked() -> dict[str, dict[str, list[str]]]:
    """Return what requirements.lock has, by the packages' normal names."""
    found: dict[str, dict[str, list[str]]] = {}
    hashes: list[str] = []
    for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;\\]+)", line):
            hashes = found.setdefault(canonicalize_name(match[1]), {}).setdefault(match[2], [])
        if match := re.search(r"--hash=sha256:([0-9a-f]{64})", line):
            hashes.append(match[1])
    return found


def licence_of(package: Distribution) -> str:
    """Return a package's licence as its metadata states it, "" where it states none."""
    data = package.metadata
    if stated := data.get("License-Expression"):
        return stated
    classifiers = data.get_all("Classifier") or []
    if classified := [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License ::")]:
        return " AND ".join(classified)
    return (data.get("License") or "").strip().partition("\n")[0]


def shipped() -> Iterator[Distribution]:
    """Yield the packages that our own extras bring, each once, with what these bring in turn."""
    waiting = [(OURS, frozenset({"edge", "ui", "parquet", "camera", "inference", "cloud", "models", "compute"}))]
    seen: set[tuple[str, frozenset[str]]] = set()
    told: set[str] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue  # for another platform
        if name != OURS and name not in told:
            told.add(name)
            yield package
        for text in package.requires or []:
            wanted = Requirement(text)
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                waiting.append((canonicalize_name(wanted.name), frozenset(wanted.extras)))


def component(package: Distribution, hashes: list[str]) -> dict[str, Any]:
    """Return a package as CycloneDX lists it."""
    name, version = canonicalize_name(package.metadata["Name"]), package.version
    return {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name}@{version}",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
        "licenses": [{"license": {"name": licence_of(package)}}],
        "hashes": [{"alg": "SHA-256", "content": each} for each in hashes],
    }


def faults(packages: Mapping[str, Distribution], lock: Lock) -> list[str]:
    """Return what of the packages must not be released so, a line each."""
    found = []
    for name, package in sorted(packages.items()):
        if name not in lock:
            found.append(f"{name} is not in requirements.lock")
        elif package.version not in lock[name]:
            found.append(f"{name} is {package.version} here and {', '.join(lock[name])} in requirements.lock")
        licence = licence_of(package)
        if not any(part in licence.lower() for part in ACCEPTED):
            found.append(f"{name}: its licence, '{licence}', is none of those accepted")
    return found


def main(target: Path) -> int:
    """Write the list to `target`; 1 if something of it must not be released."""
    lock = locked()
    packages = {canonicalize_name(each.metadata["Name"]): each for each in shipped()}
    if wrong := faults(packages, lock):
        print("\n".join(wrong), file=sys.stderr)
        return 1
    ours = distribution(OURS)
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": OURS,
                "name": OURS,
                "version": ours.version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": [component(package, lock[name][package.version]) for name, package in sorted(packages.items())],
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    print(f"{target}: {len(packages)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
