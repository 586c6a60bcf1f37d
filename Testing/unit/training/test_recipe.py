"""Recipes: the package's own can be read, wrong ones are refused with the field's name."""

import subprocess
import sys

import pytest

from petctfusion.errors import BadInputError
from petctfusion.networks import build
from petctfusion.training.augmentation.fitness import require_fit
from petctfusion.training.recipe import read_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_of_the_package_builds_its_network_and_suits_it(name):
    recipe = read_recipe(name)
    network = build(recipe.network, **recipe.arguments)
    require_fit(recipe.augmentation, network, recipe.modalities)


def test_overrides_replace_single_values():
    assert read_recipe("sts_anatomy_guided", steps=7, seed=None).steps == 7
    assert read_recipe("sts_anatomy_guided", seed=None).seed == read_recipe("sts_anatomy_guided").seed


def test_an_unknown_recipe_lists_the_known_ones():
    with pytest.raises(BadInputError, match="sts_anatomy_guided"):
        read_recipe("nonsense")


@pytest.mark.parametrize(
    ("change", "named"), [(("steps = 2400", ""), "lacks steps"), (("seed = 1", "colour = 1"), "does not know colour")]
)
def test_wrong_fields_are_named(tmp_path, change, named):
    from petctfusion.training import recipe as module

    text = (module._RECIPES / "sts_anatomy_guided.toml").read_text()
    assert change[0] in text
    path = tmp_path / "own.toml"
    path.write_text(text.replace(*change))
    with pytest.raises(BadInputError, match=named):
        read_recipe(str(path))


def test_a_damaged_file_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text("steps = = 3")
    with pytest.raises(BadInputError, match="cannot be read"):
        read_recipe(str(path))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("batch = 2", "bacth = 2"), "does not know bacth. Did you mean 'batch'"),
        (("seed = 1", 'schedule = "poly"'), "no schedule 'poly'. Did you mean 'polynomial'"),
        (("steps = 2400", "steps = 24.5"), "takes a whole number for steps, got 24.5"),
        (("patch = [32, 32, 32]", "patch = [32, 32]"), "takes a list of 3 whole numbers for patch"),
        (("PET = [0.0, 60.0]", "PET = 60.0"), "takes a list of 2 numbers for clip"),
        (
            ("[augmentation]", "[augmentation]\nsuv_scale = 2"),
            r"\[augmentation\], does not know suv_scale. Did you mean",
        ),
        (("[augmentation]", "[loss]\ntversky = 1\n[augmentation]"), r"\[loss\], does not know tversky. Did you mean"),
        (("seed = 1", "loss = 3"), "takes loss as a table"),
        (("seed = 1", 'keep = "bset"'), "keep = 'bset' is not known. Did you mean 'best'"),
        (("seed = 1", 'precision = "bf16"'), "precision = 'bf16' is not known. Did you mean 'bfloat16'"),
        (("batch = 2", "batch = 0"), "batch = 0 must be 1 or more"),
        (("seed = 1", "patience_scores = -1"), "patience_scores must be 0 or more"),
        (
            ("[augmentation]", "[about]\nlicense = 'CC0'\n[augmentation]"),
            "does not know license. Did you mean 'licence'",
        ),
        (("[augmentation]", "[about]\nsegment = ' '\n[augmentation]"), "segment is empty"),
    ],
)
def test_a_typo_is_named_with_what_was_meant(tmp_path, change, sentence):
    from petctfusion.training import recipe as module

    text = (module._RECIPES / "sts_anatomy_guided.toml").read_text()
    assert change[0] in text
    path = tmp_path / "own.toml"
    path.write_text(text.replace(*change))
    with pytest.raises(BadInputError, match=sentence):
        read_recipe(str(path))


def test_recipes_are_read_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None; from petctfusion.training.recipe import read_recipe as r; "
        "print(r('sts_anatomy_guided').augmentation.uncropped_probability)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "0.4", done.stderr
