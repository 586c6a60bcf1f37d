"""Help, usage errors, and the small commands."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import time
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import SimpleITK as sitk

from petctfusion.cli import command as commands
from petctfusion.cli import exits
from petctfusion.cli.failures import as_failure
from petctfusion.cli.outputs import OutputFolder
from petctfusion.cli.progress import ProgressDisplay
from petctfusion.errors import OutputError

EVERY = (*commands.BUILT_IN, "picture", "view")


def test_help_names_every_command_and_every_exit_code(cli):
    answer = cli("--help")
    assert answer.code == 0
    for name in EVERY:
        assert f"\n  {name} " in answer.out
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 130):
        assert f"\n  {code} " in answer.out
    assert "not usable" not in answer.out


@pytest.mark.parametrize("name", EVERY)
def test_every_command_has_a_help_with_its_options_and_the_exit_codes(cli, name):
    answer = cli(name, "--help")
    assert answer.code == 0
    assert f"usage: petctfusion {name}" in answer.out
    assert "exit codes:" in answer.out


def test_help_imports_neither_torch_nor_simpleitk():
    code = (
        "import sys\nfrom petctfusion.cli import main\nmain(['segment', '--help'])\n"
        "heavy = {'torch', 'SimpleITK', 'numpy', 'scipy', 'slicer', 'vtk'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["segmnt"],
        ["segment"],
        ["segment", "--nonsense"],
        ["--nonsense"],
        ["models"],
        ["models", "burn"],
        ["phantom"],
    ],
)
def test_wrong_arguments_are_a_usage_error(cli, refused, arguments):
    refused(cli(*arguments), exits.USAGE)


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cpu:0", ""])
def test_device_that_is_not_spelt_right_is_a_usage_error(cli, refused, study, output, device):
    refused(cli(*study.arguments(output, device=device)), exits.USAGE, "auto, cpu or cuda:N")


def test_wrong_arguments_with_json_are_told_as_json(cli):
    answer = cli("segment", "--json")
    assert answer.code == exits.USAGE
    assert set(answer.json["error"]) == {"kind", "message", "hint"}
    assert answer.json["error"]["kind"] == "usage"


def test_version_is_that_of_the_package(cli):
    import petctfusion

    answer = cli("--version")
    assert (answer.code, answer.out.strip()) == (0, f"petctfusion {petctfusion.__version__}")


def test_extension_that_cannot_be_loaded_does_not_harm_the_others(cli, monkeypatch, refused):
    broken = EntryPoint("broken", "no_such_module:command", commands.GROUP)
    monkeypatch.setattr(commands, "entry_points", lambda **_: [broken])
    answer = cli("--help")
    assert answer.code == 0
    assert "not usable" in answer.out
    assert cli("models", "list", "--json").code == 0
    refused(cli("broken"), exits.INTERNAL, "broken cannot be loaded", "pip install")


def test_evaluate_of_a_mask_with_itself_is_perfect(cli, study):
    answer = cli("evaluate", study.reference, study.reference, "--json")
    assert answer.code == 0
    assert (answer.json["dice"], answer.json["hd95_mm"], answer.json["hd95_note"]) == (1.0, 0.0, None)
    assert answer.json["volume_ml"] == answer.json["reference_volume_ml"] > 0
    assert "6-neighbour" in answer.json["definition"]


def test_evaluate_of_a_shifted_mask_gives_the_shift_as_distance(cli, study, tmp_path):
    image = sitk.ReadImage(str(study.reference))
    shifted = sitk.Resample(image, image, sitk.TranslationTransform(3, (0.0, 0.0, 4.0)))
    sitk.WriteImage(shifted, str(tmp_path / "shifted.nrrd"))
    answer = cli("evaluate", tmp_path / "shifted.nrrd", study.reference, "--json")
    assert answer.code == 0
    assert 0.8 < answer.json["dice"] < 1
    assert answer.json["hd95_mm"] == pytest.approx(4.0)


def test_evaluate_against_an_empty_reference_has_no_distance_but_a_note(cli, study, tmp_path):
    sitk.WriteImage(sitk.ReadImage(str(study.reference)) * 0, str(tmp_path / "empty.nii.gz"))
    answer = cli("evaluate", study.reference, tmp_path / "empty.nii.gz", "--json")
    assert answer.code == 0
    assert (answer.json["dice"], answer.json["hd95_mm"], answer.json["hd95_note"]) == (0.0, None, "no contour")
    assert "warning: The reference is empty" in answer.err


def test_evaluate_of_a_missing_file_is_bad_input(cli, study, refused, tmp_path):
    refused(cli("evaluate", study.reference, tmp_path / "none.nii.gz"), exits.BAD_INPUT, "does not exist")


def test_models_list_is_a_list_with_name_network_and_modalities(cli):
    answer = cli("models", "list", "--json")
    assert answer.code == 0
    assert len(answer.json) >= 1
    assert all({"name", "version", "network", "modalities"} <= set(model) for model in answer.json)
    assert answer.json[0]["modalities"] == ["CT", "PET"]


def test_json_may_stand_before_or_after_the_action(cli):
    assert cli("models", "--json", "list").json == cli("models", "list", "--json").json


def test_model_can_be_added_shown_verified_and_removed(cli, tiny_model):
    assert cli("models", "add", tiny_model).code == 0
    assert "tiny" in [model["name"] for model in cli("models", "list", "--json").json]
    assert cli("models", "show", "tiny", "--json").json["card"]["weights"]["bytes"] > 0
    assert "Not for" in cli("models", "show", "tiny").out
    assert cli("models", "verify", "tiny", "--json").json[0]["ok"] is True
    removed = Path(cli("models", "remove", "tiny", "--json").json["removed"])
    assert not removed.exists()
    assert "tiny" not in [model["name"] for model in cli("models", "list", "--json").json]


def test_verify_finds_damaged_weights(cli, refused, tiny_model, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(tiny_model, damaged)
    (damaged / "weights.safetensors").write_bytes((tiny_model / "weights.safetensors").read_bytes()[:-1] + b"\x7f")
    refused(cli("models", "verify", damaged), exits.MODEL, "checksum")


@pytest.mark.slow
def test_phantom_writes_a_study_that_can_be_segmented(cli, output, tiny_model, tmp_path, warm_worker):
    answer = cli("phantom", "--output", output, "--view", "lesion", "--seed", "3", "--json")
    assert answer.code == 0, answer.err
    files = answer.json["files"]
    assert all(Path(path).is_file() and Path(path).parent == output for path in files.values())
    options = ["--ct", files["ct"], "--pet", files["pet"], "--reference", files["reference"]]
    result = cli("segment", *options, "--output", tmp_path / "result", "--model", tiny_model, "--json")
    assert result.code == 0, result.err
    assert result.json["reference_volume_ml"] > 10


def test_phantom_with_a_negative_seed_is_a_usage_error(cli, refused, output):
    refused(cli("phantom", "--output", output, "--seed", "-1"), exits.USAGE, "seed")
    assert not output.exists()


def test_training_without_data_is_told_in_one_sentence(cli, refused):
    refused(cli("train", "no-such-recipe"), exits.BAD_INPUT)


def test_worker_command_answers_and_ends_with_its_input():
    command = [sys.executable, "-m", "petctfusion.cli", "worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as worker:
        assert json.loads(worker.stdout.readline())["event"] == "ready"
        rest, errors = worker.communicate(timeout=60)
    assert (worker.returncode, rest) == (0, b"")
    assert b"Traceback" not in errors


def test_reader_that_closes_the_pipe_early_causes_no_complaint():
    command = f"{sys.executable} -m petctfusion.cli --help | true"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, env=buffered)
    assert done.stderr == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_is_a_bar():
    stream = Terminal()
    with ProgressDisplay(stream) as display:
        display.update(1, 4, "segment")
        display.say("note: smaller windows")
        display.update(4, 4, "segment")
    assert "\r" in stream.getvalue()
    assert "100%" in stream.getvalue()
    assert "note: smaller windows" in stream.getvalue()


def test_progress_in_a_pipe_is_at_most_eleven_lines_a_stage():
    stream = io.StringIO()
    with ProgressDisplay(stream) as display:
        for done in range(1001):
            display.update(done, 1000, "segment", 5.0)
        display.update(0, 1, "restore")
        display.update(1, 1, "restore")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "segmenting 0 %, about 5 s left"
    assert lines[10:] == ["segmenting 100 %", "finishing"]


def test_unexpected_error_becomes_one_sentence_that_names_the_log(cli, monkeypatch, study, output):
    from petctfusion.cli import segment_run

    def fails(_args: object) -> None:
        raise ZeroDivisionError("first line\nsecond line")

    monkeypatch.setattr(segment_run, "segment", fails)
    answer = cli(*study.arguments(output))
    assert answer.code == exits.INTERNAL
    assert "ZeroDivisionError: first line" in answer.err
    assert "petctfusion.log" in answer.err
    assert "Traceback" not in answer.err


def test_every_kind_of_error_has_its_own_exit_code():
    from petctfusion import errors

    kinds = {kind.kind for kind in errors.FusionError.__subclasses__()} | {"usage"}
    codes = {kind: exits.exit_code(kind) for kind in kinds}
    assert len(set(codes.values())) == len(codes)
    assert all(f"\n  {code} " in exits.EPILOG for code in codes.values())


def test_full_memory_and_interrupt_have_their_own_kinds():
    assert as_failure(MemoryError()).kind == "out_of_memory"
    assert as_failure(KeyboardInterrupt()).kind == "cancelled"


def test_output_folder_without_commit_vanishes_with_all_parents_it_made(tmp_path):
    with OutputFolder(tmp_path / "a" / "b") as folder:
        folder.write_text("x.txt", "x")
    assert list(tmp_path.iterdir()) == []


def test_output_folder_keeps_what_others_put_there_meanwhile(tmp_path):
    with OutputFolder(tmp_path / "a") as folder:
        folder.write_text("x.txt", "x")
        (tmp_path / "a" / "other.txt").write_text("mine")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["other.txt"]


def test_commit_over_a_folder_of_that_name_changes_nothing(tmp_path):
    (tmp_path / "b.txt").mkdir()
    with OutputFolder(tmp_path) as folder:
        folder.write_text("a.txt", "a")
        folder.write_text("b.txt", "b")
        with pytest.raises(OutputError, match="is a folder"):
            folder.commit()
    assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]


def test_help_comes_at_once():
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "petctfusion.cli", "--help"], capture_output=True, check=True)
    # A guard against a heavy import creeping in, with room for a busy machine; `import torch` alone takes longer.
    assert time.perf_counter() - started < 10
