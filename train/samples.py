"""The sample radiographs: drawn from a model of each class, so that they are nobody's."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from pneumo_edge.errors import BadRadiographError, PneumoEdgeError
from pneumo_edge.types import Label

if TYPE_CHECKING:
    from train.novelty import Novelty, RealFilms

LABELS: tuple[Label, Label] = ("normal", "pneumonia")
SEED = 20
DEFAULT_OUT = Path(__file__).parents[1] / "pneumo_edge" / "samples"

Choose = Callable[[Label, Sequence[NDArray[np.uint8]]], int]
"""Which of several candidates of a class to keep, as an index; candidates are (side, side)."""

README = """\
# Sample radiographs

{names}: {side} x {side} pixels, 8-bit grey. **They are nobody's.** No one was X-rayed for them: each was
drawn from a principal-component model of the training films of its class ({films} films at most, {components}
components; Gaussian scores, shrunk to {shrink}; enlarged, film grain added), so it shows what films of the class
have in common, a little blurred. They show that an installation works and what a finding looks like. They say
nothing about how well the ensemble does: the model card does.

Made from the training split of Kermany et al. 2018 (Mendeley Data, doi:10.17632/rscbjbr9sj, CC BY 4.0) by

```sh
pneumo-edge train samples {arguments}
```

which also compared each with every film of that split. Likeness is the correlation of two films at 64 x 64 pixels
after the mean film is taken from both; 1 is the same film.

| film | likeness to the most similar training film |
| --- | --- |
{drawn}
| a training film, to another patient's: median | {others_median:.2f} |
| a training film, to another patient's: 95th percentile | {others_high:.2f} |

The command refuses to write a sample that does not stay below the last row.
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """How samples are drawn."""

    films: int = 1200
    """Training films of each class that the model is fitted to, at most; a seeded choice."""

    components: int = 120
    """Principal components."""

    shrink: float = 1.0
    """Factor on the standard deviation of each component's score; see `train.appearance.draw`."""

    side: int = 512
    """Rows and columns, in pixels."""

    candidates: int = 1
    """Drawn for each class, to choose one from."""

    seed: int = SEED

    def __post_init__(self) -> None:
        if self.side < 150 or self.candidates < 1 or self.films < 3 or not 0 <= self.shrink <= 1.5:
            raise PneumoEdgeError(
                f"cannot draw samples with {self}",
                "ask for a side of 150 or more, a candidate or more, 3 films or more, and a shrink of 0 to 1.5",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One drawn radiograph."""

    label: Label
    pixels: NDArray[np.uint8]
    """(side, side)."""
    novelty: Novelty


def first(_label: Label, _candidates: Sequence[NDArray[np.uint8]]) -> int:
    """Keep the first candidate, whatever it is."""
    return 0


def surest(bundle: Path | None) -> Choose:
    """Keep the candidate whose fused score lies farthest on its own class's side, of those that the gate accepts.

    Args:
        bundle: A bundle folder; None for the one that ships.

    Raises:
        BundleError: the bundle cannot be loaded.
    """
    from pneumo_edge import threads as cores
    from pneumo_edge.bundle import load_bundle
    from pneumo_edge.engines import choose
    from pneumo_edge.ensemble import Ensemble
    from pneumo_edge.gate.verdict import Gate
    from pneumo_edge.screening import Screener
    from pneumo_edge.sources import Source

    loaded = load_bundle(bundle)
    gate = Gate.of(loaded)
    ensemble = Ensemble(loaded, choose("auto"), cores.available(), watched=gate.member)
    screener = Screener(ensemble, "paper", gate=gate)

    def rank(label: Label, path: Path) -> tuple[bool, float]:
        try:
            finding = screener.screen(Source(str(path)))
        except BadRadiographError:
            return False, -np.inf
        assert finding.y is not None  # no early exit was asked for
        accepted = finding.gate is not None and finding.gate.verdict == "accept"
        return accepted, finding.y if label == "pneumonia" else -finding.y

    def pick(label: Label, candidates: Sequence[NDArray[np.uint8]]) -> int:
        ranks = []
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "candidate.png"
            for pixels in candidates:
                path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
                ranks.append(rank(label, path))
        best = max(range(len(ranks)), key=lambda k: ranks[k])
        if ranks[best][1] == -np.inf:
            raise PneumoEdgeError(
                f"the gate refuses all {len(ranks)} candidates of {label}", "ask for more of them"
            )
        return best

    return pick


def make_samples(data: Path, settings: Settings, choose: Choose = first) -> tuple[Sample, Sample]:
    """Draw one radiograph of each class.

    Args:
        data: Holds train/ with a folder per class.
        settings: The same settings and films give the same samples.
        choose: Called once for each class.

    Raises:
        DatasetError: the data cannot be read, or holds fewer films than components.
        PneumoEdgeError: a drawn film is too like a real one.
    """
    from train.appearance import read_grey
    from train.dataset import training_films
    from train.novelty import RealFilms

    films = training_films(data)
    grey = read_grey([film.path for film in films])
    real = RealFilms(grey, [film.patient for film in films])
    labels = np.array([film.label for film in films])
    drawn = [_draw_one(grey[labels == k], k, settings, choose, real) for k in (0, 1)]
    return drawn[0], drawn[1]


def _draw_one(
    films: NDArray[np.float32], label: int, settings: Settings, choose: Choose, real: RealFilms
) -> Sample:
    """Fit the model of one class, draw, choose and check."""
    from train import appearance

    rng = np.random.default_rng((settings.seed, label))
    rows = np.sort(rng.permutation(len(films))[: settings.films])
    model = appearance.fit(films[rows], settings.components, settings.seed)
    candidates = [
        appearance.develop(appearance.draw(model, settings.shrink, rng), settings.side, rng)
        for _ in range(settings.candidates)
    ]
    pixels = candidates[choose(LABELS[label], candidates)]
    novelty = real.novelty(pixels)
    if not novelty.is_nobodys:
        raise PneumoEdgeError(
            f"the {LABELS[label]} sample has likeness {novelty.nearest:.2f} to a training film, "
            f"not below {novelty.others_high:.2f}",
            "draw with another --seed or fewer --components",
        )
    return Sample(LABELS[label], pixels, novelty)


def write_samples(
    samples: Sequence[Sample], out: Path, settings: Settings, arguments: str
) -> list[Path]:
    """Write one PNG a sample, without metadata, and the README that says what they are.

    Args:
        samples: At least one.
        out: Made if it is not there; files of the same names are replaced.
        settings: As the samples were drawn.
        arguments: Of the command, as the README quotes it.
    """
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"{sample.label}.png" for sample in samples]
    for sample, path in zip(samples, paths, strict=True):
        ok, png = cv2.imencode(".png", sample.pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        if not ok:
            raise PneumoEdgeError(
                f"{path} could not be encoded", "report this with the OpenCV version"
            )
        path.write_bytes(png.tobytes())
    real = samples[0].novelty
    text = README.format(
        names=" and ".join(f"`{path.name}`" for path in paths),
        side=settings.side,
        films=settings.films,
        components=settings.components,
        shrink=settings.shrink,
        arguments=arguments,
        drawn="\n".join(f"| `{s.label}.png` | {s.novelty.nearest:.2f} |" for s in samples),
        others_median=real.others_median,
        others_high=real.others_high,
    )
    (out / "README.md").write_text(text, encoding="utf-8")
    return paths


def command(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder with train/. Default: $PNEUMO_EDGE_DATA/kermany, or ../shared/data/kermany."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the PNGs and their README go.")] = DEFAULT_OUT,
    seed: Annotated[int, typer.Option(help="The same seed draws the same films.")] = SEED,
    candidates: Annotated[
        int,
        typer.Option(help="Drawn for each class; the ensemble keeps the one that it is surest of."),
    ] = 1,
    bundle: Annotated[
        Path | None,
        typer.Option(help="Whose ensemble chooses among candidates. Default: the one that ships."),
    ] = None,
) -> None:
    """Draw the sample radiographs, one of each class, from a model of the training films."""
    from train.dataset import kermany_folder

    settings = Settings(seed=seed, candidates=candidates)
    choose = surest(bundle) if candidates > 1 else first
    samples = make_samples(kermany_folder(data), settings, choose)
    arguments = f"--seed {seed} --candidates {candidates}"
    for sample, path in zip(samples, write_samples(samples, out, settings, arguments), strict=True):
        typer.echo(
            f"{path}: likeness to the nearest training film {sample.novelty.nearest:.2f}; "
            f"of two patients' films {sample.novelty.others_median:.2f} (median)"
        )
