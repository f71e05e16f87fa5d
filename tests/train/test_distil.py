from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from train.distil import TERMS, Mismatch, build_distiller, level, mean_mismatch, tapped
from train.members import build_base

RNG = np.random.default_rng(5)


def mismatch_of(student: tuple[int, int, int], teacher: np.ndarray[Any, Any]) -> Mismatch:
    layer = Mismatch()
    layer.build([(None, *student), (None, *teacher.shape[1:])])
    layer.measure(teacher)
    return layer


def test_a_fresh_student_draws_the_mean_film_and_explains_nothing() -> None:
    teacher = (RNG.gamma(0.5, 3.0, (64, 4, 4, 6)) + RNG.uniform(0, 9, (4, 4, 6))).astype(np.float32)
    layer = mismatch_of((4, 4, 3), teacher)
    got = np.asarray(layer([RNG.normal(size=(64, 4, 4, 3)).astype(np.float32), teacher]))
    assert got.shape == (64, 2)
    assert got.mean(axis=0) == pytest.approx([1.0, 1.0], abs=1e-4)


def test_a_student_with_the_teachers_standardised_map_explains_all() -> None:
    teacher = RNG.normal(3, 2, (32, 5, 5, 4)).astype(np.float32)
    layer = mismatch_of((5, 5, 4), teacher)
    layer.projection.set_weights([np.eye(4)[None, None], np.zeros(4)])
    deviation = (teacher - teacher.mean(0)).reshape(-1, 4).std(0)
    student = (teacher - teacher.mean(0)) / deviation
    got = np.asarray(layer([student, teacher]))
    np.testing.assert_allclose(got, 0, atol=1e-5)
    # One channel of four is lost: a quarter of the map is.
    student[..., 2] = 0
    assert np.asarray(layer([student, teacher])).mean(axis=0)[0] == pytest.approx(0.25, abs=1e-3)


def test_a_teacher_of_another_grid_is_averaged_to_the_students() -> None:
    layer = mismatch_of((4, 4, 2), np.zeros((2, 8, 8, 3), np.float32))
    blocks = RNG.normal(size=(1, 4, 4, 3)).astype(np.float32)
    fine = blocks.repeat(2, axis=1).repeat(2, axis=2)
    coarse = np.asarray(layer.target(fine))
    assert coarse.shape == (1, 4, 4, 3)
    # A triangle over two cells each way: less than the average of a cell, far more than one pixel.
    assert np.corrcoef(coarse.ravel(), blocks.ravel())[0, 1] > 0.9
    np.testing.assert_allclose(layer.target(np.full((1, 8, 8, 3), 7.0)), 7.0, rtol=1e-5)


def test_a_channel_that_hardly_varies_does_not_outweigh_the_others() -> None:
    teacher = RNG.normal(0, 1, (64, 4, 4, 5)).astype(np.float32)
    teacher[..., 0] *= 1e-4
    layer = mismatch_of((4, 4, 5), teacher)
    scale = np.asarray(layer.scale)
    assert scale[0] == pytest.approx(0.1 * np.median(scale[1:]), rel=0.1)


def test_the_mismatch_is_measured_in_float32_whatever_the_student_trains_in() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = mismatch_of((4, 4, 2), RNG.normal(size=(8, 4, 4, 3)).astype(np.float32))
        half = keras.ops.cast(RNG.normal(size=(2, 4, 4, 2)), "bfloat16")
        got = layer([half, keras.ops.cast(RNG.normal(size=(2, 4, 4, 3)), "bfloat16")])
        assert keras.backend.standardize_dtype(got.dtype) == "float32"
        assert {w.dtype for w in layer.weights} == {"float32"}
    finally:
        keras.config.set_dtype_policy("float32")


def test_the_loss_is_the_mean_of_the_terms() -> None:
    figures = np.array([[1.0, 2.0, 3.0, 6.0], [0.0, 0.0, 0.0, 4.0]], np.float32)
    assert len(TERMS) == figures.shape[1]
    np.testing.assert_allclose(mean_mismatch(np.zeros((2, 1)), figures), [3.0, 1.0])


@pytest.mark.parametrize(
    ("name", "middle", "last"),
    [
        ("vgg16", (9, 9, 512), (4, 4, 512)),
        ("vgg19", (9, 9, 512), (4, 4, 512)),
        ("xception", (9, 9, 728), (5, 5, 2048)),
        ("resnet50", (10, 10, 1024), (5, 5, 2048)),
    ],
)
def test_the_taps_are_the_last_map_and_one_of_about_ten_by_ten(
    name: str, middle: tuple[int, ...], last: tuple[int, ...]
) -> None:
    base = build_base(name, None)
    shapes = [tuple(out.shape[1:]) for out in tapped(base, name, "student").outputs]
    assert shapes == [middle, last]
    # What is trained inside is read out as the weights of a base: both must list them alike.
    assert [tuple(w.shape) for w in tapped(base, name, "student").weights] == [
        tuple(w.shape) for w in base.weights
    ]


def test_levelled_maps_have_a_root_mean_square_of_one_and_say_what_they_said() -> None:
    base = build_base("vgg16", None)
    stack = [layer for layer in base.layers if layer.weights]
    for layer in stack[:7]:  # "filled": far from unit size, with biases
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel * 3, RNG.normal(0, 5, bias.shape)])
    grey = RNG.uniform(-116, 139, (2, 150, 150, 3)).astype(np.float32)
    maps = keras.Model(base.input, [layer.output for layer in stack])
    before = maps.predict(grey, verbose=0)
    level(base, 7, grey)
    after = maps.predict(grey, verbose=0)
    for one, other in zip(before[:6], after[:6], strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(before[6:], after[6:], strict=True):
        assert np.sqrt(np.mean(other**2)) == pytest.approx(1, abs=1e-3)
        size = np.sqrt(np.mean(one**2))
        np.testing.assert_allclose(one / size, other, atol=2e-4)


def test_only_the_student_learns_and_both_see_the_same_view() -> None:
    student, teacher = build_base("xception", None), build_base("resnet50", None, "v1.5")
    model = build_distiller(student, "xception", teacher)
    learned = {id(w) for w in model.trainable_variables}
    assert not learned & {id(w) for w in teacher.weights}
    assert learned >= {id(w) for w in student.trainable_variables}
    assert len(model.inputs) == 1
    assert model.output_shape == (None, len(TERMS))
