"""Masked reconstruction and alignment: masks, losses by hand, learning, and encoders carried over bit by bit."""

import math

import pytest
import torch

from petctfusion.networks.anatomy_prompted import AnatomyPrompted, MaskedReconstruction
from petctfusion.networks.anatomy_prompted.alignment import contrastive_loss, cosine_loss, retrieval_accuracy
from petctfusion.networks.anatomy_prompted.masking import from_blocks, hidden_blocks, normalised, to_blocks

WIDTHS = (4, 8, 16)
TINY = {"widths": WIDTHS, "patch": 4, "latent": 32, "aligned": 16, "negative_distance_mm": 20.0}


def tiny(dims=3, **more):
    torch.manual_seed(0)
    return MaskedReconstruction(spatial_dims=dims, **{**TINY, **more})


def scans(sizes=(16, 16, 16), batch=2, seed=0):
    """Smooth anatomy with an uptake that follows it, and a slab of air above."""
    generator = torch.Generator().manual_seed(seed)
    mode = "trilinear" if len(sizes) == 3 else "bilinear"
    rough = torch.randn(batch, 1, *(n // 8 + 1 for n in sizes), generator=generator)
    smooth = torch.nn.functional.interpolate(rough, size=sizes, mode=mode, align_corners=True)
    ct = 150 * smooth + 5 * torch.randn(smooth.shape, generator=generator)
    ct[:, :, :4] = -1000 + 10 * torch.randn(ct[:, :, :4].shape, generator=generator)
    pet = (4 + 2 * smooth).clamp(min=0)
    pet[:, :, :4] = 0
    return torch.cat([ct, pet], dim=1)


@pytest.mark.parametrize("sizes", [(8, 12), (8, 4, 12)])
def test_blocks_are_cut_where_they_lie_and_put_back(sizes):
    x = torch.arange(2.0 * math.prod(sizes)).view(2, *sizes)
    blocks = to_blocks(x, 4)
    grid = [n // 4 for n in sizes]
    assert blocks.shape == (2, math.prod(grid), 4 ** len(sizes))
    last = tuple(slice(-4, None) for _ in sizes)
    assert torch.equal(blocks[1, -1], x[(1, *last)].flatten())
    assert torch.equal(blocks[0, 1], x[(0, *(slice(0, 4) for _ in sizes[1:]), slice(4, 8))].flatten())
    assert torch.equal(from_blocks(blocks, grid, 4), x)


def test_normalised_blocks_have_mean_0_and_variance_1_and_air_is_flat():
    blocks = normalised(torch.stack([torch.randn(64) * 3 + 7, torch.full((64,), -3.28)]))
    assert blocks[0].mean() == pytest.approx(0, abs=1e-5)
    assert blocks[0].var(correction=0) == pytest.approx(1, abs=1e-3)
    assert not blocks[1].any()


def test_masks_hide_what_they_say():
    draw = {m: hidden_blocks(200, 20, 0.7, m, generator()) for m in ("independent", "complementary", "asymmetric")}
    one, other = draw["independent"]
    assert (one.sum(1) == 14).all()
    assert (other.sum(1) == 14).all()
    assert 0.44 < (one & other).float().mean() < 0.54  # 0.7 x 0.7
    one, other = draw["complementary"]
    assert torch.equal(one, ~other)
    assert set(one.sum(1).tolist()) == {14, 6}
    one, other = draw["asymmetric"]
    assert {(int(a), int(b)) for a, b in zip(one.sum(1), other.sum(1), strict=True)} == {(14, 0), (0, 14)}
    one, other = hidden_blocks(200, 20, 0.7, "mixed", generator())
    assert 60 < (one == ~other).all(1).sum() < 140
    assert hidden_blocks(1, 2, 0.99, "independent", generator())[0].sum() == 1  # something is always seen


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_same_generator_gives_the_same_losses_and_another_one_others():
    network, x = tiny(), scans()
    losses = [network(x, generator(seed)).total.item() for seed in (5, 5, 6)]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_the_loss_counts_hidden_blocks_only_by_hand():
    network, x = tiny(masking="independent"), scans()
    with torch.no_grad():
        result, losses = network.reconstruct(x, generator()), network(x, generator())
    for i, name in enumerate(("CT", "PET")):
        errors = [
            (result.predicted[i][b, n] - result.target[i][b, n]).square().mean().item()
            for b in range(2)
            for n in range(64)
            if result.hidden[i][b, n]
        ]
        assert len(errors) == 2 * round(0.7 * 64)
        assert losses.reconstruction[name].item() == pytest.approx(sum(errors) / len(errors), rel=1e-5)
    total = sum(losses.reconstruction.values()) + 0.1 * losses.alignment
    assert losses.total.item() == pytest.approx(total.item(), rel=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
@torch.no_grad()
def test_what_is_hidden_cannot_be_seen(sparse):
    network, x = tiny(masking="independent", sparse=sparse).eval(), scans()
    hidden = network.reconstruct(x, generator()).hidden
    covered = torch.stack([from_blocks(h.unsqueeze(-1).expand(-1, -1, 64), (4, 4, 4), 4) for h in hidden], dim=1)
    other = torch.where(covered, x.roll(1, 0), x)
    before, after = (network.reconstruct(v, generator()) for v in (x, other))
    assert not torch.equal(before.target[0], after.target[0])
    for i in range(2):
        assert torch.equal(before.predicted[i], after.predicted[i])
        assert torch.equal(before.latent[i], after.latent[i])


@torch.no_grad()
def test_sparse_encoding_leaves_nothing_in_hidden_places():
    x = scans()
    last = {}
    for sparse in (False, True):
        network = tiny(sparse=sparse)
        network.encoders.encoders[0].stages[-1].register_forward_hook(
            lambda _, arguments, __, sparse=sparse: last.__setitem__(sparse, arguments[0])
        )
        hidden = network.reconstruct(x, generator()).hidden[0]
    at = hidden.view(2, 1, 4, 4, 4).repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4)
    assert not last[True][at.expand_as(last[True])].any()
    assert last[False][at.expand_as(last[False])].any()


@pytest.mark.parametrize(("dims", "sizes"), [(2, (32, 32)), (3, (16, 16, 16))])
def test_pretraining_reconstructs_better_than_the_mean_and_aligns(dims, sizes):
    network, x = tiny(dims), scans(sizes)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-2)
    totals = []
    for step in range(60):
        optimiser.zero_grad()
        losses = network(x, generator(step))
        losses.total.backward()
        optimiser.step()
        totals.append(losses.total.item())
    assert sum(totals[-5:]) < 0.7 * sum(totals[:5])
    network.eval()
    with torch.no_grad():
        result, tokens = network.reconstruct(x, generator(1000)), network.aligned_tokens(x)
    for predicted, target, hidden in zip(result.predicted, result.target, result.hidden, strict=True):
        tissue = hidden & (target.var(-1) > 0.5)  # their own mean leaves 1; air is flat and leaves 0
        assert tissue.sum() > 20
        assert (predicted - target)[tissue].square().mean() < 0.8 * target[tissue].square().mean()
    air = torch.zeros(2, *(n // 4 for n in sizes), dtype=torch.bool)
    air[:, 0] = True
    assert torch.equal(tokens.content, ~air.flatten(1))
    chance = 1 / int(tokens.content[0].sum())
    assert retrieval_accuracy(tokens.first, tokens.second, tokens.content) > 6 * chance


def test_a_gradient_reaches_every_weight_after_three_steps():
    network, x = tiny(), scans()
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    for step in range(4):
        optimiser.zero_grad()
        network(x, generator(step)).total.backward()
        optimiser.step()
    blocked = [n for n, p in network.named_parameters() if p.grad is None or (p.ndim > 1 and not p.grad.any())]
    assert not blocked
    assert network.constants.grad.all()


def test_encoders_are_carried_over_bit_by_bit_and_give_the_same_features():
    pretraining, x = tiny(), scans()
    pretraining(x, generator()).total.backward()
    torch.optim.Adam(pretraining.parameters(), 1e-2).step()
    network = AnatomyPrompted(widths=WIDTHS, organ_widths=(4, 8), prompt_widths=(4, 8)).eval()
    state = pretraining.encoder_state()
    network.load_encoder(state)
    assert set(state) == set(network.encoder_state())
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.encoder_state().items())
    caught = []
    network.decoder.register_forward_pre_hook(lambda _, arguments: caught.append(arguments[0]))
    with torch.no_grad():
        wanted = pretraining.encoders(pretraining.encoders.scaling(x))
        network(x)
    for ours, theirs in zip(caught[0], wanted, strict=True):  # through the scaling and the prompts, too
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    # A copy: training goes on without changing what was kept.
    kept = {name: tensor.clone() for name, tensor in state.items()}
    torch.optim.Adam(pretraining.parameters(), 1e-2).step()
    assert all(torch.equal(state[name], kept[name]) for name in state)


def test_modalities_find_their_encoder_by_name():
    swapped = AnatomyPrompted(modalities=("PET", "CT"), widths=WIDTHS, prompts="none")
    pretraining = tiny()
    swapped.load_encoder(pretraining.encoder_state())
    ours, theirs = swapped.encoders.encoders[0].state_dict(), pretraining.encoders.encoders[1].state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("other", [{"widths": (4, 8, 8)}, {"blocks": 2}, {"modalities": ("CT", "MR")}])
def test_encoders_of_another_size_are_refused_and_nothing_changes(other):
    network = AnatomyPrompted(**{"widths": WIDTHS, "prompts": "none", **other})
    before = network.encoder_state()
    with pytest.raises(ValueError, match="belong to other encoders"):
        network.load_encoder(tiny().encoder_state())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.encoder_state().items())


def test_infonce_by_hand_with_near_places_and_air_left_out():
    torch.manual_seed(0)
    first, second = (torch.nn.functional.normalize(torch.randn(2, 4, 5, dtype=torch.float64), dim=-1) for _ in "ab")
    content = torch.tensor([[True, True, True, False], [True, True, True, True]])
    x_mm = torch.tensor([0.0, 30.0, 100.0, 200.0])
    losses = []
    places = [(b, n) for b in range(2) for n in range(4)]
    for b, n in places:
        if not content[b, n]:
            continue
        others = [
            (c, m) for c, m in places if content[c, m] and (c != b or abs(x_mm[m] - x_mm[n]) > 64) and (c, m) != (b, n)
        ]
        own = math.exp(first[b, n] @ second[b, n] / 0.07)
        ahead = sum(math.exp(first[b, n] @ second[c, m] / 0.07) for c, m in others)
        back = sum(math.exp(first[c, m] @ second[b, n] / 0.07) for c, m in others)
        losses.append(-(math.log(own / (own + ahead)) + math.log(own / (own + back))) / 2)
    value = contrastive_loss(first, second, content, x_mm.view(4, 1))
    assert value.item() == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    assert contrastive_loss(first, second, torch.zeros_like(content), x_mm.view(4, 1)) == 0


def test_the_cosine_alignment_by_hand_and_in_use():
    first, second = torch.eye(3)[None], torch.tensor([[[1.0, 0, 0], [0.6, 0.8, 0], [0, 1.0, 0]]])
    assert cosine_loss(first, second, torch.tensor([[True, True, False]])).item() == pytest.approx((0 + 0.2) / 2)
    network, x = tiny(alignment="cosine"), scans()
    assert 0 < network(x, generator()).alignment.item() < 2
    # One scan that is smaller than the distance of negatives: InfoNCE has nothing to tell apart, the cosine has.
    assert tiny(negative_distance_mm=1e3)(x[:1], generator()).alignment.item() == pytest.approx(0, abs=1e-6)


def test_retrieval_by_hand():
    first = torch.eye(4)[None]
    second = first[:, [0, 2, 1, 3]]
    everywhere = torch.ones(1, 4, dtype=torch.bool)
    assert retrieval_accuracy(first, first, everywhere) == 1
    assert retrieval_accuracy(first, second, everywhere) == 0.5
    assert retrieval_accuracy(first, second, torch.tensor([[True, False, True, True]])) == pytest.approx(2 / 3)
    assert math.isnan(retrieval_accuracy(first, second, ~everywhere))


def test_retrieval_among_scans_is_not_fooled_by_tokens_that_know_only_their_place():
    place = torch.eye(4).expand(3, -1, -1)
    everywhere = torch.ones(3, 4, dtype=torch.bool)
    assert retrieval_accuracy(place, place, everywhere) == 1
    assert retrieval_accuracy(place, place, everywhere, among="scans") == pytest.approx(1 / 3)
    scan = torch.eye(3).unsqueeze(1).expand(-1, 4, -1)
    assert retrieval_accuracy(scan, scan, everywhere, among="scans") == 1
    assert retrieval_accuracy(scan, scan, everywhere) == 0.25
    # A token of the first scan that looks like the second scan's: wrong, unless that place of the second is air.
    confused = scan.clone()
    confused[0, 0] = torch.tensor([0.5, 0.9, 0.0])
    assert retrieval_accuracy(confused, scan, everywhere, among="scans") == pytest.approx(23 / 24)
    everywhere[1, 0] = False
    assert retrieval_accuracy(confused, scan, everywhere, among="scans") == 1


@torch.no_grad()
def test_half_precision_gives_nearly_the_same_losses():
    network, x = tiny(), scans()
    exact = network(x, generator()).total
    with torch.autocast("cpu", torch.bfloat16):
        half = network(x, generator()).total
    assert half.item() == pytest.approx(exact.item(), rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"patch": 6}, "patch must be a power of two"),
        ({"mask_ratio": 1.0}, "mask ratio must lie between 0 and 1"),
        ({"masking": "all"}, "masking must be one of"),
        ({"alignment": "none"}, "alignment must be infonce or cosine"),
        ({"spacing_mm": (4.0,)}, "spacing_mm needs 3"),
        ({"heads": 5}, "multiple of the 5 heads"),
        ({"modalities": ("CT",)}, "two different modalities"),
    ],
)
def test_nonsense_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        MaskedReconstruction(**{**TINY, **arguments})
    with pytest.raises(ValueError, match="multiples of 4"):
        tiny()(torch.zeros(1, 2, 16, 16, 18))
