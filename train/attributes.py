"""What a labels.csv beside the films tells of each: view, sex, age and patient."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.errors import DatasetError
from train.dataset import LABELS, Film

TABLE = "labels.csv"
FILE, LABEL, PATIENT, AGE = "file", "label", "patient_id", "age_years"
GROUPED = ("view", "sex", AGE)
"""Columns by whose values figures are told apart."""

AGES = ((18, "under 18"), (40, "18 to 39"), (60, "40 to 59"), (200, "60 and older"))
"""Each band's upper end in years, itself not in the band, with its name."""

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Attributes:
    """The rows of a labels.csv, by film."""

    rows: dict[str, dict[str, str]]
    """Column to value, by `Film.id`."""

    columns: tuple[str, ...]

    def patient(self, film: Film) -> str | None:
        """The patient that the table names, if it does."""
        return self.rows.get(film.id, {}).get(PATIENT) or None

    def groups(self, films: Sequence[Film]) -> dict[str, NDArray[np.str_]]:
        """For each of the `GROUPED` columns that there is, the value of each film, (n,)."""
        found = {}
        for column in GROUPED:
            if column in self.columns:
                values = [self.rows.get(film.id, {}).get(column, "") for film in films]
                named = [age_band(v) if column == AGE else v or UNKNOWN for v in values]
                found[column.removesuffix("_years")] = np.array(named)
        return found

    def remarks(self, films: Sequence[Film]) -> list[str]:
        """What the table does not tell, as sentences for the reader of the figures."""
        said = [
            f"{TABLE} has no column {column}: no figures by {column.removesuffix('_years')}"
            for column in GROUPED
            if column not in self.columns
        ]
        missing = sum(film.id not in self.rows for film in films)
        if missing:
            said.append(f"{TABLE} does not name {missing} of {len(films)} films")
        return said


def age_band(years: str) -> str:
    """The band of `AGES` that an age in years falls into; anything else is unknown."""
    try:
        age = float(years)
    except ValueError:
        return UNKNOWN
    return next((name for end, name in AGES if 0 <= age < end), UNKNOWN)


def read_attributes(folder: Path, films: Sequence[Film]) -> Attributes | None:
    """Read a folder's labels.csv, or say that there is none.

    Args:
        folder: Holds the class folders and perhaps a `labels.csv`, whose column `file` names a film as
            class folder/name, and whose other columns may be label, patient_id, view, sex and age_years.
        films: Those of the folder.

    Raises:
        DatasetError: it is no such table, or gives a film another label than its folder.
    """
    path = folder / TABLE
    if not path.is_file():
        return None
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            columns = tuple(name for name in table.fieldnames or () if name)
            read = [{k: (row[k] or "").strip() for k in columns} for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise DatasetError(f"{path} cannot be read: {err}", "save it as CSV in UTF-8") from None
    if FILE not in columns:
        raise DatasetError(
            f"{path} has no column {FILE}, but {', '.join(columns) or 'none at all'}",
            "name each film in it, as NORMAL/name.jpg, or remove the table",
        )
    rows = {_id(row[FILE]): row for row in read}
    for film in films:
        said = rows.get(film.id, {}).get(LABEL, "").lower()
        if said and said != LABELS[film.label]:
            raise DatasetError(
                f"{path} says {said} of {film.id}", "correct the table, or move the film"
            )
    return Attributes(rows, columns)


def _id(file: str) -> str:
    """A path of the table as `Film.id` has it: the class in lower case."""
    label, _, name = file.replace("\\", "/").partition("/")
    return f"{label.lower()}/{name}"
