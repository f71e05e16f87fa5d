"""Whether what the `train` extra brings is installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from pneumo_edge.errors import MissingExtraError


def require_train_extra(what: str, modules: Sequence[str]) -> None:
    """Refuse to go on without the train extra.

    The modules are looked for, not imported: Keras takes seconds, and `--help` may come through here.

    Args:
        what: That needs them, as the beginning of a sentence.
        modules: Each is brought by the extra.

    Raises:
        MissingExtraError: names the first that is not installed.
    """
    for module in modules:
        if find_spec(module) is None:
            raise MissingExtraError(
                f"{what} needs {module}, which is not installed",
                "run: pip install 'pneumo-edge[train]'",
            )
