from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pneumo_edge.errors import DatasetError
from train.attributes import AGES, UNKNOWN, age_band, read_attributes
from train.dataset import Film, list_films


def films(*ids: str) -> list[Film]:
    made = []
    for name in ids:
        label, _, stem = name.partition("/")
        made.append(Film(Path(stem), int(label == "pneumonia"), f"file:{name}", stem))
    return made


HERE = films("normal/a.jpg", "normal/b.jpg", "pneumonia/a.jpg")


def table(folder: Path, *lines: str) -> Path:
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return folder


def test_each_film_has_the_values_of_its_row(tmp_path: Path) -> None:
    table(
        tmp_path,
        "view,file,patient_id,age_years,sex,label",
        "AP,PNEUMONIA/a.jpg,7,61,F,PNEUMONIA",
        "PA,NORMAL/a.jpg,9,18,,NORMAL",
    )
    read = read_attributes(tmp_path, HERE)
    assert read is not None
    assert [read.patient(film) for film in HERE] == ["9", None, "7"]
    groups = {name: values.tolist() for name, values in read.groups(HERE).items()}
    assert groups == {
        "view": ["PA", UNKNOWN, "AP"],
        "sex": [UNKNOWN, UNKNOWN, "F"],
        "age": ["18 to 39", UNKNOWN, "60 and older"],
    }
    assert read.remarks(HERE) == ["labels.csv does not name 1 of 3 films"]


def test_a_column_that_is_missing_is_told(tmp_path: Path) -> None:
    lines = ("NORMAL/a.jpg,F,30", "NORMAL/b.jpg,F,30", "PNEUMONIA/a.jpg,M,50")
    read = read_attributes(table(tmp_path, "file,sex,age_years", *lines), HERE)
    assert read is not None
    assert set(read.groups(HERE)) == {"sex", "age"}
    assert read.remarks(HERE) == ["labels.csv has no column view: no figures by view"]


def test_a_folder_without_a_table_has_no_attributes(tmp_path: Path) -> None:
    assert read_attributes(tmp_path, HERE) is None


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("path,view", "NORMAL/a.jpg,AP"), "has no column file, but path, view"),
        (("",), "has no column file, but none at all"),
        (("file,label", "NORMAL/a.jpg,PNEUMONIA"), "says pneumonia of normal/a.jpg"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(
    lines: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=told):
        read_attributes(table(tmp_path, *lines), HERE)


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"file,view\nNORMAL/\xe4.jpg,AP\n")
    with pytest.raises(DatasetError, match=r"labels\.csv cannot be read: .*UTF-8"):
        read_attributes(tmp_path, HERE)


@given(st.floats(0, 199.9))
def test_every_age_has_its_band(age: float) -> None:
    ends = [0, *(end for end, _ in AGES)]
    index = [name for _, name in AGES].index(age_band(str(age)))
    assert ends[index] <= age < ends[index + 1]


@pytest.mark.parametrize("said", ["", "058Y", "-1", "nan", "411"])
def test_what_is_no_age_is_unknown(said: str) -> None:
    assert age_band(said) == UNKNOWN


def test_the_table_of_the_films_from_elsewhere_fits_them(shared_data: Path) -> None:
    folder = shared_data / "external" / "nih_adult"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    found = list_films(folder)
    read = read_attributes(folder, found)
    assert read is not None
    assert read.remarks(found) == []
    assert set(read.groups(found)["view"].tolist()) == {"AP", "PA"}
    assert all(film.name.startswith(str(read.patient(film)).zfill(8)) for film in found)
