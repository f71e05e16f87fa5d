from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from pneumo_edge.errors import RecipeError
from train.members import base_of, build_base
from train.weights import fill, find, load_npz, save_base

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def savez(path: Path, arrays: dict[str, Any]) -> None:
    """The names hold slashes, so they are no keywords that a type checker can read."""
    np.savez(path, **arrays)


@pytest.fixture
def base() -> Any:
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv1")(inputs)
    x = keras.layers.BatchNormalization(name="bn1")(x)
    return keras.Model(inputs, keras.layers.Conv2D(2, 3, name="conv2")(x), name="small")


def normalised(rng: np.random.Generator) -> dict[str, Any]:
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    return {f"bn1/{name}": rng.random(4, np.float32) for name in names}


def test_named_arrays_fill_the_layers_of_that_name(base: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=(3, 3, 3, 4)).astype(np.float32)
    bn = normalised(rng)
    untouched = base.get_layer("conv2").get_weights()
    savez(tmp_path / "w.npz", {"conv1/kernel": kernel, "other/kernel": kernel, **bn})
    assert load_npz(base, tmp_path / "w.npz") == ["conv1", "bn1"]
    got_kernel, got_bias = base.get_layer("conv1").get_weights()
    np.testing.assert_array_equal(got_kernel, kernel)
    np.testing.assert_array_equal(got_bias, np.zeros(4))  # stored without: BatchNorm follows
    for got, want in zip(base.get_layer("bn1").get_weights(), bn.values(), strict=True):
        np.testing.assert_array_equal(got, want)
    for got, want in zip(base.get_layer("conv2").get_weights(), untouched, strict=True):
        np.testing.assert_array_equal(got, want)


def test_bytes_are_levels_of_a_scale_about_a_zero_point(base: Any, tmp_path: Path) -> None:
    levels = np.random.default_rng(2).integers(0, 256, (3, 3, 3, 4)).astype(np.uint8)
    savez(
        tmp_path / "w.npz",
        {"conv1/kernel_u8": levels, "conv1/scale": 0.01, "conv1/zero_point": np.uint8(131)},
    )
    load_npz(base, tmp_path / "w.npz")
    expected = [(int(level) - 131) * 0.01 for level in levels.ravel()]
    got = base.get_layer("conv1").get_weights()[0].ravel()
    np.testing.assert_allclose(got, expected, rtol=1e-6)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "shape": (
        lambda p: savez(p, {"conv1/kernel": np.zeros((3, 3, 1, 4))}),
        r"conv1/kernel is shape \(3, 3, 1, 4\), expected \(3, 3, 3, 4\)",
    ),
    "part of a layer": (
        lambda p: savez(p, {"bn1/gamma": np.ones(4, np.float32)}),
        "bn1/beta is nothing",
    ),
    "NaN": (
        lambda p: savez(p, {"conv1/kernel": np.full((3, 3, 3, 4), np.nan)}),
        "conv1/kernel has values that are no finite numbers",
    ),
    "no match": (lambda p: savez(p, {"x/kernel": np.ones(3)}), "has no layer of small"),
    "no scale": (
        lambda p: savez(p, {"conv1/kernel_u8": np.zeros((3, 3, 3, 4), np.uint8)}),
        "cannot be read as .npz",
    ),
    "text": (lambda p: p.write_text("weights"), "cannot be read as .npz"),
    "empty": (lambda p: p.write_bytes(b""), "cannot be read as .npz"),
    "zip that is cut off": (lambda p: p.write_bytes(b"PK\x03\x04 and so on"), "cannot be read"),
    "one array": (lambda p: np.save(p.open("wb"), np.ones(3)), "cannot be read as .npz"),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(("make", "message"), BROKEN.values(), ids=BROKEN)
def test_a_file_that_does_not_fit_is_refused_and_changes_nothing(
    make: Callable[[Path], object], message: str, base: Any, tmp_path: Path
) -> None:
    path = tmp_path / "w.npz"
    make(path)
    before = base.get_weights()
    with pytest.raises(RecipeError, match=message):
        load_npz(base, path)
    for got, want in zip(base.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_damaged_array_inside_a_file_is_refused(base: Any, tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    savez(path, {"conv1/kernel": np.ones((3, 3, 3, 4), np.float32)})
    content = bytearray(path.read_bytes())
    content[300] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"cannot be read as \.npz"):
        load_npz(base, path)


def legacy_h5(base: Any, path: Path, values: list[Any]) -> None:
    """The layout of the .h5 that Keras offers for download, written by hand."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in base.layers]
        rest = iter(values)
        for layer in base.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name in names:
                group[name] = next(rest)


def test_a_keras_download_and_a_saved_weights_file_fill_the_whole_base(
    big: Callable[[str], Any], tmp_path: Path
) -> None:
    model = big("vgg16")
    base = base_of(model, "vgg16")
    rng = np.random.default_rng(5)
    first, second = (
        [rng.normal(size=w.shape, scale=0.01).astype(np.float32) for w in base.weights]
        for _ in range(2)
    )
    download = tmp_path / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    legacy_h5(base, download, first)
    # The one with a top lies in the same folder of a user who has used both.
    (tmp_path / "vgg16_weights_tf_dim_ordering_tf_kernels.h5").write_bytes(b"with a top")
    assert (
        str(fill(base_of(model, "vgg16"), "vgg16", str(tmp_path))) == f"{download.name}: whole base"
    )
    for got, want in zip(base.get_weights(), first, strict=True):
        np.testing.assert_array_equal(got, want)
    base.set_weights(second)
    saved = tmp_path / "mine.weights.h5"
    base.save_weights(saved)
    base.set_weights(first)
    assert str(fill(base_of(model, "vgg16"), "vgg16", str(saved))) == "mine.weights.h5: whole base"
    for got, want in zip(base.get_weights(), second, strict=True):
        np.testing.assert_array_equal(got, want)
    renamed = saved.rename(tmp_path / "mine.h5")  # without .weights Keras takes it for a download
    with pytest.raises(RecipeError, match=r"mine\.h5 does not fill vgg16.*\.weights\.h5"):
        fill(base_of(model, "vgg16"), "vgg16", str(renamed))


def test_weights_of_another_architecture_are_refused_in_one_line(
    base: Any, big: Callable[[str], Any], tmp_path: Path
) -> None:
    legacy_h5(base, tmp_path / "a.h5", base.get_weights())
    base.save_weights(tmp_path / "b.weights.h5")
    (tmp_path / "c.h5").write_text("no weights")
    for name in ("a.h5", "b.weights.h5", "c.h5"):
        with pytest.raises(RecipeError, match=f"{name} does not fill vgg16") as caught:
            fill(base_of(big("vgg16"), "vgg16"), "vgg16", str(tmp_path / name))
        assert "\n" not in str(caught.value)


def test_a_missing_file_is_named_and_a_folder_without_one_changes_nothing(
    big: Callable[[str], Any], tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=r"no weights file .*gone\.npz"):
        fill(base_of(big("vgg16"), "vgg16"), "vgg16", str(tmp_path / "gone.npz"))
    assert fill(base_of(big("vgg16"), "vgg16"), "vgg16", str(tmp_path)) is None


def test_a_members_own_file_goes_before_another_members(tmp_path: Path) -> None:
    (tmp_path / "vgg19_blocks1-3_imagenet.npz").touch()
    assert find(tmp_path, "vgg16") == tmp_path / "vgg19_blocks1-3_imagenet.npz"
    (tmp_path / "vgg16_imagenet.npz").touch()
    assert find(tmp_path, "vgg16") == tmp_path / "vgg16_imagenet.npz"
    assert find(tmp_path, "xception") is None
    assert find(tmp_path, "cnn") is None


def test_the_shared_file_fills_all_of_resnet50(shared_init: Path) -> None:
    base = build_base("resnet50", None, "v1.5")
    filled = load_npz(base, shared_init / "resnet50_imagenet_v15.npz")
    assert len(filled) == 106  # 53 convolutions and a BatchNorm behind each
    assert filled == [layer.name for layer in base.layers if layer.weights]
    with np.load(shared_init / "resnet50_imagenet_v15.npz") as file:
        name = "conv4_block3_2_conv"
        scale, zero = float(file[f"{name}/scale"]), float(file[f"{name}/zero_point"])
        expected = (file[f"{name}/kernel_u8"].astype(np.float64) - zero) * scale
    kernel, bias = base.get_layer(name).get_weights()
    np.testing.assert_allclose(kernel, expected, atol=1e-6)
    assert not bias.any()


def test_vgg16_starts_from_the_blocks_that_it_shares_with_vgg19(
    shared_init: Path, big: Callable[[str], Any]
) -> None:
    model = big("vgg16")
    done = str(fill(base_of(model, "vgg16"), "vgg16", str(shared_init)))
    assert done == "vgg19_blocks1-3_imagenet.npz: 7 layers, block1_conv1 to block3_conv3"
    with np.load(shared_init / "vgg19_blocks1-3_imagenet.npz") as file:
        for name in ("block1_conv1", "block3_conv3"):
            kernel, bias = base_of(model, "vgg16").get_layer(name).get_weights()
            np.testing.assert_array_equal(kernel, file[f"{name}/kernel"])
            np.testing.assert_array_equal(bias, file[f"{name}/bias"])


def test_of_several_folders_the_first_that_fits_fills_a_member(
    big: Callable[[str], Any], tmp_path: Path
) -> None:
    base = big("vgg16").get_layer("vgg16")
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    save_base(base, tmp_path / "full/vgg16.weights.h5", "drawn for a test")
    (tmp_path / "full/vgg16.partial.weights.h5").write_bytes(b"of a kill")
    search = os.pathsep.join([str(tmp_path / "empty"), str(tmp_path / "full")])
    filled = fill(base, "vgg16", search)
    assert filled is not None
    assert filled.whole
    assert str(filled) == "vgg16.weights.h5: whole base, drawn for a test"
    assert fill(base, "vgg16", str(tmp_path / "empty")) is None
    with pytest.raises(RecipeError, match=r"no weights file .*gone"):
        fill(base, "vgg16", os.pathsep.join([str(tmp_path / "empty"), str(tmp_path / "gone")]))
    assert sorted(p.name for p in (tmp_path / "full").iterdir()) == [
        "vgg16.partial.weights.h5",
        "vgg16.weights.h5",
    ]
