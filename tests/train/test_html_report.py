from __future__ import annotations

import re
from html.parser import HTMLParser

import msgspec
import pytest

from train.html_report import render
from train.run import Epoch, History
from train.summary import Summary
from train.timing import TrainingTime

VOID = {"meta", "img", "br"}


class Reader(HTMLParser):
    """Checks that elements nest, and keeps text and pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.captions = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.pictures.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.captions += tag == "figcaption"

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> tuple[Reader, str]:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader, " ".join("".join(reader.text).split())


@pytest.fixture(scope="module", name="page")
def rendered(summary: Summary) -> str:
    return render(summary)


def trained(summary: Summary, members: tuple[str, ...]) -> Summary:
    """The same ensemble with the training of a run."""
    epoch = Epoch(
        epoch=1,
        learning_rate=1e-4,
        loss=0.5,
        accuracy=0.8,
        val_loss=0.4,
        val_accuracy=0.9,
        val_auc=0.95,
        seconds=60.0,
    )
    told = [
        History(member=m, recipe="", init="none", fold="0", epochs=[epoch, epoch]) for m in members
    ]
    against = "cnn" in members
    times = [
        TrainingTime(
            member=m,
            init="none",
            epochs=2,
            images_seen=1000,
            minutes=2.0,
            seconds_per_1000_images=120.0,
            time_to_baseline=0.5 if against else None,
            image_time_to_baseline=3.0 if against else None,
        )
        for m in members
    ]
    ensemble = msgspec.structs.replace(
        summary.ensembles[0], kind="run", histories=told, training=times
    )
    return msgspec.structs.replace(summary, ensembles=[ensemble])


def test_the_page_nests_and_fetches_nothing(page: str) -> None:
    reader, _ = read(page)
    assert not re.findall(r'(?:src|href)="(?!data:image/svg\+xml;base64,|#)', page)
    assert "http" not in re.sub(r'src="data:[^"]+"', "", page)
    assert len(reader.pictures) >= 9
    assert all(picture["alt"] for picture in reader.pictures)


def test_every_picture_and_table_has_a_caption(page: str) -> None:
    reader, _ = read(page)
    assert reader.captions == len(reader.pictures) + page.count("<table>")
    for caption in re.findall(r"<figcaption>(.*?)</figcaption>", page):
        assert len(caption) > 100  # a sentence or more, not a name


def test_every_figure_is_on_the_page(page: str, summary: Summary) -> None:
    _, text = read(page)
    ensemble = summary.ensembles[0]
    combinations = [row for row in ensemble.combinations if row.split == "test"]
    for row in (*ensemble.details, *combinations):
        for measure in (row.accuracy, row.sensitivity, row.specificity, row.f1):
            low, high = 100 * measure.low, 100 * measure.high
            assert f"{100 * measure.value:.1f} ({low:.1f} to {high:.1f})" in text
        assert f"{row.auc.value:.3f} ({row.auc.low:.3f} to {row.auc.high:.3f})" in text
    for told in summary.published:
        for value in (told.accuracy, told.recall, told.f1):
            assert f"{100 * value:.2f}" in text
    for comparison in ensemble.comparisons:
        assert f"{comparison.only_other_right} by {comparison.other} alone (McNemar" in text
    for calibration in ensemble.calibration:
        if calibration.split == "test":
            assert f"{calibration.ece:.3f}" in text


def test_films_are_counted_where_they_are_named(page: str, summary: Summary) -> None:
    _, text = read(page)
    for split in summary.splits:
        assert f"{split.films} films of {split.patients} patients, {split.normal} normal" in text


def test_a_view_of_one_class_is_told_and_not_drawn(page: str) -> None:
    _, text = read(page)
    assert re.search(r"view LL: \d+ normal and 0 pneumonia films\. With one class only", text)


def test_what_is_missing_is_told(page: str, summary: Summary) -> None:
    _, text = read(page)
    for remark in summary.ensembles[0].remarks:
        assert " ".join(remark.split()) in text
    assert "Training time" not in text


@pytest.mark.parametrize(
    ("members", "told"),
    [
        (
            ("vgg16", "cnn"),
            "1 of 1 members took less time in all than the CNN; by the image 1 of 1",
        ),
        (("vgg16",), "Here no CNN was trained with this run"),
    ],
)
def test_training_is_told_of_a_run(members: tuple[str, ...], told: str, summary: Summary) -> None:
    reader, text = read(render(trained(summary, members)))
    assert "Training time" in text
    assert told in text
    titles = [picture["alt"] for picture in reader.pictures]
    assert {"accuracy over the epochs", "loss over the epochs"} <= set(titles)


def test_two_ensembles_have_chapters_of_their_own(summary: Summary) -> None:
    one = summary.ensembles[0]
    other = msgspec.structs.replace(one, kind="run", title="ours", precision="float32")
    page = render(msgspec.structs.replace(summary, ensembles=[other, one]))
    _, text = read(page)
    assert "run ours (float32): In short" in text
    assert f"bundle {one.title} (int8): In short" in text
    anchors = re.findall(r'<section id="([^"]+)"', page)
    assert len(set(anchors)) == len(anchors)


def test_a_fusion_that_a_coin_could_match_elsewhere_is_called_so(summary: Summary) -> None:
    one = summary.ensembles[0]
    details = [
        msgspec.structs.replace(
            row, auc=msgspec.structs.replace(row.auc, low=0.48 if row.split == "elsewhere" else 0.9)
        )
        for row in one.details
    ]
    changed = msgspec.structs.replace(one, details=details)
    _, text = read(render(msgspec.structs.replace(summary, ensembles=[changed])))
    assert "not shown to be better than a coin" in text
