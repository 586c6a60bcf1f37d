from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from petctfusion.errors import BadInputError, OutputError
from petctfusion.volumes.geometry import Geometry
from petctfusion.worker.exchange import (
    PREFIX,
    Exchange,
    array_of_frame,
    pack,
    read_array,
    sweep_stale,
    unpack,
    write_array,
)
from petctfusion.worker.processes import is_same_process, start_token


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_the_folder_is_private_and_named_after_its_owner(tmp_path):
    folder = Exchange.create(tmp_path).folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder.name.startswith(f"{PREFIX}{os.getpid()}-")


def test_only_folders_of_dead_owners_are_swept(tmp_path):
    alive = Exchange.create(tmp_path)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    stale = tmp_path / f"{PREFIX}{dead.pid}-abc"
    stale.mkdir()
    (stale / "CT.npy").write_bytes(b"x")
    foreign = tmp_path / f"{PREFIX}cache-of-somebody"
    foreign.mkdir()
    assert sweep_stale(tmp_path) == [stale]
    assert alive.folder.exists()
    assert foreign.exists()


def test_a_reused_process_id_does_not_keep_a_stale_folder(tmp_path):
    exchange = Exchange.create(tmp_path)
    owner = json.loads((exchange.folder / "owner.json").read_text())
    (exchange.folder / "owner.json").write_text(json.dumps({**owner, "token": "started at another time"}))
    assert sweep_stale(tmp_path) == [exchange.folder]


def test_a_process_is_known_by_its_start_time():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    token = start_token(child.pid)
    assert token
    assert is_same_process(child.pid, token)
    assert not is_same_process(child.pid, token + "1")
    child.communicate(b"\n")
    assert not is_same_process(child.pid, token)


def test_the_worker_proves_that_it_sees_the_folder(tmp_path):
    exchange = Exchange.create(tmp_path)
    assert Exchange.visible(str(exchange.folder), exchange.secret)
    assert not Exchange.visible(str(exchange.folder), "another secret")
    assert not Exchange.visible(str(tmp_path / "nowhere"), exchange.secret)


@pytest.mark.parametrize("pixel", [sitk.sitkInt16, sitk.sitkFloat32, sitk.sitkUInt8])
def test_an_image_comes_back_bit_equal_on_its_grid(tmp_path, pixel):
    rng = np.random.default_rng(1)
    image = sitk.Cast(sitk.GetImageFromArray(rng.integers(0, 200, (3, 4, 5)).astype(np.int32)), pixel)
    image.SetSpacing((1.1, 2.0, 3.3))
    image.SetDirection((0, -1, 0, 1, 0, 0, 0, 0, 1))
    array, description = pack(image)
    write_array(array, tmp_path / "CT.npy")
    for back in (read_array(tmp_path / "CT.npy"), array_of_frame(array.tobytes(), description)):
        copy = unpack(back, json.loads(json.dumps(description)))
        assert Geometry.of(copy) == Geometry.of(image)
        assert copy.GetPixelID() == pixel
        assert np.array_equal(sitk.GetArrayFromImage(copy), sitk.GetArrayFromImage(image))


def test_several_labels_travel_as_one_image_of_vectors():
    channels = [sitk.GetImageFromArray(np.full((2, 3, 4), n, np.uint8)) for n in (1, 2)]
    array, description = pack(sitk.Compose(channels))
    assert array.shape == (2, 3, 4, 2)
    assert unpack(array, description).GetPixel(0, 0, 0) == (1, 2)


@pytest.mark.parametrize("damage", [{"shape": [9, 9, 9]}, {"dtype": "O"}, {"dtype": None}, {"shape": None}])
def test_a_frame_that_does_not_fit_is_refused(damage):
    array, description = pack(sitk.Image([4, 3, 2], sitk.sitkFloat32))
    with pytest.raises(BadInputError):
        array_of_frame(array.tobytes(), {**description, **damage})


def test_a_pickle_is_never_read(tmp_path):
    path = tmp_path / "CT.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BadInputError, match="cannot be read"):
        read_array(path)


def test_a_full_disk_is_said_and_leaves_no_half_file(tmp_path, monkeypatch):
    def full(file, array, **_):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OutputError, match="No space left") as caught:
        write_array(np.zeros(3), tmp_path / "CT.npy")
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []
