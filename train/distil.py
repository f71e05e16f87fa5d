"""A student that learns a teacher's features: two maps and their means, standardised by position."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pneumo_edge.types import SIDE
from train.members import GREY_MEAN, GREY_SCALE, GreyToThree

TEACHER = "resnet50"

# A map half-way, of about 10 x 10 positions, and the last one, of about 5 x 5.
_TAPS = {
    "resnet50": ("conv4_block6_out", "conv5_block3_out"),
    "vgg16": ("block4_pool", "block5_pool"),
    "vgg19": ("block4_pool", "block5_pool"),
    "xception": ("block13_sepconv1_act", "block14_sepconv2_act"),
}

TERMS = ("middle map", "middle mean", "last map", "last mean")
"""What `build_distiller`'s outputs measure, in order."""

STATISTICS_MOMENTUM = 0.9
"""Of a student's BatchNormalization: Keras' 0.99 would lag behind a training of some hundred steps."""

_FLOOR = 0.1
"""Of the middle channel's deviation: a channel that hardly varies must not outweigh the others."""


@keras.saving.register_keras_serializable("pneumo_edge")
class Mismatch(keras.layers.Layer):  # type: ignore[misc]  # keras has no type stubs
    """How far a student's map is from its teacher's, as a fraction of what the teacher's varies.

    The teacher's map is standardised: the mean film is taken from it, position by position, and each channel
    is divided by its deviation. Without that, a student is done when it draws the mean film.
    """

    def __init__(self, **kwargs: Any) -> None:
        # In float32 whatever the student trains in: small differences of large features are what is learned.
        super().__init__(**{**kwargs, "dtype": "float32"})

    def build(self, input_shape: Any) -> None:
        """The 1 x 1 projection, and room for the statistics that `measure` fills."""
        student, (_, _, _, channels) = input_shape
        rows, cols = student[1:3]
        self._size = (rows, cols)
        # From zero, the student begins as the mean film, not as noise that is first to be unlearned.
        self.projection = keras.layers.Conv2D(
            channels, 1, kernel_initializer="zeros", name="projection", dtype="float32"
        )
        self.projection.build(student)
        fixed = {"trainable": False}
        self.mean = self.add_weight(shape=(rows, cols, channels), name="mean", **fixed)
        self.scale = self.add_weight(shape=(channels,), initializer="ones", name="scale", **fixed)
        self.spread = self.add_weight(shape=(channels,), initializer="ones", name="spread", **fixed)

    def target(self, teacher: Any) -> Any:
        """The teacher's map at the student's positions; not standardised."""
        if tuple(teacher.shape[1:3]) == self._size:
            return teacher
        return keras.ops.image.resize(teacher, self._size, antialias=True)

    def measure(self, teacher: Any) -> None:
        """Take mean and deviation from a sample of the teacher's maps, (n, rows, cols, channels)."""
        maps = keras.ops.convert_to_numpy(self.target(teacher))
        mean = maps.mean(axis=0)
        deviation = _floored(np.sqrt(((maps - mean) ** 2).mean(axis=(0, 1, 2))))
        self.mean.assign(mean)
        self.scale.assign(deviation)
        pooled = ((maps - mean) / deviation).mean(axis=(1, 2))
        self.spread.assign(_floored(pooled.std(axis=0)))

    def call(self, inputs: Any) -> Any:
        """(student's map, teacher's) to (n, 2): of the map and of its mean; 1 is no better than the mean film."""
        student, teacher = inputs
        target = (self.target(teacher) - self.mean) / self.scale
        away = self.projection(student) - target
        of_map = keras.ops.mean(away**2, axis=(1, 2, 3))
        of_mean = keras.ops.mean((keras.ops.mean(away, axis=(1, 2)) / self.spread) ** 2, axis=1)
        return keras.ops.stack([of_map, of_mean], axis=1)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, int]:
        """Two figures a film."""
        return (input_shape[0][0], 2)


def _floored(deviation: NDArray[np.float32]) -> NDArray[np.float32]:
    lowest = max(1e-6, _FLOOR * float(np.median(deviation)))
    return np.maximum(deviation, np.float32(lowest))


@keras.saving.register_keras_serializable("pneumo_edge")  # type: ignore[untyped-decorator]  # as above
def mean_mismatch(_target: Any, mismatch: Any) -> Any:
    """The loss: the mean of the four figures, film by film."""
    return keras.ops.mean(mismatch, axis=-1)


def tapped(base: Any, name: str, role: str) -> Any:
    """Radiographs to the two maps of a base.

    Args:
        base: From `train.members.build_base`; its layers are shared.
        name: The member that it is the base of.
        role: student or teacher, the name of the model.

    Returns:
        A Keras model from (n, 150, 150, 1) grey levels in [0, 255].
    """
    maps = keras.Model(
        base.input, [base.get_layer(tap).output for tap in _TAPS[name]], name=f"{role}_maps"
    )
    inputs = keras.Input((SIDE, SIDE, 1), name=f"{role}_radiograph")
    grey = GreyToThree(GREY_MEAN[name], GREY_SCALE[name], name=f"{role}_grey")(inputs)
    return keras.Model(inputs, maps(grey), name=role)


def build_distiller(student: Any, name: str, teacher: Any) -> Any:
    """A model whose output is how far the student is from the teacher, on the same view.

    Args:
        student: Base of the member `name`; learns where its layers are trainable.
        name: The member.
        teacher: Base of ResNet50; frozen, batch statistics included.

    Returns:
        A Keras model from (n, 150, 150, 1) to (n, 4), see `TERMS`.
    """
    teacher.trainable = False
    for layer in student.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = STATISTICS_MOMENTUM
    inputs = keras.Input((SIDE, SIDE, 1), name="radiograph")
    learned = tapped(student, name, "student")(inputs)
    taught = tapped(teacher, TEACHER, "teacher")(inputs)
    figures = [
        Mismatch(name=f"{place}_mismatch")([mine, theirs])
        for place, mine, theirs in zip(("middle", "last"), learned, taught, strict=True)
    ]
    return keras.Model(inputs, keras.layers.Concatenate(name="mismatch", dtype="float32")(figures))


def measure_teacher(distiller: Any, images: NDArray[np.float32]) -> None:
    """Fill the statistics that the teacher's maps are standardised by.

    Args:
        distiller: From `build_distiller`; changed in place.
        images: (n, 150, 150, 1), some hundred views.
    """
    maps = distiller.get_layer("teacher").predict(images, batch_size=16, verbose=0)
    maps = [keras.ops.cast(one, "float32") for one in maps]
    for place, teacher in zip(("middle", "last"), maps, strict=True):
        distiller.get_layer(f"{place}_mismatch").measure(teacher)


def level(base: Any, filled: int, grey: NDArray[np.float32]) -> None:
    """Give the maps of a plain stack of convolutions a root mean square of 1, from its last filled layer on.

    ImageNet weights of a VGG hand on values of some hundred, and random layers behind them shrink those, so
    that neither is of the size that a learning rate means. ReLU passes a positive factor on: what the filled
    layers say is multiplied by one number, and otherwise stays.

    Args:
        base: Of vgg16 or vgg19; its kernels, and the bias of the last filled layer, are changed in place.
        filled: How many of its convolutions have weights; those behind them have biases of zero.
        grey: (n, 150, 150, 3), as the base takes them.

    Source: D. Mishkin, J. Matas, "All you need is a good init", 2016, for unit variance layer by layer.
    """
    stack = [layer for layer in base.layers if isinstance(layer, keras.layers.Conv2D)]
    first = max(0, filled - 1)
    outputs = keras.Model(base.input, [layer.output for layer in stack]).predict(grey, verbose=0)
    sizes = [float(np.sqrt(np.mean(np.square(out, dtype=np.float64)))) for out in outputs]
    for index in range(first, len(stack)):
        kernel, bias = stack[index].get_weights()
        before = sizes[index - 1] if index > first else 1.0
        factor = before / max(sizes[index], 1e-12)
        stack[index].set_weights([kernel * factor, bias * factor])
