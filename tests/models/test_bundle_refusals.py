"""A bundle is wholly trusted or refused with a named reason."""

from __future__ import annotations

import os
import shutil
import tempfile
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper

from models.bundle import LIMITS, read_bundle, sign_bundle, write_bundle
from models.card import TensorCard, format_card, parse_card
from models.errors import BundleRefused, InputError
from models.release import Release
from tests.models.small_models import OUTPUT, branch, endless_loop, sign_anything, small_card, small_model


def refused(folder: Path, trust: list[str]) -> str:
    with pytest.raises(BundleRefused) as caught:
        read_bundle(folder, trust)
    for sentence in (caught.value.en, caught.value.zh):
        assert sentence
        assert "\n" not in sentence
    return caught.value.reason


@pytest.fixture
def copied(signed_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(signed_bundle, tmp_path / "bundle"))


def test_what_was_released_is_read_back(signed_bundle: Path, release: Release, trust: list[str]) -> None:
    bundle = read_bundle(signed_bundle, trust)
    assert (bundle.card, bundle.onnx, bundle.signer) == (release.card, release.onnx, trust[0])


def test_any_trusted_key_will_do(signed_bundle: Path, trust: list[str]) -> None:
    other = b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    assert read_bundle(signed_bundle, [other, *trust]).signer == trust[0]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_one_altered_byte_anywhere_is_refused(signed_bundle: Path, trust: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(LIMITS)))
    content = bytearray((signed_bundle / name).read_bytes())
    change = data.draw(st.sampled_from(["flip", "drop", "add"]))
    place = data.draw(st.integers(0, len(content) - 1))
    if change == "flip":
        content[place] ^= data.draw(st.integers(1, 255))
    elif change == "drop":
        del content[place]
    else:
        content.insert(place, data.draw(st.integers(0, 255)))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(shutil.copytree(signed_bundle, Path(temporary) / "bundle"))
        (folder / name).write_bytes(content)
        assert refused(folder, trust) in {"altered", "untrusted", "unsigned", "too_large"}


def test_the_altered_file_is_named(copied: Path, trust: list[str]) -> None:
    with (copied / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleRefused, match=r"model\.onnx was changed after signing"):
        read_bundle(copied, trust)


def test_another_key_is_not_trusted(signed_bundle: Path) -> None:
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    assert refused(signed_bundle, [b64encode(other).decode()]) == "untrusted"


@pytest.mark.parametrize("name", ["signature", "checksums.txt"])
def test_unsigned(copied: Path, trust: list[str], name: str) -> None:
    (copied / name).unlink()
    assert refused(copied, trust) == "unsigned"


@pytest.mark.parametrize("name", ["card.toml", "model.onnx"])
def test_missing(copied: Path, trust: list[str], name: str) -> None:
    (copied / name).unlink()
    assert refused(copied, trust) == "missing"


def test_no_folder(tmp_path: Path, trust: list[str]) -> None:
    assert refused(tmp_path / "nowhere", trust) == "missing"


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_links_are_not_followed(copied: Path, trust: list[str], tmp_path: Path, name: str) -> None:
    (copied / name).rename(tmp_path / "elsewhere")
    (copied / name).symlink_to(tmp_path / "elsewhere")
    assert refused(copied, trust) == "not_regular"


def test_a_pipe_is_not_waited_on(copied: Path, trust: list[str]) -> None:
    (copied / "model.onnx").unlink()
    os.mkfifo(copied / "model.onnx")
    assert refused(copied, trust) == "not_regular"


def test_a_folder_in_place_of_a_file(copied: Path, trust: list[str]) -> None:
    (copied / "card.toml").unlink()
    (copied / "card.toml").mkdir()
    assert refused(copied, trust) == "not_regular"


def test_nothing_else_may_lie_in_the_folder(copied: Path, trust: list[str]) -> None:
    (copied / "model.bin").write_bytes(b"weights")
    assert refused(copied, trust) == "layout"


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_oversize_is_refused_without_reading_it_all(copied: Path, trust: list[str], name: str) -> None:
    with (copied / name).open("r+b") as file:
        file.truncate(LIMITS[name] + 1)
    assert refused(copied, trust) == "too_large"


CAST = helper.make_node("Cast", ["picture"], ["cast"], to=TensorProto.FLOAT)
DONE = helper.make_node("Identity", ["cast"], ["score"])


def external_data() -> ModelProto:
    model = small_model(CAST, DONE)
    tensor = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../../etc/passwd")
    model.graph.initializer.append(tensor)
    return model


HOSTILE: dict[str, tuple[Callable[[], ModelProto], str]] = {
    "a loop": (endless_loop, "subgraph"),
    "a branch": (lambda: small_model(CAST, branch("b"), DONE), "subgraph"),
    "a custom operator": (
        lambda: small_model(helper.make_node("Run", ["picture"], ["score"], domain="com.evil"), domains=("com.evil",)),
        "operator",
    ),
    "an operator outside the list": (
        lambda: small_model(CAST, helper.make_node("RandomNormalLike", ["cast"], ["score"])),
        "operator",
    ),
    "data elsewhere": (external_data, "external_data"),
    "an old operator set": (lambda: small_model(opset=13), "opset"),
    "a second operator set": (lambda: small_model(domains=("ai.onnx.ml",)), "opset"),
    "another input shape": (lambda: small_model(input_shape=(8, 8)), "shapes"),
    "a free dimension": (lambda: small_model(input_shape=("n", 4)), "shapes"),
    "another output shape": (lambda: small_model(output_shape=(4,)), "shapes"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_signature_does_not_make_a_hostile_model_welcome(
    kind: str, tmp_path: Path, key: Ed25519PrivateKey, trust: list[str]
) -> None:
    make, reason = HOSTILE[kind]
    onnx = make().SerializeToString()
    assert refused(sign_anything(tmp_path / "bundle", small_card(), onnx, key), trust) == reason
    with pytest.raises(BundleRefused):
        write_bundle(tmp_path / "ours", small_card(), onnx, key)
    assert not (tmp_path / "ours").exists()


def test_an_honest_small_model_is_accepted(tmp_path: Path, key: Ed25519PrivateKey, trust: list[str]) -> None:
    folder = sign_anything(tmp_path / "bundle", small_card(), small_model().SerializeToString(), key)
    assert read_bundle(folder, trust).card == small_card()


def test_output_names_must_be_the_cards(tmp_path: Path, key: Ed25519PrivateKey, trust: list[str]) -> None:
    card = small_card(output=[TensorCard("other", "float32", OUTPUT.shape)])
    folder = sign_anything(tmp_path / "bundle", card, small_model().SerializeToString(), key)
    assert refused(folder, trust) == "shapes"


@pytest.mark.parametrize(
    "card",
    [
        b"not toml",
        b"\xff\xfe",
        format_card(small_card()).replace(b'name = "small"', b'name = "../small"'),
        format_card(small_card()) + b"surprise = 1\n",
        format_card(small_card(input=[TensorCard("picture", "uint8", [4, 4, 0])])),
    ],
)
def test_wrong_cards(tmp_path: Path, key: Ed25519PrivateKey, trust: list[str], card: bytes) -> None:
    folder = sign_anything(tmp_path / "bundle", card, small_model().SerializeToString(), key)
    assert refused(folder, trust) == "card"


def test_a_wrong_key_in_the_configuration_is_named(signed_bundle: Path) -> None:
    with pytest.raises(InputError, match="'abc' is not a base64 Ed25519 public key"):
        read_bundle(signed_bundle, ["abc"])


def test_signing_again_after_an_edit(copied: Path, trust: list[str], key: Ed25519PrivateKey) -> None:
    card = (copied / "card.toml").read_text(encoding="utf-8")
    (copied / "card.toml").write_text(card.replace('version = "1"', 'version = "2"', 1), encoding="utf-8")
    assert refused(copied, trust) == "altered"
    sign_bundle(copied, key)
    assert read_bundle(copied, trust).card.version == "2"


def test_a_bundle_is_not_written_among_other_files(tmp_path: Path, release: Release, key: Ed25519PrivateKey) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"holiday\.jpg"):
        write_bundle(tmp_path, release.card, release.onnx, key)


_text = st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=20)


@given(
    family=_text,
    recipe=st.dictionaries(st.from_regex(r"[a-z_]{1,9}", fullmatch=True), _text | st.integers(0, 9) | st.floats(0, 1)),
)
def test_a_card_reads_back_as_it_was_written(family: str, recipe: dict[str, str | int | float]) -> None:
    fit = small_card().fit.__class__(family, 1, 1, "0", recipe, 1e-5, 30)
    card = small_card(fit=fit)
    assert parse_card(format_card(card)) == card
