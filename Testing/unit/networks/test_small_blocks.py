"""Softmax heads, absence, CBAM, U-Net halves, sizes: against small computations of their own."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from petctfusion.networks.blocks.absence import present
from petctfusion.networks.blocks.cbam import ChannelAttention, SpatialAttention
from petctfusion.networks.blocks.intensity import FixedScaling, absent_value
from petctfusion.networks.blocks.sizes import require_divisible
from petctfusion.networks.blocks.softmax_head import foreground_logits
from petctfusion.networks.blocks.unet import Decoder, Encoder


@pytest.mark.parametrize("classes", [1, 2, 4])
def test_the_sigmoid_of_a_foreground_logit_is_the_softmax_probability(classes):
    scores = torch.randn(3, classes + 1, 4, 5, dtype=torch.float64) * 5
    probabilities = foreground_logits(scores).sigmoid()
    torch.testing.assert_close(probabilities, torch.softmax(scores, dim=1)[:, 1:])


def test_foreground_logits_of_half_precision_scores_are_single():
    assert foreground_logits(torch.zeros(1, 2, 3, dtype=torch.bfloat16)).dtype == torch.float32


@pytest.mark.parametrize("modality", ["CT", "PET", "MR"])
def test_absence_is_seen_study_by_study(modality):
    x = torch.randn(3, 1, 4, 4, 4)
    x[1] = absent_value(modality)
    x[2] = absent_value(modality)
    x[2, 0, 3, 3, 3] += 1
    there = present(FixedScaling([modality])(x))
    assert there.flatten().tolist() == [1, 0, 1]
    assert there.shape == (3, 1, 1, 1, 1)


def test_channel_attention_equals_its_formula():
    module = ChannelAttention(6, reduction=2).double()
    x = torch.randn(1, 6, 3, 4, dtype=torch.float64)
    w1, b1, w2, b2 = (p.detach().numpy() for p in module.mlp.parameters())
    f = x[0].numpy()

    def mlp(v):
        return w2 @ np.maximum(w1 @ v + b1, 0) + b2

    gate = 1 / (1 + np.exp(-(mlp(f.mean(axis=(1, 2))) + mlp(f.max(axis=(1, 2))))))
    np.testing.assert_allclose(module(x)[0].detach().numpy(), gate[:, None, None] * f, atol=1e-12)


def test_spatial_attention_equals_its_formula():
    module = SpatialAttention(2, "gate").double()
    x = torch.randn(1, 5, 9, 8, dtype=torch.float64)
    f, kernel, bias = x[0].numpy(), module.conv.weight.detach().numpy()[0], module.conv.bias.item()
    scores = bias + sum(correlate(m, k, mode="constant") for m, k in zip((f.mean(0), f.max(0)), kernel, strict=True))
    np.testing.assert_allclose(module(x)[0].detach().numpy(), f / (1 + np.exp(-scores)), atol=1e-12)


@pytest.mark.parametrize("dims", [2, 3])
def test_encoder_and_decoder_are_mirror_images(dims):
    encoder, decoder = Encoder(dims, 2, (4, 6, 8)), Decoder(dims, (4, 6, 8), skips=(5, 7))
    x = torch.randn(2, 2, *(8, 12, 16)[:dims])
    features = encoder(x)
    assert [f.shape[1:] for f in features] == [(c, *(s // 2**i for s in x.shape[2:])) for i, c in enumerate((4, 6, 8))]
    skips = [torch.randn(2, c, *f.shape[2:]) for c, f in zip((5, 7), features, strict=False)]
    assert decoder(features[-1], skips).shape == (2, 4, *x.shape[2:])


def test_what_refine_returns_goes_to_the_next_level_and_to_the_result():
    encoder = Encoder(2, 1, (4, 8))
    x = torch.randn(1, 1, 8, 8)
    features = encoder(x, lambda level, feature: torch.zeros_like(feature) if level == 0 else feature)
    assert not features[0].any()
    torch.testing.assert_close(features[1], encoder.stages[1](torch.zeros(1, 4, 8, 8)))


def test_sizes_are_checked_axis_by_axis():
    require_divisible(torch.zeros(1, 2, 16, 32, 64), (16, 32, 32))
    with pytest.raises(ValueError, match=r"multiples of \(16, 32, 32\), got \(16, 16, 64\)"):
        require_divisible(torch.zeros(1, 2, 16, 16, 64), (16, 32, 32))
    with pytest.raises(ValueError, match="multiples of 8, got"):
        require_divisible(torch.zeros(1, 2, 0, 8), (8, 8))
    require_divisible(torch.zeros(1, 2, 8, 16), (8, 8), stride=8)
    with pytest.raises(ValueError, match="larger than 8, got"):
        require_divisible(torch.zeros(1, 2, 8, 8), (8, 8), stride=8)
    with pytest.raises(ValueError, match="2 spatial axes"):
        require_divisible(torch.zeros(1, 2, 8, 8, 8), (8, 8))
