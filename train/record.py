"""What a bundle says of where it comes from: data, recipe, members, fusion."""

from __future__ import annotations

from typing import Any

from pneumo_edge.manifest import MEMBER_NAMES
from train.run import History, Run


def training_record(run: Run) -> dict[str, Any]:
    """The part of the manifest's provenance that training can tell.

    Args:
        run: Trained and fused.

    Raises:
        RecipeError: a part of the run is missing.
    """
    recipe, split, fusion = run.recipe(), run.split(), run.fusion()
    members: dict[str, Any] = {}
    for name in MEMBER_NAMES:
        folder = run.model_path(name).parent
        history = run.read(str(folder.relative_to(run.folder) / "history.json"), History)
        members[name] = {
            "init": history.init,
            "trained_without_fold": history.fold,
            "frozen_layers": recipe.members[name].frozen_layers,
            "learning_rate": recipe.members[name].learning_rate,
            "epochs": len(history.epochs),
            "images_per_epoch": recipe.images_per_epoch,
            "minutes": round(sum(epoch.seconds for epoch in history.epochs) / 60, 1),
        }
    labels = [film.partition("/")[0] for fold in split.folds for film in fold]
    return {
        "data": {
            "name": split.data,
            "source": split.source,
            "films": split.films,
            "patients": split.patients,
            "normal": labels.count("normal"),
            "pneumonia": labels.count("pneumonia"),
            "folds": len(split.folds),
        },
        "recipe": {
            "name": recipe.name,
            "digest": recipe.digest,
            "seed": recipe.seed,
            "remark": recipe.remark,
        },
        "members": members,
        "fusion": {"films": fusion.films, "folds": fusion.folds, "stressed": fusion.stressed},
    }
