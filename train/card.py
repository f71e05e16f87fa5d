"""The model card: a bundle's manifest as a page that a person can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pneumo_edge.manifest import Band, Figures, Manifest, Measure
from train.metrics import MEASURES

_HEADINGS = ("accuracy", "AUC", "sensitivity (recall)", "specificity", "F1")

_INTRODUCTION = """\
# Model card: pneumo-edge ensemble

Four convolutional networks (VGG16, VGG19, ResNet50, Xception), quantized to int8 and fused by linear
regression, look at one frontal chest radiograph and say `normal` or `pneumonia`. The method is that of
T. Zhong, H. Wen, Z. Cao, X. Zou, Q. Tang, W. Wang, "Pneumonia Image Recognition Based on Transfer Learning".

**This is not a medical device.** It has not been cleared by any authority or tried in a clinic. It may
help to sort films for a reader; it must not decide on a patient.
"""

_LIMITS = """\
## What it cannot do

- It knows two answers. It was never shown a film of anything else, and says `normal` or `pneumonia` of
  tuberculosis and of a fracture alike. {gate}
- It was trained on frontal films of children of one to five years from one hospital. Adults, other
  hospitals, other detectors, lateral views and photographs of films were not part
  of it, and a drop there is to be expected.
- The test films differ in look from the training films. Operating points were chosen on training
  films alone, so sensitivity and specificity on new films move away from what was aimed at; the tables show how far.
- It shows only coarsely where it sees something (`--overlay`: what each of some 5 x 5 places adds to y).
  That is no outline of a lesion, and can lie outside the lungs.
- It gives no cause: bacterial and viral pneumonia are one class.
- y is a fused score, not a calibrated probability: it is fitted by least squares, and can lie below 0 or above 1.
- Labels come from the data set. Its readers can be wrong, and the model learns that too.
"""


def render_card(manifest: Manifest) -> str:
    """The model card of a bundle, in Markdown.

    Args:
        manifest: With figures on the test split, float32 and int8.

    Returns:
        A page whose every figure is one of the manifest's.
    """
    parts = [
        _INTRODUCTION,
        _contents(manifest),
        _data(manifest.provenance),
        _test_figures(manifest),
        _elsewhere(manifest),
        _bands(manifest),
        _parity(manifest),
        _gate(manifest),
        _LIMITS.format(gate=_GATED if manifest.gate is not None else _UNGATED),
    ]
    return "\n".join(parts)


def formula(weights: Mapping[str, float], bias: float) -> str:
    """The fusion as a person writes it: y = 0.5500 vgg16 - 0.0200 xception + 0.1000."""
    terms = [*((weight, f" {name}") for name, weight in weights.items()), (bias, "")]
    signed = "".join(f"{' - ' if value < 0 else ' + '}{abs(value):.4f}{x}" for value, x in terms)
    return "y = " + signed.removeprefix(" + ").replace(" - ", "-", signed.startswith(" - "))


def _contents(manifest: Manifest) -> str:
    y = formula({member.name: member.weight for member in manifest.members}, manifest.bias)
    points = "\n".join(
        f"| `{name}` | {threshold:.4f} | {_POINTS.get(name, 'set by hand')} |"
        for name, threshold in manifest.operating_points.items()
    )
    seen = _FRAMED if manifest.template is not None else "Members see whole films."
    return f"""\
## The bundle

Made on {manifest.created}; id `{manifest.id}`.

{y}, where each name stands for that member's probability of pneumonia. {seen}

| operating point | pneumonia where y is above | chosen |
| --- | --- | --- |
{points}
"""


_FRAMED = """\
Members see the
thorax alone, which is found on each film by laying it on a template of training films."""

_POINTS = {
    "paper": "the paper's threshold",
    "balanced": "largest mean of sensitivity and specificity on out-of-fold training films",
    "screening": "sensitivity of at least 0.98 on out-of-fold training films",
}


def _data(provenance: dict[str, Any]) -> str:
    data, recipe, fusion = (provenance[key] for key in ("data", "recipe", "fusion"))
    rows = "\n".join(
        f"| {name} | {m['init']} | {m['frozen_layers']} | {m['learning_rate']:g} | {m['epochs']} | "
        f"{m['minutes']} |"
        for name, m in provenance["members"].items()
    )
    source = f" {data['source']}" if data["source"] else ""
    remark = f" {recipe['remark']}" if recipe.get("remark") else ""
    twice = ", each as it is and once more under stress" if fusion.get("stressed") else ""
    return f"""\
## How it was trained

Data set `{data["name"]}`: {data["films"]} films of {data["patients"]} patients ({data["normal"]} normal,
{data["pneumonia"]} pneumonia).{source} Cut into {data["folds"]} folds by patient. Recipe `{recipe["name"]}` (digest
`{recipe["digest"][:12]}`, seed {recipe["seed"]}). The fusion and the operating points come from {fusion["films"]} films
that the members had not seen (fold {", ".join(fusion["folds"])}){twice}. The test split was
used for no fit and for no choice of a threshold.{remark}

| member | initial weights | frozen layers | learning rate | epochs | minutes |
| --- | --- | --- | --- | --- | --- |
{rows}
"""


def _cell(measure: Measure) -> str:
    return f"{measure.value:.4f} ({measure.low:.4f} to {measure.high:.4f})"


def figures_row(row: Figures) -> str:
    """A row of figures as the card prints it."""
    cells = " | ".join(_cell(getattr(row, name)) for name in MEASURES)
    return f"| {row.subject} | {row.precision} | {row.operating_point} | {cells} |"


def _test_figures(manifest: Manifest) -> str:
    rows = [row for row in manifest.figures if row.split == "test"]
    if not rows:
        return "## Figures\n\nNot measured: the data folder had no test split.\n"
    return f"""\
## Figures on the test split

{rows[0].n} films. In brackets the 95 % interval, from 1000 bootstrap draws of whole patients. Members are
read at 0.5. Recompute the int8 rows from the bundle with `pneumo-edge train evaluate --bundle BUNDLE --data DATA`.

{_table(rows)}
"""


def _table(rows: list[Figures]) -> str:
    order = sorted(
        rows, key=lambda row: (_SUBJECTS.index(row.subject), row.operating_point, row.precision)
    )
    heading = ["model", "precision", "operating point", *_HEADINGS]
    lines = [f"| {' | '.join(heading)} |", f"| {' | '.join('---' for _ in heading)} |"]
    return "\n".join(lines + [figures_row(row) for row in order])


def _elsewhere(manifest: Manifest) -> str:
    """Films of other hospitals, where they were measured: all of them, then by view."""
    parts = []
    for split in sorted({row.split.partition("/")[0] for row in manifest.figures} - {"test"}):
        rows = [row for row in manifest.figures if row.split == split]
        parts.append(f"""\
## Figures on films from elsewhere: `{split}`

{rows[0].n} films that have no part in training, choice or calibration, whatever came out. Same thresholds.
{_verdict(rows)}

{_table(rows)}
""")
        views = [row for row in manifest.figures if row.split.startswith(f"{split}/")]
        parts += [_by_view(views)] if views else []
    return "\n".join(parts)


def _verdict(rows: list[Figures]) -> str:
    """What the fused AUC means for whoever thinks of using the bundle on such films."""
    worst = min((row.auc for row in rows if row.subject == "fused"), key=lambda auc: auc.low)
    if worst.low <= CHANCE:
        return (
            f"**On these films the fusion is not shown to be better than a coin** (AUC {_cell(worst)}; "
            f"{CHANCE} is chance). Do not use it on such films."
        )
    return (
        f"The fusion tells these films apart with an AUC of {_cell(worst)}; {CHANCE} is chance. "
        "What it does on films of yet another hospital is not known."
    )


def _by_view(rows: list[Figures]) -> str:
    lines = "\n".join(
        f"| {row.split.rpartition('/')[2]} | {row.n} {figures_row(row)}" for row in rows
    )
    heading = " | ".join(("model", "precision", "operating point", *_HEADINGS))
    return f"""\
The same by view (AP: mostly at the bedside, of patients too ill to stand; PA: standing). A view with films of one
class only has no figures.

| view | films | {heading} |
|{" --- |" * (5 + len(_HEADINGS))}
{lines}
"""


def _bands(manifest: Manifest) -> str:
    """Where y is indeterminate, and what that holds and leaves."""
    stated = manifest.indeterminate
    if stated is None:
        return ""
    ranges = "\n".join(
        f"| `{point}` | {threshold:.4f} | {_band(stated.bands.get(point))} |"
        for point, threshold in manifest.operating_points.items()
    )
    rows = "\n".join(
        f"| {row.split} | {row.precision} | {row.operating_point} | {row.n} | "
        + " | ".join(
            _cell(measure)
            for measure in (row.inside, row.error, row.error_normal, row.error_pneumonia)
        )
        + " |"
        for row in manifest.band_figures
    )
    sets = " and ".join(f"{count} films ({name})" for name, count in stated.films.items())
    return f"""\
## Where it is indeterminate

Where y lies in the band around the threshold, the label is shown as indeterminate: a reader should look without it.
Each band is the narrowest outside which, in either class, no more than {stated.error_rate:.1%} of the labels are to
be expected wrong: (k + 1) / (m + 1) for k wrong ones of m films. It was chosen on {sets}.
That is said of films like those. The rows on other films show what is left of it where films differ.

| operating point | threshold | indeterminate |
| --- | --- | --- |
{ranges}

| films | precision | operating point | n | in the band | wrong outside it | of the normal ones | of the others |
| --- | --- | --- | --- | --- | --- | --- | --- |
{rows}
"""


def _band(band: Band | None) -> str:
    return f"{band.low:.4f} to {band.high:.4f}" if band is not None else "none: too few films"


CHANCE = 0.5
"""The AUC of a coin."""

_SUBJECTS = ("fused", "vgg16", "vgg19", "resnet50", "xception", "cnn")


_GATED = """A hand or a receipt the gate refuses, within the figures above; it knows nothing of
  findings, and lets through a film that shows another disease."""
_UNGATED = """This bundle has no statistics for the gate: a picture of a hand is told from
  a film by its size, shape, colour and contrast alone."""


def _gate(manifest: Manifest) -> str:
    """What the gate refuses and notices, where the bundle has one."""
    gate = manifest.gate
    if gate is None:
        return ""
    fitted = ", ".join(f"{count} of `{name}`" for name, count in gate.films.items())
    rows = "\n".join(
        f"| {row.name} | {row.n} | {row.refused} | {row.distant} | {row.turned} | {row.corrected} |"
        for row in gate.rows
    )
    changes = list(next(iter(gate.noticed.values()), {}))
    noticed = "\n".join(
        f"| {name} | {' | '.join(f'{shares[change]:.1%}' for change in changes)} |"
        for name, shares in gate.noticed.items()
    )
    return f"""\
## The gate

It refuses what is no frontal chest radiograph by its grey levels and by the features of {gate.member}, and sets right
films that were turned or inverted. Fitted on upright films ({fitted}); others, of other patients, set every threshold.

| upright films, not fitted on | n | refused | warned as unlike | taken for turned or inverted | of these, set right |
| --- | --- | --- | --- | --- | --- |
{rows}

Of the same films, laid otherwise or cropped, it notices:

| films | {" | ".join(changes)} |
| --- |{" --- |" * len(changes)}
{noticed}
"""


def _parity(manifest: Manifest) -> str:
    if not manifest.parity:
        return ""
    lines = "\n".join(
        f"| {row.subject} | {row.mean_abs_dp:.4f} | {row.worst_abs_dp:.4f} "
        f"| {row.auc_float:.4f} | {row.auc_int8:.4f} | "
        + ", ".join(f"{point} {count}" for point, count in row.flips.items())
        + " |"
        for row in manifest.parity
    )
    return f"""\
## What quantization changed

int8 against float32 Keras on the same {manifest.parity[0].n} prepared films: how far a
probability (for `fused`: y) moved, and how many labels flipped.

| model | mean change | worst change | AUC float32 | AUC int8 | labels flipped |
| --- | --- | --- | --- | --- | --- |
{lines}
"""
