"""The four trainings of the IGTV experiment, which differ in where they begin and in whether slices see each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class IgtvTraining:
    """`transferred`: begins with the GTV model; `slices`: with the slice interaction module."""

    name: str
    title: str
    transferred: bool
    slices: bool

    def changes(self, gtv_model: str) -> dict[str, Any]:
        """What is laid over the recipe, which has the module and begins with nothing."""
        changes: dict[str, Any] = {"name": f"phantom-igtv-{self.name}"}
        if self.transferred:
            changes["initial"] = gtv_model
        if not self.slices:
            changes["arguments"] = {"interaction_stages": []}
        return changes


TRAININGS = (
    IgtvTraining("scratch", "from scratch, slice by slice", False, False),
    IgtvTraining("transferred", "from the GTV model, slice by slice", True, False),
    IgtvTraining("slices", "from scratch, with slice interaction", False, True),
    IgtvTraining("both", "from the GTV model, with slice interaction", True, True),
)
GTV = "gtv"
GTV_TITLE = "the GTV model as it is, no IGTV seen"
RULE = "rule"
