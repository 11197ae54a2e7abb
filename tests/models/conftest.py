"""What the tests of the models share: one fitted model, one key, pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models.bundle import write_bundle
from models.card import format_card, parse_card
from models.release import Release
from models.signing import create_key, load_key, public_key
from models.vision.fit import fit
from models.vision.parts import Parts
from models.vision.pictures import Grey
from models.vision.zoo import zoo_pictures, zoo_recipe
from tests.made_once import made_once


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "key.pem"
    create_key(path)
    return path


@pytest.fixture(scope="session")
def key(key_file: Path) -> Ed25519PrivateKey:
    return load_key(key_file)


@pytest.fixture(scope="session")
def trust(key: Ed25519PrivateKey) -> list[str]:
    return [public_key(key)]


@pytest.fixture(scope="session")
def good_pictures() -> list[Grey]:
    return list(zoo_pictures())


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Release:
    """The zoo's part-surface, fitted as the command fits it."""

    def make(folder: Path) -> None:
        pictures = request.getfixturevalue("good_pictures")
        parts = Parts("listed", [str(part) for part in range(len(pictures))])
        made = fit(pictures, parts, zoo_recipe("part-surface"))
        (folder / "card.toml").write_bytes(format_card(made.card))
        (folder / "model.onnx").write_bytes(made.onnx)

    kept = made_once(tmp_path_factory, "zoo", make)
    return Release(parse_card((kept / "card.toml").read_bytes()), (kept / "model.onnx").read_bytes())


@pytest.fixture(scope="session")
def signed_bundle(release: Release, key: Ed25519PrivateKey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "part-surface"
    write_bundle(folder, release.card, release.onnx, key)
    return folder
