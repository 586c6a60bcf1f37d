"""System E: sizes of the network, the classifier and its pooling, absent modalities."""

import pytest
import torch

from petctfusion.networks.blocks.intensity import absent_value
from petctfusion.networks.dual_attention import DualAttention, mask_weighted_pooling
from petctfusion.networks.explain import attention_maps

SMALL = (4, 8, 16)


def small(**arguments):
    torch.manual_seed(0)
    return DualAttention(**{"widths": SMALL, "reduction": 2, **arguments}).eval()


def ct_mr(*sizes, batch=1):
    torch.manual_seed(1)
    return torch.stack([torch.randn(batch, *sizes) * 200, torch.randn(batch, *sizes)], dim=1)


@pytest.mark.parametrize(("dims", "millions"), [(2, 13.4), (3, 9.44)])
def test_the_default_widths_give_the_expected_number_of_parameters(dims, millions):
    parameters = sum(p.numel() for p in DualAttention(spatial_dims=dims).parameters())
    assert round(parameters / 1e6, 1 if dims == 2 else 2) == millions


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("pooling", ["mask", "mean"])
def test_one_pass_gives_the_mask_and_the_class(dims, pooling):
    network = small(spatial_dims=dims, classes=2, lesion_classes=3, pooling=pooling)
    x = ct_mr(*(8, 12, 16)[:dims], batch=2)
    with torch.no_grad():
        logits, classes = network.forward_with_class(x)
        assert torch.equal(logits, network(x))
    assert classes.shape == (2, 3)


def test_pooling_is_the_mean_of_the_features_under_the_mask():
    feature = torch.tensor([[1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]], dtype=torch.float64).view(1, 2, 2, 2)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 0:2, 2:4] = 1.0  # all of the second coarse pixel
    mask[..., 2:4, 2:3] = 1.0  # half of the fourth
    # (1 * 2 + 0.5 * 4) / 1.5 = 8/3, with a little (0.001) of the plain mean 2.5 mixed in against a mean weight of 0.375
    expected = (0.375 * 8 / 3 + 0.001 * 2.5) / 0.376
    torch.testing.assert_close(mask_weighted_pooling(feature, mask), torch.tensor([[expected, 10 * expected]]))


def test_pooling_without_any_mask_is_the_plain_mean():
    feature = torch.randn(2, 3, 2, 2, 2)
    pooled = mask_weighted_pooling(feature, torch.zeros(2, 1, 8, 8, 8))
    torch.testing.assert_close(pooled, feature.mean(dim=(2, 3, 4)))


def test_the_class_looks_at_the_tumour_and_not_elsewhere():
    network = small(spatial_dims=2, classes=2, tumour_label=1)
    seen = []
    network.classifier.register_forward_hook(lambda _m, given, _out: seen.append(given[0]))
    x = ct_mr(16, 16)
    with torch.no_grad():
        logits, _ = network.forward_with_class(x)
        bottleneck = network._segmented(x)[1]
    torch.testing.assert_close(seen[0], mask_weighted_pooling(bottleneck, logits[:, 1:].sigmoid()))
    assert (seen[0] - mask_weighted_pooling(bottleneck, logits[:, :1].sigmoid())).abs().max() > 1e-4


def test_the_mask_in_the_pooling_passes_no_gradient():
    network = small()
    network.forward_with_class(ct_mr(8, 8, 8))[1].sum().backward()
    assert network.head.weight.grad is None
    assert network.classifier[0].weight.grad.any()
    assert network.encoders[0].stages[0].layers[0].weight.grad.any()


@pytest.mark.parametrize("absent", [0, 1])
def test_an_absent_modality_leaves_its_branch_without_effect(absent):
    network = small()
    assert network.optional_modalities == ("CT", "MR")
    x = ct_mr(8, 8, 8, batch=2)
    x[1, absent] = absent_value(("CT", "MR")[absent])
    with torch.no_grad():
        before = network(x)
        for p in network.encoders[absent].parameters():
            p.add_(torch.randn(p.shape))
        after = network(x)
    assert torch.equal(after[1], before[1])
    assert (after[0] - before[0]).abs().max() > 1e-3
    assert torch.isfinite(after).all()


def test_maps_are_the_spatial_gates_of_every_level():
    maps = attention_maps(small(), ct_mr(8, 12, 16))
    assert list(maps) == [f"spatial attention, level {level}" for level in (1, 2, 3)]
    assert all(m.min() > 0 and m.max() < 1 and m.std() > 0 for m in maps.values())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"pooling": "max"}, "mask or mean"),
        ({"lesion_classes": 1}, "lesion_classes at least 2"),
        ({"tumour_label": 1}, "one of the 1 labels"),
        ({"reduction": 0}, "reduction must be at least 1"),
    ],
)
def test_nonsense_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        small(**arguments)
