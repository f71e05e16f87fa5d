from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pneumo_edge.decode import decode_file
from pneumo_edge.errors import DatasetError
from pneumo_edge.prepare import prepare
from train.dataset import (
    list_films,
    load,
    patient_key,
    training_films,
)


@pytest.mark.parametrize(
    ("name", "alike", "other"),
    [
        ("person1_virus_6.jpeg", "person1_virus_12.jpeg", "person1_bacteria_6.jpeg"),
        ("NORMAL2-IM-0383-0001.jpeg", "NORMAL2-IM-0383-0002.jpeg", "IM-0383-0001.jpeg"),
        ("IM-0115-0001.jpeg", "IM-0115-0002-0001.jpeg", "IM-0116-0001.jpeg"),
        ("person12_virus_1.jpeg", "person12_virus_2.jpeg", "person1_virus_2.jpeg"),
    ],
)
def test_films_of_one_patient_share_a_key_that_no_other_patient_has(
    name: str, alike: str, other: str
) -> None:
    assert patient_key(name) is not None
    assert patient_key(name) == patient_key(alike)
    assert patient_key(name) != patient_key(other)


def test_a_name_of_another_kind_tells_no_patient() -> None:
    assert patient_key("00001280_004.jpg") is None


def test_a_pattern_of_the_users_own_makes_the_key() -> None:
    assert patient_key("00001280_004.jpg", r"(\d+)_") == "00001280"
    assert patient_key("scan7.png", r"scan\d") == "scan7"


def test_a_loaded_set_holds_what_the_runtime_prepares(data: Path) -> None:
    films = training_films(data)
    got = load(films)
    assert len(got) == 32
    assert got.tensors.shape == (32, 150, 150, 1)
    for row in (0, 31):
        expected = prepare(decode_file(films[row].path)).pixels[0]
        assert (got.tensors[row] == expected).all()
    assert Counter(got.labels.tolist()) == {0: 16, 1: 16}
    assert len(set(got.patients.tolist())) == 16
    part = got.subset([3, 1])
    assert part.films == (films[3], films[1])
    assert (part.tensors[1] == got.tensors[1]).all()


def test_progress_is_told_of_every_film(data: Path) -> None:
    steps: list[int] = []
    load(training_films(data)[:5], steps.append)
    assert steps == [1] * 5


def test_class_folders_may_be_named_in_any_case_and_have_folders_inside(
    make_films: Callable[..., Path], tmp_path: Path
) -> None:
    make_films(tmp_path / "a", 2, 1, seed=3)
    (tmp_path / "a/NORMAL").rename(tmp_path / "a/Normal")
    inside = tmp_path / "a/PNEUMONIA/ward 1"
    inside.mkdir()
    (tmp_path / "a/PNEUMONIA/person0_bacteria_0.png").rename(inside / "person0_bacteria_0.png")
    films = list_films(tmp_path / "a")
    assert [f.id for f in films] == [
        "normal/IM-0000-0000.png",
        "normal/IM-0001-0000.png",
        "pneumonia/person1_bacteria_0.png",
        "pneumonia/ward 1/person0_bacteria_0.png",
    ]


def test_what_a_mac_leaves_in_an_archive_is_no_film(
    make_films: Callable[..., Path], tmp_path: Path
) -> None:
    make_films(tmp_path, 2, 1, seed=3)
    (tmp_path / "NORMAL/._IM-0000-0000.png").write_bytes(b"\0\5\x16\7 resource fork")
    (tmp_path / "NORMAL/.DS_Store").write_bytes(b"x")
    (tmp_path / "NORMAL/album.png").mkdir()
    assert len(list_films(tmp_path)) == 4


def test_equal_names_without_a_patient_are_different_patients(
    make_films: Callable[..., Path], tmp_path: Path
) -> None:
    for split, seed in (("train", 4), ("test", 5)):
        make_films(tmp_path / split, 2, 1, seed=seed)
        for folder in (tmp_path / split).iterdir():
            for number, path in enumerate(sorted(folder.iterdir())):
                path.rename(folder / f"{number:03}.png")
    films = training_films(tmp_path)  # 000.png is in both classes, and in train and test
    assert len({f.patient for f in films}) == 4
    shutil.copy(tmp_path / "train/NORMAL/001.png", tmp_path / "test/NORMAL/001.png")
    with pytest.raises(DatasetError, match=r"001\.png\) and in test \(001\.png"):
        training_films(tmp_path)


def test_a_film_that_cannot_be_read_is_skipped_and_named(
    make_films: Callable[..., Path], tmp_path: Path
) -> None:
    make_films(tmp_path, 20, 1, seed=6)
    bad = tmp_path / "NORMAL/IM-0004-0000.png"
    bad.write_bytes(bad.read_bytes()[:200])
    got = load(list_films(tmp_path))
    assert len(got) == 39
    assert [path for path, _ in got.skipped] == [bad]
    assert bad not in {film.path for film in got.films}


def test_many_films_that_cannot_be_read_are_refused(
    make_films: Callable[..., Path], tmp_path: Path
) -> None:
    make_films(tmp_path, 20, 1, seed=6)
    for number in (3, 7):
        (tmp_path / f"NORMAL/IM-{number:04}-0000.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"2 of 40 films cannot be read.*up to 3% are skipped"):
        load(list_films(tmp_path))


def test_one_image_under_two_labels_is_refused_by_both_names(
    make_films: Callable[..., Path], tmp_path: Path
) -> None:
    make_films(tmp_path, 3, 1, seed=7)
    shutil.copy(tmp_path / "NORMAL/IM-0002-0000.png", tmp_path / "PNEUMONIA/person9_virus_1.png")
    with pytest.raises(DatasetError, match=r"IM-0002-0000\.png \(normal\).*person9_virus_1\.png"):
        load(list_films(tmp_path))


def test_a_copy_under_the_same_label_is_kept(
    make_films: Callable[..., Path], tmp_path: Path
) -> None:
    make_films(tmp_path, 3, 1, seed=7)
    shutil.copy(tmp_path / "NORMAL/IM-0002-0000.png", tmp_path / "NORMAL/IM-0002-0001.png")
    assert len(load(list_films(tmp_path))) == 7


def test_a_patient_of_test_is_refused_in_train(
    make_films: Callable[..., Path], tmp_path: Path
) -> None:
    make_films(tmp_path / "train", 3, 1, seed=8)
    make_films(tmp_path / "test", 3, 1, seed=9, first=2)
    with pytest.raises(DatasetError, match=r"patient IM-0002 is in train .* and in test"):
        training_films(tmp_path)


def test_val_is_trained_on_too_unless_it_repeats_a_name(
    make_films: Callable[..., Path], tmp_path: Path
) -> None:
    make_films(tmp_path / "train", 3, 1, seed=8)
    make_films(tmp_path / "val", 2, 1, seed=9, first=3)
    assert len(training_films(tmp_path)) == 10
    make_films(tmp_path / "val", 1, 1, seed=10, first=0)
    with pytest.raises(DatasetError, match=r"normal/IM-0000-0000\.png is in both train and val"):
        training_films(tmp_path)


def test_an_empty_class_is_refused(tmp_path: Path, make_films: Callable[..., Path]) -> None:
    make_films(tmp_path, 2, 1, seed=1)
    shutil.rmtree(tmp_path / "PNEUMONIA")
    with pytest.raises(DatasetError, match="no class folder pneumonia"):
        list_films(tmp_path)
    (tmp_path / "pneumonia").mkdir()
    (tmp_path / "pneumonia/notes.txt").write_text("none today")
    with pytest.raises(DatasetError, match="holds no image"):
        list_films(tmp_path)


def test_a_missing_folder_and_a_bad_pattern_are_named(data: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere is not a folder"):
        list_films(data / "nowhere")
    with pytest.raises(DatasetError, match=r"patient pattern '\('"):
        list_films(data / "train", "(")


def test_the_real_set_has_the_films_and_patients_that_its_notes_count(shared_data: Path) -> None:
    kermany = shared_data / "kermany"
    train = list_films(kermany / "train")
    assert len({film.patient for film in train}) == 3654
    films = training_films(kermany)  # refuses a patient of test
    test = list_films(kermany / "test")
    assert len(films) == 5232
    assert Counter(film.label for film in films) == {0: 1349, 1: 3883}
    assert Counter(film.label for film in test) == {0: 234, 1: 390}
    assert not any(film.patient.startswith("file:") for film in (*films, *test))
    assert not {f.patient for f in films} & {f.patient for f in test}
