"""Two processes that share each batch learn what one process learns from all of it."""

import dataclasses
import multiprocessing
import os
import socket
import subprocess
import sys

import pytest
import torch
from conftest_blobs import blob_cases

from petctfusion.errors import BadInputError
from petctfusion.training.distributed import Team, connected, team_here
from petctfusion.training.trainer import Trainer


def train(recipe, folder, team):
    """Gradients of the first step, losses and weights of all."""
    torch.set_num_threads(1)
    losses, gradients = [], []
    trainer = Trainer(recipe, blob_cases(), [], folder, team=team)
    trainer.optimiser.register_step_pre_hook(
        lambda *_: gradients.append([None if p.grad is None else p.grad.clone() for p in trainer.network.parameters()])
    )
    trainer.run(lambda progress: losses.append(progress.loss))
    return {"gradients": gradients[0], "losses": losses, "weights": trainer.weights()}


def one_of_two(rank, port, recipes, folder):
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }  # fmt: skip
    team = team_here()
    with connected(team, "cpu"):
        for recipe in recipes:
            found = train(recipe, folder / f"batch_{recipe.batch}", team)
            torch.save(found, folder / f"rank_{rank}_batch_{recipe.batch}.pt")


def test_two_processes_have_the_gradients_and_weights_of_one(tiny_recipe, tmp_path):
    # Unclipped: clipping would hide a factor. 3 patches are shared as 2 and 1.
    recipes = [dataclasses.replace(tiny_recipe, steps=3, batch=batch, gradient_clip=1e9) for batch in (2, 3)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=one_of_two, args=(rank, port, recipes, tmp_path)) for rank in (0, 1)]
    for process in processes:
        process.start()
    alone = {recipe.batch: train(recipe, tmp_path / f"alone_{recipe.batch}", Team()) for recipe in recipes}
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0]
    for batch, one in alone.items():
        first, second = (torch.load(tmp_path / f"rank_{rank}_batch_{batch}.pt") for rank in (0, 1))
        assert all(torch.equal(first["weights"][name], second["weights"][name]) for name in first["weights"])
        for found, wanted in zip(first["gradients"], one["gradients"], strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-6)
        assert first["losses"] == pytest.approx(one["losses"], rel=1e-3)
        assert second["losses"] == []  # only the first reports
        # Of 16 patches an Adam step may differ where a gradient is nothing but rounding: the whole, then.
        start = torch.cat([t.flatten() for t in fresh(recipes[0]).values()])
        moved, wanted = (torch.cat([t.flatten() for t in w["weights"].values()]) - start for w in (first, one))
        assert float((moved - wanted).norm()) < 0.05 * float(wanted.norm())
    assert len((tmp_path / "batch_2" / "log.csv").read_text().splitlines()) == 4


def fresh(recipe):
    torch.manual_seed(recipe.seed)
    from petctfusion.training.optimiser import network_of

    return network_of(recipe).state_dict()


def test_a_batch_is_shared_without_gap_or_overlap():
    for size in (1, 2, 3):
        shares = [list(Team(rank, size).share(7)) for rank in range(size)]
        assert sorted(index for share in shares for index in share) == list(range(7))


def test_more_processes_than_patches_are_refused(tiny_recipe, tmp_path):
    with pytest.raises(BadInputError, match="batch of 2 patches cannot be shared by 3 processes"):
        Trainer(tiny_recipe, blob_cases(), [], tmp_path, team=Team(0, 3))


@pytest.mark.slow
def test_torchrun_trains_and_one_process_writes(tmp_path):
    import dataset_miniatures as mini
    from test_trainer import TINY_TOML

    (tmp_path / "tiny.toml").write_text(TINY_TOML)
    data = mini.nnunet(tmp_path / "data")
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            "-m", "petctfusion.cli", "train", "tiny.toml", "--kind", "nnunet", "--data", str(data),
            "--output", "run", "--threads", "1",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=580,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("weights sha256") == 1
    assert (tmp_path / "run" / "model" / "model.json").is_file()
    assert len((tmp_path / "run" / "log.csv").read_text().splitlines()) == 4
