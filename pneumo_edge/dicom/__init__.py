"""DICOM in and out; everything but this file needs the extra `dicom`."""

from __future__ import annotations


def is_dicom(data: bytes) -> bool:
    """Whether bytes start like a DICOM file; 132 of them are enough.

    Files of older systems lack the preamble, and often the file meta group with it: they begin with
    the element (0002,0000) or one of group 0008, in either byte order.

    Source: DICOM PS3.10, 7.1; PS3.5, 7.1.
    """
    if data[128:132] == b"DICM":
        return True
    little = data[:2] in (b"\x02\x00", b"\x08\x00") and data[3:4] == b"\x00"
    big = data[:3] == b"\x00\x08\x00" and data[4:6].isalpha() and data[4:6].isupper()
    return little or big
