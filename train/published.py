"""What the paper says it measured, to stand beside what we measure."""

from __future__ import annotations

from pneumo_edge.manifest import Struct


class Published(Struct, frozen=True):
    """A row of the paper's tables, as fractions."""

    subject: str
    """A member, cnn or fused."""
    table: int
    reading: str
    """How its recall and F1 are averaged, as far as the numbers tell: macro, or pneumonia alone."""
    accuracy: float
    recall: float
    f1: float


PAPER = (
    Published(subject="vgg16", table=3, reading="macro", accuracy=0.9365, recall=0.9197, f1=0.9269),
    Published(subject="vgg19", table=3, reading="macro", accuracy=0.9316, recall=0.9278, f1=0.9296),
    Published(
        subject="resnet50", table=3, reading="macro", accuracy=0.9280, recall=0.9077, f1=0.9161
    ),
    Published(
        subject="xception", table=3, reading="macro", accuracy=0.9096, recall=0.8816, f1=0.8924
    ),
    Published(
        subject="cnn", table=4, reading="pneumonia", accuracy=0.9017, recall=0.9410, f1=0.9210
    ),
    Published(
        subject="fused", table=4, reading="pneumonia", accuracy=0.9440, recall=0.9630, f1=0.9534
    ),
)
"""Zhong et al., Tables 3 and 4. Which of the readings a table has, it does not say: Table 3's recalls lie below
their accuracies where most films are pneumonia, as a macro average does; Table 4's do not."""

PAPER_WEIGHTS = {"vgg16": 0.55}
"""Of its fusion (Fig. 5), as far as its text tells; Xception's is nearly none."""

PAPER_HOURS = ("about seven hours", "a little over three")
"""What training the plain CNN took, and a transfer model."""
