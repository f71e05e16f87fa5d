"""The evaluation's report: one page that explains itself, from the summary alone."""

from __future__ import annotations

from train import chapters, inner_chapters
from train.page import Chapter, Html, page, paragraph
from train.summary import SCHEMA, EnsembleSummary, Summary
from train.wording import films, name_of

_NOTICE = (
    "Not a medical device: it has not been cleared by any authority or tried in a clinic. It may "
    "help to sort films for a reader; it must not decide on a patient."
)


def render(summary: Summary) -> str:
    """The report as HTML that fetches nothing.

    Args:
        summary: At least one split and one ensemble.
    """
    several = len(summary.ensembles) > 1
    parts: list[Chapter] = []
    for number, ensemble in enumerate(summary.ensembles):
        before = f"{name_of(ensemble)}: " if several else ""
        parts += [
            Chapter(f"{chapter.anchor}-{number}", before + chapter.title, chapter.parts)
            for chapter in _chapters(summary, ensemble)
            if chapter.parts
        ]
    return page("pneumo-edge: evaluation", _opening(summary), [*parts, _method(summary)])


def _opening(summary: Summary) -> list[Html]:
    told = [
        paragraph(
            f"What was measured: {' and '.join(name_of(e) for e in summary.ensembles)}. A film is "
            "called pneumonia where the fused score y of four networks lies above a threshold."
        )
    ]
    told += [paragraph(f"On {split.name}: {films(split)}.") for split in summary.splits]
    told.append(paragraph(_NOTICE, "remark"))
    for split in summary.splits:
        told += [paragraph(f"{split.name}: {said}.", "remark") for said in split.remarks]
    return told


def _chapters(summary: Summary, ensemble: EnsembleSummary) -> list[Chapter]:
    first = summary.splits[0]
    rows = chapters.of_split(ensemble, first)
    found = [
        Chapter("short", "In short", chapters.in_short(summary, ensemble, first)),
        Chapter("paper", "Beside the paper", chapters.beside_paper(summary, ensemble, first)),
        Chapter("figures", "All figures", chapters.all_figures(rows, first)),
        Chapter(
            "roc", "Scores, ROC, confusion", chapters.curves_and_confusion(ensemble, rows, first)
        ),
        Chapter("fusing", "What fusing gives", inner_chapters.fusing(ensemble, first)),
        Chapter("calibration", "Calibration", inner_chapters.calibration(ensemble, first)),
        Chapter("training", "Training", inner_chapters.training(ensemble)),
    ]
    return found + [
        Chapter(
            f"elsewhere-{number}",
            f"Films from elsewhere: {split.name}",
            chapters.from_elsewhere(ensemble, split),
        )
        for number, split in enumerate(summary.splits[1:])
    ]


def _method(summary: Summary) -> Chapter:
    intervals = (
        f"Intervals are 95 % ones, in brackets: {summary.bootstrap_draws} times as many whole "
        "patients as there are were drawn with replacement, within each class, since films of one "
        "patient resemble each other (percentile bootstrap, fixed seed: the same scores give the "
        "same interval). They tell what another draw of such patients could bring, not what another "
        "hospital would."
    )
    mcnemar = (
        "McNemar's exact test looks at the films that one of two models names rightly and the other "
        "wrongly, and asks how often tosses of a fair coin would be so uneven. It takes every film "
        "for a patient of its own; the intervals of the differences do not."
    )
    once = (
        "Each reported model read these films once. Weights, thresholds, the best member, stacking "
        "and calibration were settled on training films that the members had not seen."
    )
    numbers = (
        "The same numbers are in the JSON that --json writes (schema "
        f"{SCHEMA}); train/summary.py explains its fields."
    )
    said = (intervals, mcnemar, once, numbers)
    return Chapter("method", "How to read this", tuple(paragraph(line) for line in said))
