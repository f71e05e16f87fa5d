"""The console script: every kind of output, every bad input, exit codes."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pneumo_edge.bundle import load_bundle

Cli = Callable[..., Any]
COMMAND = [sys.executable, "-c", "from pneumo_edge.cli import main; main()"]


@pytest.fixture(scope="session")
def schema(root: Path) -> jsonschema.Draft202012Validator:
    text = (root / "docs" / "finding.schema.json").read_text(encoding="utf-8")
    jsonschema.Draft202012Validator.check_schema(json.loads(text))
    return jsonschema.Draft202012Validator(json.loads(text))


def test_one_image_gives_one_valid_object(
    cli: Cli, film: Path, schema: jsonschema.Draft202012Validator
) -> None:
    ran = cli("infer", film, "--json")
    found = json.loads(ran.out)
    schema.validate(found)
    bundle = load_bundle()
    assert (ran.code, ran.err) == (0, "")
    assert (found["file"], found["bundle"], found["error"]) == (str(film), bundle.id, None)
    assert [m["name"] for m in found["members"]] == bundle.manifest.evaluation_order
    votes = {m["name"]: m["probability"] for m in found["members"]}
    y = sum(m.weight * votes[m.name] for m in bundle.manifest.members) + bundle.manifest.bias
    assert found["y"] == pytest.approx(y, abs=1e-4)
    assert found["label"] == ("pneumonia" if found["y"] > found["threshold"] else "normal")
    ms = found["ms"]
    assert ms["total"] == pytest.approx(ms["decode"] + ms["prepare"] + ms["infer"], abs=0.01)


def test_the_operating_point_sets_the_threshold(cli: Cli, film: Path) -> None:
    points = load_bundle().manifest.operating_points
    for name, threshold in points.items():
        found = json.loads(cli("infer", film, "--json", "--operating-point", name).out)
        assert (found["operating_point"], found["threshold"]) == (name, threshold)


def test_early_exit_gives_an_interval_and_the_same_label(
    cli: Cli, film: Path, schema: jsonschema.Draft202012Validator
) -> None:
    whole = json.loads(cli("infer", film, "--json").out)
    ran = cli("infer", film, "--json", "--early-exit")
    found = json.loads(ran.out)
    schema.validate(found)
    assert (ran.code, found["label"]) == (0, whole["label"])
    if found["interval"] is None:
        assert found["y"] == whole["y"]
    else:
        assert found["interval"]["low"] <= whole["y"] <= found["interval"]["high"]
        assert len(found["members"]) < len(whole["members"])


def test_overlays_of_a_folder_are_named_in_the_output(
    cli: Cli, folder: Path, schema: jsonschema.Draft202012Validator, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "overlays"
    plain = json.loads(cli("infer", folder, "--json").out)
    ran = cli("infer", folder, "--json", "--overlay", out, "--overlay-opacity", "0.4")
    found = json.loads(ran.out)
    check_folder(found, schema)
    assert ran.code == 1
    assert [one["y"] for one in found] == [one["y"] for one in plain]
    assert [one["overlay"] for one in plain] == [None] * 5
    named = [one["overlay"] for one in found if one["error"] is None]
    assert sorted(map(str, out.iterdir())) == sorted(named)
    assert len(named) == 2
    for file in named:
        picture = cv2.imread(file, cv2.IMREAD_UNCHANGED)
        assert picture is not None
        assert picture.shape[1:] == (480, 3), "twice the film's 240 columns"


def test_an_overlay_is_drawn_by_every_engine_and_after_an_early_exit(
    cli: Cli, film: Path, tmp_path: Path
) -> None:
    for number, options in enumerate((["--engine", "openvino"], ["--early-exit"], ["--sandbox"])):
        if "openvino" in options and importlib.util.find_spec("openvino") is None:
            continue
        out = tmp_path / str(number)
        ran = cli("infer", film, "--json", "--overlay", out, *options)
        assert ran.code == 0, ran.err
        (overlay,) = out.iterdir()
        assert json.loads(ran.out)["overlay"] == str(overlay)


def test_overlays_that_cannot_be_written_are_one_line(cli: Cli, film: Path, folder: Path) -> None:
    for out, says in ((film / "below", "cannot write to"), (folder / "out", "taken for films")):
        ran = cli("infer", folder, "--overlay", out)
        assert (ran.code, ran.out) == (1, "")
        assert len(ran.err.splitlines()) == 1
        assert says in ran.err


@pytest.mark.parametrize(
    "options",
    [
        ["--overlay-opacity", "0.5"],
        ["--overlay-positive"],
        ["--overlay", "x", "--overlay-opacity", "2"],
    ],
)
def test_options_of_overlays_without_sense_are_usage_errors(
    cli: Cli, film: Path, options: list[str]
) -> None:
    assert cli("infer", film, *options).code == 2


def test_threads_do_not_change_the_answer(cli: Cli, film: Path) -> None:
    one = json.loads(cli("infer", film, "--json", "--threads", "1").out)
    many = json.loads(cli("infer", film, "--json").out)
    assert one["y"] == many["y"]


@pytest.fixture
def folder(film: Path, tmp_path: Path) -> Path:
    """Two films, one of them under an awkward name, and three files that are none."""
    place = tmp_path / "films of Jürgen"
    place.mkdir()
    shutil.copy(film, place / "a film.png")
    shutil.copy(film, place / "z ü.png")
    (place / "b.png").write_text("not an image")
    (place / "c.jpg").touch()
    (place / "d.png").symlink_to(tmp_path / "nowhere")
    return place


def check_folder(found: list[dict[str, Any]], schema: jsonschema.Draft202012Validator) -> None:
    for one in found:
        schema.validate(one)
    assert [Path(one["file"]).name for one in found] == [
        *("a film.png", "b.png", "c.jpg", "d.png", "z ü.png")
    ]
    assert [one["error"] is None for one in found] == [True, False, False, False, True]


def test_json_of_a_folder_is_an_array_and_the_batch_goes_on(
    cli: Cli, folder: Path, schema: jsonschema.Draft202012Validator
) -> None:
    ran = cli("infer", folder, "--json")
    assert ran.code == 1
    check_folder(json.loads(ran.out), schema)


def test_jsonl_is_one_object_a_line_and_csv_the_same_beside_it(
    cli: Cli, folder: Path, schema: jsonschema.Draft202012Validator, tmp_path: Path
) -> None:
    ran = cli("infer", folder, "--jsonl", "--csv", tmp_path / "out.csv")
    found = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 1
    check_folder(found, schema)
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["file"] for row in rows] == [one["file"] for one in found]
    assert float(rows[0]["y"]) == found[0]["y"]
    for member in found[0]["members"]:
        assert float(rows[0][f"{member['name']}_probability"]) == member["probability"]
    assert rows[1]["error_what"] == found[1]["error"]["what"]
    assert not rows[1]["y"]


def test_csv_can_take_standard_output(cli: Cli, film: Path) -> None:
    ran = cli("infer", film, "--csv", "-")
    (row,) = csv.DictReader(io.StringIO(ran.out))
    assert row["file"] == str(film)
    assert row["label"] in {"normal", "pneumonia"}


def test_a_person_reads_the_verdict_and_every_vote(cli: Cli, film: Path) -> None:
    ran = cli("infer", film)
    assert ran.code == 0
    assert re.search(
        r"(NORMAL|PNEUMONIA|INDETERMINATE) +y = -?\d\.\d{3}, (not )?above the threshold", ran.out
    )
    for member in load_bundle().manifest.members:
        assert re.search(rf"{member.name} .* \d\.\d{{3}}", ran.out)
    assert ran.out.count("not a medical device") == 1
    assert "\x1b" not in ran.out, "colour in a pipe"


def test_a_person_reads_a_line_an_image_and_a_summary(cli: Cli, folder: Path) -> None:
    ran = cli("infer", folder)
    lines = r"^(?:NORMAL|PNEUMONIA|INDETERMINATE) .*(?:a film|z ü)\.png$"
    assert len(re.findall(lines, ran.out, re.MULTILINE)) == 2
    assert "5 images: " in ran.out
    assert "3 refused" in ran.out
    assert ran.out.count("not a medical device") == 1
    assert len(ran.err.splitlines()) == 3


def png_of_zeros(side: int) -> bytes:
    """Zeros compress a thousandfold: 30,000 x 30,000 of them fit into a megabyte."""
    deflate = zlib.compressobj(1)
    row = bytes(side + 1)
    body = b"".join(deflate.compress(row) for _ in range(side)) + deflate.flush()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", body), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def animated(path: Path) -> None:
    films = [Image.fromarray(np.full((90, 100), level, np.uint8)) for level in (0, 200)]
    films[0].save(path, "GIF", save_all=True, append_images=films[1:])


def truncated(path: Path) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (180, 240)).astype(np.uint8)
    path.write_bytes(cv2.imencode(".jpg", noise)[1].tobytes()[:3000])


BAD: dict[str, Callable[[Path], object]] = {
    "missing file": lambda path: path.unlink(missing_ok=True),
    "empty file": lambda path: path.touch(),
    "folder without images": lambda path: path.mkdir(),
    "text": lambda path: path.write_text("dear doctor"),
    "truncated jpeg": truncated,
    "1 x 1": lambda path: cv2.imwrite(str(path), np.zeros((1, 1), np.uint8)),
    "1 x 100000": lambda path: cv2.imwrite(str(path), np.zeros((100_000, 1), np.uint8)),
    "30,000 x 30,000": lambda path: path.write_bytes(png_of_zeros(30_000)),
    "animated gif": animated,
    "broken symlink": lambda path: path.symlink_to(path.with_name("nowhere")),
    "link to itself": lambda path: path.symlink_to(path),
    "dicom": lambda path: path.write_bytes(bytes(128) + b"DICM" + bytes(100)),
}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing file", "does not exist"),
        ("empty file", "is empty (0 bytes)"),
        ("folder without images", "holds no image"),
        ("text", "is text, not a radiograph"),
        ("truncated jpeg", "is truncated"),
        ("1 x 1", "1 x 1 pixels"),
        ("1 x 100000", "1 x 100000 pixels"),
        ("30,000 x 30,000", "30000 x 30000 pixels, above the limit of 50 million"),
        ("animated gif", "an animated GIF of 2 frames"),
        ("broken symlink", "does not exist"),
        ("link to itself", "cannot be read"),
        ("dicom", "DICOM"),
    ],
)
def test_bad_input_is_one_line_with_a_remedy(
    cli: Cli, name: str, says: str, tmp_path: Path
) -> None:
    path = tmp_path / f"{name}.png"
    BAD[name](path)
    ran = cli("infer", path)
    assert (ran.code, ran.out) == (1, "")
    (line,) = ran.err.splitlines()
    assert line.startswith("error: ")
    assert str(path) in line
    assert says in line
    assert "; to fix it, " in line


def good_file(name: str, folder: Path, grey: NDArray[np.uint8]) -> Path:
    """Make the unusual, readable input of that name."""
    path = folder / f"{name}.png"
    if name == "16 bit":
        cv2.imwrite(str(path), grey.astype(np.uint16) * 257)
    elif name == "cmyk jpeg":
        cmyk = np.dstack([255 - grey] * 3 + [np.zeros_like(grey)])
        Image.fromarray(cmyk, "CMYK").save(path, "JPEG")
    elif name == "palette with alpha":
        image = Image.fromarray(grey, "P")
        image.putpalette([level for level in range(256) for _ in range(3)])
        image.save(path, transparency=bytes([255] * 200 + [128] * 56))
    else:
        path = folder / "Röntgen – Müller, Jürgen (2).png"
        path.write_bytes(cv2.imencode(".png", grey)[1].tobytes())
    return path


@pytest.mark.parametrize("name", ["16 bit", "cmyk jpeg", "palette with alpha", "spaces, umlauts"])
def test_unusual_input_gets_a_finding(
    cli: Cli, name: str, tmp_path: Path, grey: NDArray[np.uint8]
) -> None:
    path = good_file(name, tmp_path, grey)
    ran = cli("infer", path, "--json", "--no-gate")  # a film in pieces of its palette is none
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out)["file"] == str(path)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may read anything; become nobody for a moment."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are not Unix's")
def test_no_permission_is_one_line_with_a_remedy(cli: Cli, film: Path) -> None:
    cli("infer", film.with_name("missing.png"))  # what nobody may not import is imported now
    film.chmod(0)
    with unprivileged():
        ran = cli("infer", film)
    (line,) = ran.err.splitlines()
    assert ran.code == 1
    assert f"{film} may not be read by this user; to fix it, grant it" in line


def test_a_name_cannot_forge_lines_or_colours(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "a\nPNEUMONIA \x1b[31m.png"
    path.write_text("text")
    (line,) = cli("infer", path).err.splitlines()
    assert "\\nPNEUMONIA \\x1b[31m.png is text" in line


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes only there")
def test_a_name_that_is_no_utf8_gives_valid_json(
    cli: Cli, tmp_path: Path, schema: jsonschema.Draft202012Validator
) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.png"
    Path(os.fsdecode(path)).write_text("text")
    ran = cli("infer", os.fsdecode(path), "--json")
    schema.validate(json.loads(ran.out))
    assert json.loads(ran.out)["file"].endswith("\\udcff.png")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--threads", "0"], 2, "not in the range 1 to"),
        (["--threads", "100000"], 2, "not in the range 1 to"),
        (["--engine", "abacus"], 2, "abacus"),
        (["--operating-point", "lucky"], 2, "lucky"),
        (["--json", "--jsonl"], 2, "choose one"),
        (["--csv", "/nowhere/at/all.csv"], 1, "cannot write /nowhere/at/all.csv"),
        (["--bundle", "/nowhere"], 1, "there is no bundle at /nowhere"),
    ],
)
def test_a_bad_option_is_refused(
    cli: Cli, film: Path, arguments: list[str], code: int, says: str
) -> None:
    ran = cli("infer", film, *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert says in " ".join(ran.err.replace("│", " ").split())


def test_an_engine_that_is_not_installed_says_how_to_get_it(cli: Cli, film: Path) -> None:
    from pneumo_edge.engines import KINDS

    absent = [kind for kind in KINDS if not kind.installed()]
    if not absent:
        pytest.skip("every engine is installed")
    ran = cli("infer", film, "--engine", absent[0].name)
    assert ran.code == 1
    assert f"to fix it, run: {absent[0].remedy}" in ran.err


def test_version_and_help_answer(cli: Cli) -> None:
    assert re.fullmatch(r"pneumo-edge \d+\.\d+\.\d+\S*\n", cli("--version").out)
    listing = cli("--help").out
    for name in ("infer", "bundle", "doctor", "train", "convert"):
        assert re.search(rf"^\W*{name}\b", listing, re.MULTILINE), f"{name} is not listed"


def test_listing_the_commands_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['pneumo-edge', '--help']\n"
        "from pneumo_edge.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'tensorflow', 'keras', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_standard_input_is_read(film: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "infer", "-", "--json"], input=film.read_bytes(), capture_output=True, check=True
    )
    assert json.loads(done.stdout)["file"] == "-"
    assert done.stderr == b""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are not Unix's")
def test_results_stream_and_an_interrupt_closes_the_array(film: Path, tmp_path: Path) -> None:
    place = tmp_path / "many"
    place.mkdir()
    for number in range(500):
        (place / f"{number:03}.png").symlink_to(film)
    command = [*COMMAND, "infer", str(place), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as running:
        assert running.stdout is not None
        first = running.stdout.readline() + running.stdout.readline()
        assert running.poll() is None, "nothing came before all was done"
        running.send_signal(signal.SIGINT)
        rest, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert b"Traceback" not in errors
    assert 1 <= len(json.loads(first + rest)) < 500


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are not Unix's")
def test_a_reader_that_leaves_gives_no_traceback(film: Path, tmp_path: Path) -> None:
    place = tmp_path / "many"
    place.mkdir()
    for number in range(30):
        (place / f"{number:02}.png").symlink_to(film)
    command = [*COMMAND, "infer", str(place), "--jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        running.stdout.close()
        assert running.stderr is not None
        assert running.stderr.read() == b""
    assert running.returncode == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no resource module")
def test_memory_does_not_grow_with_the_folder(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pneumo_edge.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )

    def peak_kib(files: int) -> int:
        place = tmp_path / str(files)
        place.mkdir()
        for number in range(files):
            (place / f"{number}.png").write_bytes(b"text")
        command = [sys.executable, "-c", code, "infer", str(place), "--jsonl", "--engine", "cpu"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert len(done.stdout.splitlines()) == files
        return int(done.stderr.split()[-1])

    few, many = peak_kib(100), peak_kib(12_000)
    assert many - few < 4 * 1024, f"{(many - few) / 1024:.1f} MiB more for 11,900 more files"


@pytest.mark.skipif(sys.platform == "win32", reason="a shell is not Unix's")
def test_a_closed_standard_input_is_refused() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, "infer", "-"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == b"error: standard input is closed; to fix it, pipe an image into it\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_one_line_with_a_remedy(film: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "infer", str(film), "--jsonl"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("error: the disk is full")
