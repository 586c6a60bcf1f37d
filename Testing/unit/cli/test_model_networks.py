"""`petctfusion models networks` and `models cost`."""

import sys

import pytest

from petctfusion.cli import exits
from petctfusion.errors import OutOfMemoryError
from petctfusion.networks import network_entries
from petctfusion.networks.cost import NetworkCost


def test_every_network_is_listed_with_its_size(cli):
    rows = cli("models", "networks", "--json").json
    assert [row["id"] for row in rows] == [entry.id for entry in network_entries()]
    assert {"id", "system", "parameters", "modalities", "spatial_dims", "kind"} <= set(rows[0])
    sizes = {row["id"]: row["parameters"] for row in rows}
    assert sizes["h2aseg"] == 7_164_869
    assert sizes["swin_unetr"] == pytest.approx(62.19e6, rel=1e-3)
    assert all(size > 1e5 for size in sizes.values())


def test_a_network_whose_package_is_missing_is_listed_without_its_size(cli, monkeypatch):
    entries = [entry for entry in network_entries() if entry.id in ("anatomy_guided", "segresnet")]
    monkeypatch.setattr("petctfusion.networks.network_entries", lambda: entries)
    monkeypatch.setitem(sys.modules, "monai", None)
    answer = cli("models", "networks")
    head, first, second = answer.out.splitlines()
    assert head.startswith("id")
    assert first.split()[:3] == ["anatomy_guided", "system", "3,852,399"]
    assert second.split()[:3] == ["segresnet", "baseline", "-"]
    assert "pip install" in answer.err


def test_the_cost_of_a_network_is_measured(cli):
    answer = cli("models", "cost", "--network", "anatomy_guided", "--window", "32", "--threads", "1", "--json")
    (row,) = answer.json
    assert row["window"] == [32, 32, 32]
    assert row["macs"] > 0
    assert row["seconds"] > 0
    assert "anatomy_guided (1 of 1)" in answer.err


def test_cost_as_text_and_markdown_and_a_network_that_fails_is_left_out(cli, monkeypatch):
    def measured(network_id, window, threads):
        if network_id == "segresnet":
            raise OutOfMemoryError("Measuring segresnet was ended by the system.")
        scans = 5_000_000_000 if network_id == "cipa" else 0
        return NetworkCost(network_id, "system", 1_500_000, 3, (window,) * 3, 4_096_000_000, scans, None, 1.5, threads)

    monkeypatch.setattr("petctfusion.networks.cost.measure_in_new_process", measured)
    answer = cli("models", "cost", "--window", "16")
    lines = answer.out.splitlines()
    assert len(lines) == len(network_entries())  # the head, and one is left out
    assert "warning: Measuring segresnet" in answer.err
    assert "  ".join(lines[1].split()) == "anatomy_guided  16  x  16  x  16  1.50  4.1  1000.0  -  -  1.50"
    table = cli("models", "cost", "--network", "cipa", "--window", "16", "--markdown").out.splitlines()
    assert table[2] == "| cipa | 16 x 16 x 16 | 1.50 | 4.1 | 1000.0 | 5.00 | - | 1.50 |"
    assert cli("models", "cost", "--network", "segresnet").code == exits.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--network", "nonsense"], exits.MODEL), (["--window", "0"], exits.USAGE), (["--threads", "0"], exits.USAGE)],
)
def test_nonsense_is_refused(cli, arguments, code):
    answer = cli("models", "cost", *arguments, "--json")
    assert answer.code == code
    assert answer.json["error"]["hint"]
