from __future__ import annotations

import pytest

from pneumo_edge.errors import MissingExtraError
from train.extra import require_train_extra


def test_the_first_module_that_is_missing_is_named_with_the_command_that_brings_it() -> None:
    require_train_extra("training", ("json", "numpy"))
    with pytest.raises(
        MissingExtraError, match=r"drawing needs no_such_module, .*pneumo-edge\[train\]"
    ):
        require_train_extra("drawing", ("json", "no_such_module", "nor_this"))
