from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from petctfusion import models
from petctfusion.errors import ModelError, OutputError
from petctfusion.models import ModelStore, folders, verify
from petctfusion.models.store import DEFAULT_MODEL, version_key


def test_models_are_listed_shipped_first_and_newest_first(store, tmp_path, model_folder):
    store.add(model_folder(tmp_path / "new", name="another", version="0.1"))
    listed, damaged = store.scan()
    assert [(m.reference, m.shipped) for m in listed] == [("toy@1.10", True), ("toy@1.9", True), ("another@0.1", False)]
    assert damaged == []


def test_the_default_does_not_hang_on_the_alphabet():
    listed = [model.name for model in ModelStore.default().scan()[0] if model.shipped]
    assert listed[0] == models.default_model().name == DEFAULT_MODEL
    assert min(listed) != DEFAULT_MODEL
    assert listed[1:] == sorted(listed[1:])


def test_versions_sort_as_people_sort_them():
    versions = ["2.0", "1.9", "1.10", "2.0-rc1", "1.10.1", "2.0-beta2", "10", "2.0-rc10"]
    ordered = ["1.9", "1.10", "1.10.1", "2.0-beta2", "2.0-rc1", "2.0-rc10", "2.0", "10"]
    assert sorted(versions, key=version_key) == ordered


def test_a_name_means_its_newest_version_and_a_version_can_be_named(store):
    assert store.find("toy").version == "1.10"
    assert store.find("toy@1.9").version == "1.9"
    assert store.default_model().reference == "toy@1.10"


def test_a_path_to_a_folder_is_a_model_too(store, tmp_path, model_folder):
    folder = model_folder(tmp_path / "anywhere", name="mine")
    for wanted in (folder, str(folder)):
        found = store.find(wanted)
        assert (found.name, found.folder, found.shipped) == ("mine", folder, False)


@pytest.mark.parametrize("wanted", ["nothing", "toy@3", "", "no/such/folder"])
def test_an_unknown_model_is_refused_with_the_known_ones(store, wanted):
    if wanted == "":
        wanted = "@"
    with pytest.raises(ModelError) as caught:
        store.find(wanted)
    assert "toy@1.10, toy@1.9" in caught.value.hint


def test_a_damaged_model_is_set_apart_and_named_when_asked_for(store, tmp_path):
    (tmp_path / "own" / "broken" / "1").mkdir(parents=True)
    (tmp_path / "own" / "broken" / "1" / "model.json").write_text("{")
    listed, damaged = store.scan()
    assert [m.name for m in listed] == ["toy", "toy"]
    assert [d.folder.parent.name for d in damaged] == ["broken"]
    with pytest.raises(ModelError, match="cannot be read"):
        store.find("broken")


def test_without_any_model_the_default_says_how_to_get_one(tmp_path):
    with pytest.raises(ModelError, match="No model is installed") as caught:
        ModelStore(tmp_path / "a", tmp_path / "b").default_model()
    assert "models add" in caught.value.hint


def test_whole_weights_pass(store):
    assert verify(store.find("toy").folder).name == "toy"


def test_one_changed_bit_is_a_wrong_checksum(store):
    folder = store.find("toy").folder
    weights = folder / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="checksum") as caught:
        verify(folder)
    assert "install it again" in caught.value.hint


def _put(folder: Path, content: bytes) -> None:
    """Replaces the weights and makes the card agree, so that only the format can be found wrong."""
    (folder / "weights.safetensors").write_bytes(content)
    card = json.loads((folder / "model.json").read_text())
    card["weights"].update(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    (folder / "model.json").write_text(json.dumps(card))


def _file(header: object, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize("keep", [0, 4, 8, 40, -1])
def test_truncated_weights_are_refused(store, keep):
    folder = store.find("toy").folder
    weights = folder / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:keep])
    with pytest.raises(ModelError, match="cut short"):
        verify(folder)
    if keep:
        # Even with a card that knows the shorter file: the header tells.
        _put(folder, whole[:keep])
        with pytest.raises(ModelError, match="weights file"):
            verify(folder)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"a": [1.0] * 50}),
        b"PK\x03\x04" + b"\0" * 60,
        _file([1]),
        _file({}),
        _file({"__metadata__": {"a": "b"}}),
        (20).to_bytes(8, "little") + b"{" * 20,
        _file({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"\0" * 4),
        _file({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}}, b"\0" * 4),
        _file({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 8),
        _file({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, b"\0" * 8),
        _file({"a": {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}}, b"\0" * 8),
        _file({"a": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}}, b"\0" * 4),
        _file({"a": {"dtype": "F32", "shape": 1, "data_offsets": [0, 4]}}, b"\0" * 4),
        _file({"a": 3}, b"\0" * 4),
    ],
    ids=range(14),
)
def test_what_is_not_safetensors_is_refused_before_anything_loads_it(store, content):
    folder = store.find("toy").folder
    _put(folder, content)
    with pytest.raises(ModelError, match="weights file"):
        verify(folder)


def test_weights_behind_a_link_out_of_the_folder_are_refused(store, tmp_path):
    folder = store.find("toy").folder
    weights = folder / "weights.safetensors"
    outside = tmp_path / "weights.safetensors"
    weights.rename(outside)
    try:
        weights.symlink_to(outside)
    except OSError:
        pytest.skip("this platform makes no links")
    with pytest.raises(ModelError, match="outside the model folder"):
        verify(folder)


def test_an_added_model_is_whole_and_holds_only_card_and_weights(store, tmp_path, model_folder):
    source = model_folder(tmp_path / "new", name="mine", version="2")
    (source / "surprise.pkl").write_bytes(b"x")
    added = store.add(source)
    assert added.folder == tmp_path / "own" / "mine" / "2"
    assert sorted(p.name for p in added.folder.iterdir()) == ["model.json", "weights.safetensors"]
    assert verify(added.folder) == added.card
    assert [p.name for p in (tmp_path / "own").iterdir()] == ["mine"]
    assert store.find("mine").folder == added.folder


def test_a_damaged_model_is_not_added(store, tmp_path, model_folder):
    source = model_folder(tmp_path / "new", name="mine")
    (source / "weights.safetensors").write_bytes(b"short")
    with pytest.raises(ModelError):
        store.add(source)
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize("name", ["toy", "mine"])
def test_a_model_is_not_added_twice(store, tmp_path, model_folder, name):
    source = model_folder(tmp_path / "new", name=name, version="1.9")
    if name == "mine":
        store.add(source)
    with pytest.raises(ModelError, match="already installed"):
        store.add(source)


def test_a_copy_that_fails_half_way_leaves_nothing_behind(store, tmp_path, model_folder, monkeypatch):
    source = model_folder(tmp_path / "new", name="mine")
    copy = shutil.copyfile

    def disk_fills_up(start, target):
        if str(target).endswith(".safetensors"):
            Path(target).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        return copy(start, target)

    monkeypatch.setattr(shutil, "copyfile", disk_fills_up)
    with pytest.raises(OutputError, match="No space left"):
        store.add(source)
    assert list((tmp_path / "own").iterdir()) == []


def test_a_copy_that_comes_out_different_is_not_installed(store, tmp_path, model_folder, monkeypatch):
    source = model_folder(tmp_path / "new", name="mine")
    monkeypatch.setattr(
        shutil, "copyfile", lambda start, target: Path(target).write_bytes(Path(start).read_bytes()[:-1])
    )
    with pytest.raises(ModelError):
        store.add(source)
    assert list((tmp_path / "own").iterdir()) == []


def test_what_a_killed_copy_left_is_swept_later_and_never_listed(store, tmp_path, model_folder):
    own = tmp_path / "own"
    old, new = own / ".incoming-old", own / ".incoming-new"
    for folder in (old, new):
        model_folder(folder)
    os.utime(old, (time.time() - 7200,) * 2)
    assert [m.name for m in store.scan()[0]] == ["toy", "toy"]
    store.add(model_folder(tmp_path / "new", name="mine"))
    assert not old.exists()
    assert new.exists()


def test_a_removed_model_is_gone_and_a_shipped_one_stays(store, tmp_path, model_folder):
    store.add(model_folder(tmp_path / "new", name="mine"))
    assert store.remove("mine") == tmp_path / "own" / "mine" / "1.0"
    assert list((tmp_path / "own").iterdir()) == []
    with pytest.raises(ModelError, match="ships with the software"):
        store.remove("toy")
    with pytest.raises(ModelError, match="no own model 'mine'"):
        store.remove("mine")
    assert len(store.scan()[0]) == 2


def test_of_several_versions_only_the_named_one_is_removed(store, tmp_path, model_folder):
    for version in ("1", "2"):
        store.add(model_folder(tmp_path / version, name="mine", version=version))
    with pytest.raises(ModelError, match="Several versions") as caught:
        store.remove("mine")
    assert "mine@1, mine@2" in caught.value.hint
    store.remove("mine@1")
    assert store.find("mine").version == "2"


def test_a_damaged_model_can_be_removed(store, tmp_path):
    broken = tmp_path / "own" / "broken" / "1"
    broken.mkdir(parents=True)
    (broken / "model.json").write_text("{")
    store.remove("broken")
    assert store.scan()[1] == []


def test_a_folder_of_the_user_s_is_never_removed_by_its_path(store, tmp_path, model_folder):
    folder = model_folder(tmp_path / "new", name="mine")
    with pytest.raises(ModelError):
        store.remove(str(folder))
    assert folder.is_dir()


def test_the_environment_chooses_the_user_s_folder(monkeypatch, tmp_path, model_folder):
    monkeypatch.setenv("PETCTFUSION_MODELS", str(tmp_path / "own"))
    added = models.add_model(model_folder(tmp_path / "new", name="mine"))
    assert added.folder.parent.parent == tmp_path / "own"
    assert models.find_model("mine").folder == added.folder
    assert added.reference in [m.reference for m in models.list_models()]
    models.remove_model("mine")
    assert "mine" not in [m.name for m in models.list_models()]


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("win32", "LOCALAPPDATA", "chosen/PETCTFusionSeg/models"),
        ("linux", "XDG_DATA_HOME", "chosen/PETCTFusionSeg/models"),
        ("darwin", "XDG_DATA_HOME", "home/Library/Application Support/PETCTFusionSeg/models"),
    ],
)
def test_the_user_s_folder_is_where_the_platform_keeps_data(monkeypatch, tmp_path, platform, variable, expected):
    monkeypatch.delenv("PETCTFUSION_MODELS", raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.setenv(variable, str(tmp_path / "chosen"))
    assert folders.own_models_folder() == tmp_path / expected


def test_looking_at_models_imports_no_torch():
    code = "import sys, petctfusion.models, petctfusion.metrics as m; m.dice; print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(models.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "False"


def test_every_shipped_model_is_whole_small_and_gives_credit():
    shipped = [m for m in models.list_models() if m.shipped]
    if not shipped:
        pytest.skip("no model has been trained yet")
    for model in shipped:
        verified = verify(model.folder)
        assert sum(p.stat().st_size for p in model.folder.rglob("*")) < 20_000_000
        assert verified.training.attribution
        assert verified.not_for
    assert [d for d in models.damaged_models() if folders.SHIPPED in d.folder.parents] == []
