"""The failures that a user can act on."""


class PneumoEdgeError(Exception):
    """A failure that the user can act on: what was wrong, with the value, and the remedy."""

    exit_code = 1
    """What the console script exits with: 1 for a bad input or bundle."""

    # `remedy` may be positional, so that the error survives pickling between processes.
    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)

    @property
    def what(self) -> str:
        """What was wrong, with the offending value; no full stop at its end."""
        return str(self.args[0])

    @property
    def remedy(self) -> str:
        """What to do, as an imperative that can follow "to fix it, "."""
        return str(self.args[1])

    def __str__(self) -> str:
        return f"{self.what}; to fix it, {self.remedy}"


class BadRadiographError(PneumoEdgeError):
    """An image that cannot be read as a radiograph."""


class BundleError(PneumoEdgeError):
    """A bundle that lacks a part, was altered, or has a schema that this version cannot read."""


class EngineError(PneumoEdgeError):
    """An inference engine that is absent or failed."""


class MissingExtraError(PneumoEdgeError):
    """A command whose optional dependencies are not installed."""


class DatasetError(PneumoEdgeError):
    """A folder of labelled radiographs that cannot be trained or evaluated on."""


class RecipeError(PneumoEdgeError):
    """A recipe or a run that does not fit what was asked."""
