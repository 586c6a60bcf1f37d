"""Every registered network through the one door: what the list says of it is true, and it keeps the contract."""

import inspect
import re
import subprocess
import sys

import pytest
import torch
from small_networks import SMALL

from petctfusion.errors import BadInputError, ModelError
from petctfusion.networks import build, network_entries, network_entry, require_modalities
from petctfusion.networks.blocks.intensity import absent_value
from petctfusion.networks.explain import attention_maps

ISSUE = {
    "system": ["anatomy_guided", "h2aseg", "anatomy_prompted", "slice_interaction", "dual_attention"],
    "relative": ["msam", "isanet", "cipa", "vmambax"],
    "baseline": ["early_unet", "late_unet", "resenc_unet", "segresnet", "swin_unetr"],
}
IDS = [entry.id for entry in network_entries()]
every_network = pytest.mark.parametrize("network_id", IDS)
every_network_and_dims = pytest.mark.parametrize(
    ("network_id", "dims"), [(entry.id, dims) for entry in network_entries() for dims in entry.spatial_dims]
)


def small(network_id, dims=None, **arguments):
    settings, window = SMALL[network_id]
    dims = dims or inspect.signature(network_entry(network_id).builder()).parameters["spatial_dims"].default
    torch.manual_seed(0)
    return build(network_id, spatial_dims=dims, **settings, **arguments).eval(), window[-dims:]


def image(network, window, batch=1):
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([300.0 if name == "CT" else 6.0 for name in network.modalities])
    return torch.rand(batch, len(scale), *window, generator=generator) * scale.view(1, -1, *(1,) * len(window))


def test_the_list_is_that_of_the_documentation():
    assert {kind: [e.id for e in network_entries() if e.kind == kind] for kind in ISSUE} == ISSUE
    assert len(set(IDS)) == len(IDS)
    assert all(entry.paper and entry.system for entry in network_entries())


@every_network
def test_default_modalities_and_dimensions_are_as_listed(network_id):
    entry = network_entry(network_id)
    parameters = inspect.signature(entry.builder()).parameters
    assert tuple(parameters["modalities"].default) == entry.modalities
    assert parameters["spatial_dims"].default in entry.spatial_dims
    assert parameters["classes"].default == 1
    for dims in {1, 2, 3, 4} - set(entry.spatial_dims):
        with pytest.raises(ValueError, match="spatial_dims"):
            build(network_id, spatial_dims=dims)


@every_network_and_dims
def test_logits_are_one_map_a_class_on_the_input_grid(network_id, dims):
    network, window = small(network_id, dims, classes=2)
    with torch.no_grad():
        logits = network(image(network, window, batch=2))
    assert logits.shape == (2, 2, *window)
    assert torch.isfinite(logits).all()


@every_network_and_dims
def test_the_stated_divisor_is_sufficient_and_refused_when_missed(network_id, dims):
    network, _ = small(network_id, dims)
    divisor = network.divisor if isinstance(network.divisor, tuple) else (network.divisor,) * dims
    assert len(divisor) == dims
    with torch.no_grad():
        assert network(image(network, [2 * step for step in divisor])).shape[2:] == tuple(2 * d for d in divisor)
    for axis in [axis for axis, step in enumerate(divisor) if step > 1]:
        wrong = [2 * step + (position == axis) for position, step in enumerate(divisor)]
        with pytest.raises(ValueError, match=r"multiples|divis"):
            network(image(network, wrong))


@every_network
def test_nonsense_classes_and_channels_are_refused(network_id):
    with pytest.raises(ValueError, match="classes"):
        build(network_id, classes=0)
    network, window = small(network_id)
    with pytest.raises(ValueError):
        network(image(network, window)[:, :1])


@every_network
def test_attention_maps_lie_on_the_input_grid_and_leave_the_network_as_it_was(network_id):
    network, window = small(network_id)
    network.train()
    x = image(network, window)
    maps = attention_maps(network, x)
    assert network.training
    assert bool(maps) == (network_entry(network_id).kind != "baseline")
    for name, found in maps.items():
        assert found.shape == (1, 1, *window), name
        assert torch.isfinite(found).all(), name


@every_network
def test_a_missing_modality_is_refused_unless_the_network_lists_it(network_id):
    network, window = small(network_id)
    optional = getattr(network, "optional_modalities", ())
    assert set(optional) <= set(network.modalities)
    require_modalities(network, network.modalities)
    with pytest.raises(BadInputError, match="missing"):
        require_modalities(network, [])
    for channel, name in enumerate(network.modalities):
        present = [other for other in network.modalities if other != name]
        if name in optional:
            require_modalities(network, present)
            x = image(network, window)
            x[:, channel] = absent_value(name)
            with torch.no_grad():
                assert torch.isfinite(network(x)).all()
            assert re.search("absent|absence|missing|without", inspect.getdoc(type(network)) or "")
        else:
            with pytest.raises(BadInputError, match=name):
                require_modalities(network, present)


def test_unknown_networks_and_arguments_are_named():
    with pytest.raises(ModelError, match="nonsense"):
        build("nonsense")
    with pytest.raises(ModelError, match="colour"):
        build("anatomy_guided", colour="red")


def _fresh(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_starting_the_worker_loads_only_the_network_it_builds_and_not_monai():
    found = _fresh(
        "import sys, petctfusion.inference.model, petctfusion.worker.server\n"
        "from petctfusion.networks import build\n"
        "build('anatomy_guided')\n"
        "print(*(name for name in sys.modules))"
    ).split()
    assert "petctfusion.networks.anatomy_guided" in found
    assert not {"monai", "dynamic_network_architectures", "timm", "einops", "torchvision"} & set(found)
    assert not {f"petctfusion.networks.{name}" for name in ("baselines", "h2aseg", "cipa")} & set(found)


def test_listing_the_networks_needs_no_torch():
    assert (
        _fresh("import sys, petctfusion.networks as n; n.network_entries(); print('torch' in sys.modules)") == "False"
    )


def _fresh(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("network_id", "package"),
    [("segresnet", "monai"), ("swin_unetr", "einops"), ("resenc_unet", "dynamic_network_architectures")],
)
def test_a_missing_package_is_one_sentence_with_the_command(monkeypatch, network_id, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModelError, match=f"needs the package {package}") as caught:
        build(network_id)
    assert "pip install 'petctfusion[networks]'" in caught.value.hint
