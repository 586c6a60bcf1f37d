"""MSAM: the PET's map multiplies the CT features at every level, and nothing when the PET is absent."""

import torch

from petctfusion.networks.blocks.intensity import absent_value
from petctfusion.networks.explain import attention_maps
from petctfusion.networks.msam import MSAM


def small(spatial_dims=3):
    torch.manual_seed(0)
    return MSAM(spatial_dims, widths=(4, 8, 16), guide_widths=(4, 8)).eval()


def pet_ct(*sizes, batch=1):
    torch.manual_seed(1)
    return torch.stack([torch.randn(batch, *sizes) * 200, torch.rand(batch, *sizes) * 15], dim=1)


def ct_unet(network, ct, gates):
    """The backbone by hand, the gates of its levels given."""
    features, feature = [], ct
    for stage, gate in zip(network.encoder.stages, gates, strict=True):
        feature = stage(feature) * gate
        features.append(feature)
    return network.head(network.decoder(features[-1], features[:-1]))


def test_the_ct_features_of_each_level_are_multiplied_by_the_averaged_map():
    network = small(2)
    x = pet_ct(8, 12)
    scaled = network.scaling(x)
    with torch.no_grad():
        s = network.attention(scaled[:, 1:])
        averaged = [s.unfold(2, k, k).unfold(3, k, k).mean(dim=(-1, -2)) for k in (1, 2, 4)]
        torch.testing.assert_close(network(x), ct_unet(network, scaled[:, :1], averaged))
    assert 0 < s.min() < s.max() < 1


def test_without_pet_the_ct_unet_works_alone():
    network = small()
    assert network.optional_modalities == ("PET",)
    x = pet_ct(8, 8, 8, batch=2)
    x[1, 1] = absent_value("PET")
    with torch.no_grad():
        logits = network(x)
        alone = ct_unet(network, network.scaling(x)[:, :1], (1, 1, 1))
    torch.testing.assert_close(logits[1], alone[1])
    assert (logits[0] - alone[0]).abs().max() > 1e-3


def test_the_map_shows_the_pet_attention_and_no_ct():
    network = small()
    x = pet_ct(8, 8, 8)
    maps = attention_maps(network, x)
    assert list(maps) == ["spatial attention from PET"]
    shown = maps["spatial attention from PET"]
    x[:, 0] = -500.0
    torch.testing.assert_close(attention_maps(network, x)["spatial attention from PET"], shown)
    with torch.no_grad():
        torch.testing.assert_close(shown, network.attention(network.scaling(x)[:, 1:]))


def test_the_divisor_is_that_of_the_deeper_branch():
    assert MSAM(2, widths=(4, 8), guide_widths=(4, 8, 8, 8)).divisor == (8, 8)
    assert MSAM(3).divisor == (16, 16, 16)
