"""Findings back to where the films came from, as DICOM files in a folder."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from pneumo_edge.decode import read_bytes
from pneumo_edge.dicom import file, is_dicom, study
from pneumo_edge.dicom.capture import annotated, capture, explained
from pneumo_edge.dicom.report import report
from pneumo_edge.errors import BadRadiographError, PneumoEdgeError
from pneumo_edge.overlay import Look
from pneumo_edge.screening import Decoder
from pneumo_edge.types import DicomKind, Finding, Refusal


class Results:
    """Writes what each finding says into the study of its film.

    The files hold who the patient is, as everything in a study does; their names do not.
    """

    def __init__(
        self, folder: Path, kind: DicomKind, decoder: Decoder, look: Look | None = None
    ) -> None:
        """Make the folder.

        Args:
            folder: Is made, with its parents.
            kind: What goes into it.
            decoder: Reads the film again, where a picture without a heat map is asked for.
            look: Of a heat map, which a finding with an explanation gets on its picture.

        Raises:
            PneumoEdgeError: it cannot be made.
        """
        self._folder, self._kind, self._decoder = folder, kind, decoder
        self._look = look or Look()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise PneumoEdgeError(
                f"cannot write to {folder} ({err.strerror})", "name a folder that you may write to"
            ) from None

    def keep(self, outcome: Finding | Refusal) -> Finding | Refusal:
        """Write a finding; what it is passed on as: itself, or why it could not be written.

        Raises:
            PneumoEdgeError: the folder cannot be written to.
        """
        if isinstance(outcome, Refusal):
            return outcome
        try:
            self._write(outcome)
        except BadRadiographError as err:
            return Refusal(outcome.file, err.what, err.remedy)
        return outcome

    def _write(self, finding: Finding) -> None:
        if finding.file == "-":
            what = "standard input cannot be read twice, so no result can be linked to its study"
            raise BadRadiographError(what, "name the file, or leave out --dicom-out")
        data = read_bytes(Path(finding.file))
        if not is_dicom(data[:132]):
            what = f"{finding.file} is no DICOM file, so there is no study that a result belongs to"
            raise BadRadiographError(what, "leave out --dicom-out")
        image = study.read(data, finding.file)
        if self._kind in {"report", "both"}:
            self._save(finding, "SR", lambda: report(image, finding, _now))
        if self._kind in {"picture", "both"}:
            if finding.explanation is None:
                picture = annotated(self._decoder(data, finding.file), finding)
                words = "film with the ensemble's verdict above it"
            else:
                picture = explained(finding.explanation, finding, self._look)
                words = "film with the ensemble's heat map on it and its verdict above it"
            self._save(finding, "SC", lambda: capture(image, picture, words, _now))

    def _save(self, finding: Finding, prefix: str, make: Callable[[], Dataset]) -> None:
        """Under the new object's own identifier, which nobody else's is part of."""
        with file.guarded(finding.file):
            found = make()
            target = self._folder / f"{prefix}-{found.SOPInstanceUID}.dcm"
        try:
            with file.guarded(finding.file), target.open("xb") as stream:
                pydicom.dcmwrite(stream, found, enforce_file_format=True)
        except OSError as err:
            raise PneumoEdgeError(
                f"cannot write {target} ({err.strerror})", "free some space, or name another folder"
            ) from None


def _now() -> datetime:
    return datetime.now().astimezone()
