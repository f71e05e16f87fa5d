"""Do heat maps show what moves the ensemble? `pneumo-edge bench saliency`: the literature's sanity checks."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks import occlusion, random_head
from benchmarks.pages import PageOption, put
from benchmarks.results import save
from benchmarks.saliency_results import SCHEMA, Areas, Curve, Randomised, Saliency, Tenth, lines
from pneumo_edge import plan
from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.engines import choose
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import PneumoEdgeError
from pneumo_edge.framing import framed, read_template
from pneumo_edge.heatmap import HeatMap, fuse
from pneumo_edge.manifest import Measure
from pneumo_edge.threads import available
from pneumo_edge.types import InputTensor
from train.dataset import Dataset, kermany_folder, list_films, load
from train.metrics import RESAMPLES, Scored, measure, patient_resamples

SEED = 20
HEADS = 5
"""Shuffled heads for each depth."""

RANDOMISED_FILMS = 100
"""At most so many films are shown to shuffled heads."""

SAY_EVERY_S = 15.0


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """What occlusion did to the films."""

    y: NDArray[np.float64]
    """(films, 2, orders, shares); see `occlusion.curves`."""
    heats: list[HeatMap]


def trace(ensemble: Ensemble, films: Dataset, threshold: float) -> Traced:
    """Score every film with more and more of it taken away or given back.

    Args:
        ensemble: With maps.
        films: At least one.
        threshold: Pneumonia is above.
    """
    began = said = time.monotonic()

    def one(index: int) -> tuple[NDArray[np.float64], HeatMap]:
        pixels = films.tensors[index].reshape(1, *films.tensors[index].shape[:2], 1)
        votes = ensemble.score(InputTensor(pixels))
        heat = fuse(votes.members, ensemble.bundle.manifest, votes.frame)
        rng = np.random.default_rng((SEED, index))
        given = occlusion.orders(heat, votes.y > threshold, rng)
        return occlusion.curves(pixels[0, :, :, 0], given, lambda t: ensemble.score(t).y), heat

    rows: list[NDArray[np.float64]] = []
    heats: list[HeatMap] = []
    with ThreadPoolExecutor(min(plan.LANES, available())) as pool:
        for y, heat in pool.map(one, range(len(films))):
            rows.append(y)
            heats.append(heat)
            if time.monotonic() - said > SAY_EVERY_S:
                said = time.monotonic()
                left = (said - began) / len(rows) * (len(films) - len(rows))
                _say(f"film {len(rows)} of {len(films)}, about {left:.0f} s to go")
    return Traced(np.stack(rows), heats)


def shuffle(bundle: Bundle, films: Dataset, threads: int) -> list[Randomised]:
    """Hold the films' maps against those of heads whose weights are shuffled, and against other films' maps."""
    engine, manifest = choose("cpu"), bundle.manifest
    backbones = {
        m.name: engine.backbone(bundle.model(m.file), m.name, threads) for m in manifest.members
    }
    chosen = np.linspace(0, len(films) - 1, min(len(films), RANDOMISED_FILMS)).round().astype(int)
    template = read_template(bundle)
    seen = [framed(template, InputTensor(films.tensors[i][None]))[0] for i in chosen]
    pixels = [one.signed for one in seen]
    features = [{name: b.features(one) for name, b in backbones.items()} for one in pixels]
    data = bundle.content(manifest.head)
    learnt = random_head.maps(engine.head(data, "head"), features, manifest)
    found = [_alike("none, another film", learnt, [*learnt[1:], learnt[0]])]
    for depth in random_head.DEPTHS:
        mine: list[NDArray[np.float32]] = []
        theirs: list[NDArray[np.float32]] = []
        for seed in range(HEADS):
            head = engine.head(random_head.randomised(data, depth, seed), "shuffled head")
            theirs += random_head.maps(head, features, manifest)
            mine += learnt
            _say(f"shuffled {depth}, {seed + 1} of {HEADS}")
        found.append(_alike(depth, mine, theirs))
    return found


def _alike(
    shuffled: str, maps: Sequence[NDArray[np.float32]], others: Sequence[NDArray[np.float32]]
) -> Randomised:
    pairs = list(zip(maps, others, strict=True))
    ranks = [random_head.spearman(a, b) for a, b in pairs]
    sizes = [random_head.spearman(np.abs(a), np.abs(b)) for a, b in pairs]
    like = [random_head.ssim(a, b) for a, b in pairs]
    return Randomised(
        shuffled=shuffled,
        pairs=len(pairs),
        spearman=round(float(np.mean(ranks)), 4),
        spearman_quartiles=[round(float(q), 4) for q in np.percentile(ranks, (25, 75))],
        spearman_of_magnitudes=round(float(np.mean(sizes)), 4),
        ssim=round(float(np.mean(like)), 4),
    )


def summarise(
    traced: Traced, films: Dataset, threshold: float
) -> tuple[list[Tenth], list[Areas], list[Curve]]:
    """What it comes to, with 95 % intervals by bootstrap of whole patients."""
    y = traced.y
    whole = y[:, 0, 0, 0]
    said = whole > threshold
    scored = Scored(whole, films.labels, films.patients)
    weights = patient_resamples(scored, RESAMPLES, SEED)
    moved = np.abs(y[:, 0, :, occlusion.TENTH] - whole[:, None])
    v = np.where(said[:, None, None, None], y, 1 - y)
    areas = occlusion.area(v)
    right = said == (films.labels == 1)
    groups = {
        "all": np.ones(len(y), bool),
        "true positives": said & right,
        "false positives": said & ~right,
        "true negatives": ~said & right,
        "false negatives": ~said & ~right,
    }
    tenths = [
        _tenth(name, moved[rows], weights[:, rows]) for name, rows in groups.items() if rows.any()
    ]
    at = {name: place for place, name in enumerate(occlusion.ORDERS)}
    rows = [
        Areas(
            curve=curve,
            order=name,
            area=_mean(areas[:, way, at[name]], weights),
            less_random=_mean(areas[:, way, at[name]] - areas[:, way, at["random"]], weights),
        )
        for way, curve in enumerate(("deletion", "insertion"))
        for name in occlusion.ORDERS
    ]
    drawn = [
        Curve(curve, name, [round(float(x), 5) for x in v[:, way, at[name]].mean(0)])
        for way, curve in enumerate(("deletion", "insertion"))
        for name in occlusion.ORDERS
    ]
    return tenths, rows, drawn


def _tenth(group: str, moved: NDArray[np.float64], weights: NDArray[np.float64]) -> Tenth:
    hottest, random, centre = moved.T
    return Tenth(
        group=group,
        films=len(moved),
        hottest=round(float(hottest.mean()), 4),
        random=round(float(random.mean()), 4),
        centre=round(float(centre.mean()), 4),
        difference=_mean(hottest - random, weights),
        more_often=_mean((hottest > random).astype(np.float64), weights),
    )


def _mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> Measure:
    total = weights.sum(1)
    draws = (weights @ values)[total > 0] / total[total > 0]
    return measure(np.array([values.mean()]), draws)


def _films(folder: Path, limit: int | None) -> Dataset:
    place = folder / "test" if (folder / "test").is_dir() else folder
    films = list_films(place)
    if limit is not None and limit < len(films):
        films = tuple(films[i] for i in np.linspace(0, len(films) - 1, limit).round().astype(int))
    dataset = load(films)
    if len(set(dataset.labels.tolist())) < 2:
        raise PneumoEdgeError(f"{place} has films of one class only", "name films of both classes")
    return dataset


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def command(
    data: Annotated[
        Path | None, typer.Option(help="Films by class. Default: the Kermany test split.")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Default: the one that ships.")] = None,
    films: Annotated[
        int | None, typer.Option(min=4, help="Evenly chosen from them. Default: all.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the JSON here.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots here.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write the curves as a PNG here.")] = None,
    page: PageOption = None,
) -> None:
    """Hold heat maps against shuffled heads and against taking the film away; the last line is JSON."""
    for path in (json_file, html, png):
        if path is not None and not path.absolute().parent.is_dir():
            raise PneumoEdgeError(f"there is no folder {path.parent}", "make it first")
    if html is not None or png is not None:
        import matplotlib as _  # noqa: F401, ICN001  # absent: the console script names the extra
    loaded = load_bundle(bundle)
    threads = max(1, available() // plan.LANES)
    ensemble = Ensemble(loaded, choose("cpu"), threads, explains=True)
    chosen = _films(kermany_folder(data), films)
    threshold = loaded.threshold("paper")
    randomised = shuffle(loaded, chosen, available())
    tenths, areas, drawn = summarise(trace(ensemble, chosen, threshold), chosen, threshold)
    found = Saliency(
        schema=SCHEMA,
        bundle=loaded.id,
        films=len(chosen),
        threshold=threshold,
        blur=occlusion.BLUR,
        shares=list(occlusion.SHARES),
        randomised=randomised,
        tenths=tenths,
        areas=areas,
        curves=drawn,
    )
    print("\n".join(lines(found)))
    if page is not None:
        put(page, "bench saliency", list(lines(found)))
    if json_file is not None:
        save(msgspec.json.format(msgspec.json.encode(found)) + b"\n", json_file)
    if html is not None or png is not None:
        from benchmarks import saliency_page

        if html is not None:
            save(saliency_page.render(found).encode(), html)
        if png is not None:
            save(saliency_page.png(found), png)
    print(json.dumps(msgspec.to_builtins(found)))
