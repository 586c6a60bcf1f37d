"""Recipes: the package's own can be read, wrong ones are refused with the field's name."""

import pytest

from petctfusion.errors import BadInputError
from petctfusion.networks import build
from petctfusion.training.patches import PatchSettings
from petctfusion.training.recipe import read_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_of_the_package_builds_its_network_and_patches(name):
    recipe = read_recipe(name)
    assert build(recipe.network, **recipe.arguments)
    assert PatchSettings(patch=recipe.patch, modalities=recipe.modalities, **recipe.augmentation).patch == recipe.patch


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
