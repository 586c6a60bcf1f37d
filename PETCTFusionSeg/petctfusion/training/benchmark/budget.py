"""How much training a system is given: the recipe as it stands, or the published size on a GPU."""

from __future__ import annotations

from dataclasses import replace

from petctfusion.training.benchmark.system import BudgetName
from petctfusion.training.recipe import Recipe

BUDGETS: tuple[BudgetName, ...] = ("quick", "full")
# The same for every system, and for a GPU: the table has such runs once somebody with one makes them.
FULL_STEPS = 25_000
FULL_BATCH = 4
FULL_PATCH_FACTOR = 2
# Arguments by which a quick recipe makes a network smaller; without them it has the published size (docs/networks.md).
SIZES = frozenset(
    {
        "widths", "organ_widths", "prompt_widths", "guide_widths", "zero_width", "rectification_width", "filters",
        "features", "depths", "blocks", "blocks_down", "blocks_up", "decoder_depth", "prompt_depth", "residual_units",
        "heads", "rank", "states", "decoder_states", "trained_size", "window",
    }
)  # fmt: skip


def under_budget(recipe: Recipe, budget: BudgetName) -> Recipe:
    """The recipe under a budget: "quick" as it is; "full" with the published size, larger patches and more steps.

    In 2-D and 2.5-D, where a patch has few slices, only its two longer axes grow.
    """
    if budget == "quick":
        return recipe
    z, y, x = recipe.patch
    factor = FULL_PATCH_FACTOR
    return replace(
        recipe,
        name=f"{recipe.name}-full",
        arguments={name: value for name, value in recipe.arguments.items() if name not in SIZES},
        patch=(z * factor if 2 * z > y else z, y * factor, x * factor),
        batch=max(recipe.batch, FULL_BATCH),
        steps=FULL_STEPS,
    )
