"""What a visitor sends is renamed, counted, unpacked within bounds, or refused in a sentence. Through the gateway."""

from __future__ import annotations

import gzip
import io
import json
import stat
import zipfile

import pytest

pytest.importorskip("aiohttp", reason="the browser workbench is not installed")

import aiohttp
from visits import gateway, story

from petctfusion.errors import BadInputError
from PETCTFusionSegLib.web.uploads import safeName, unpack

MB = 1 << 20


def form(**files):
    data = aiohttp.FormData(quote_fields=False)
    for name, content in files.items():
        data.add_field("file", content, filename=name, content_type="application/octet-stream")
    return data


async def send(guest, **files):
    status, text = await guest.post("/upload", form(**files))
    answer = json.loads(text)
    return status, json.loads(answer["said"]) if "said" in answer else answer["error"]


def archive(*members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members:
            target.writestr(name, content)
    return stream.getvalue()


@story
async def test_volumes_and_dicom_arrive_under_names_of_ours():
    async with gateway() as visit:
        guest = visit()
        await guest.enter()
        zipped = archive(("../../escaped.dcm", "one"), ("/etc/absolute", "two"), ("a\\b.dcm", "three"), ("empty", ""))
        files = {
            "../../CT.nii.gz": gzip.compress(b"ct"),
            "C:\\data\\pet scan.NII": b"pet",
            "slice.dcm": b"four",
            "series.zip": zipped,
        }
        status, kept = await send(guest, **files)
        assert status == 200
        assert kept["volumes"] == ["CT.nii.gz", "pet scan.NII"]
        assert kept["dicom"] == ["four", "one", "three", "two"]
        assert all(name.startswith("upload-") or name in ("report.csv", "secret.csv") for name in kept["kept"])
        # The next upload finds nothing of the one before.
        _, again = await send(guest, **{"b.nii": b"x"})
        assert len([name for name in again["kept"] if name.endswith("b.nii")]) == 1
        assert not any("CT" in name for name in again["kept"])


@pytest.mark.parametrize(
    ("files", "status", "sentence"),
    [
        ({"notes.txt": b"x"}, 400, '"notes.txt" is of a type that is not taken.'),
        ({".nii": b"x"}, 400, "is of a type that is not taken."),
        ({"volume.mhd": b"x"}, 400, "is of a type that is not taken."),
        ({"volume.nhdr": b"x"}, 400, "is of a type that is not taken."),
        ({"page.html": b"<script>"}, 400, "is of a type that is not taken."),
        ({"text.nii.gz": b"this is a text"}, 400, '"text.nii.gz" is not a complete NIfTI file.'),
        ({"cut.nii.gz": gzip.compress(b"x" * 1000)[:-9]}, 400, '"cut.nii.gz" is not a complete NIfTI file.'),
        ({"bomb.nii.gz": gzip.compress(bytes(9 * MB))}, 413, "Unpacked, the upload is larger than 8 MB."),
        ({"large.nii": b"x" * (3 * MB)}, 413, "The upload is larger than 2 MB."),
        ({"a.nii": b"x" * (3 * MB // 2), "b.nii": b"x" * MB}, 413, "The upload is larger than 2 MB."),
        ({"bomb.zip": archive(("a", bytes(5 * MB)), ("b", bytes(5 * MB)))}, 413, "larger than 8 MB"),
        ({"broken.zip": b"PK\x03\x04 not really"}, 400, '"broken.zip" is damaged or encrypted.'),
        (
            {"a.nrrd": b"NRRD0004\ntype: short\ndata file: /etc/passwd\n\n"},
            400,
            '"a.nrrd" takes its voxels from another file.',
        ),
        ({"a.nrrd": b"NRRD0004\r\ndatafile: ../other.raw\r\n\r\n"}, 400, "takes its voxels from another file."),
        ({"a.mha": b"NDims = 3\nElementDataFile = /etc/passwd\n"}, 400, "takes its voxels from another file."),
        ({"a.mha": b"ndims = 3\nelementdatafile = LIST\nx\n"}, 400, "takes its voxels from another file."),
    ],
)
@story
async def test_rubbish_is_refused_in_a_sentence(files, status, sentence):
    async with gateway(uploadBytes=2 * MB) as visit:
        guest = visit()
        await guest.enter()
        folder = (await guest.about())["folder"]
        found, error = await send(guest, **files)
        assert found == status
        assert sentence in error
        assert folder not in error
        # And nothing of it stays.
        _, kept = await send(guest, **{"good.nii": b"x"})
        assert {name.split("/")[0].split("-")[0] for name in kept["kept"]} == {"upload", "report.csv", "secret.csv"}
        assert len({name.split("/")[0] for name in kept["kept"]}) == 3


@story
async def test_forms_that_are_none():
    async with gateway() as visit:
        guest = visit()
        await guest.enter()
        for body, kind in (
            (b"just bytes", "application/octet-stream"),
            (b"", "multipart/form-data; boundary=x"),
            (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
            (b"--x\r\n\r\nno name\r\n--x--", "multipart/form-data; boundary=x"),
            (b"text", "multipart/form-data"),
        ):
            status, text = await guest.post("/upload", body, **{"Content-Type": kind})
            assert status == 400, (body, kind, text)
            assert json.loads(text)["error"]
        assert (await guest.about())["pid"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.mha", b"NDims = 3\nElementSpacing = 1 1 1\nElementDataFile = LOCAL\n\x00data file: x\n"),
        ("a.nrrd", b"NRRD0004\ntype: short\nencoding: raw\n\n\ndata file: this is a voxel\n"),
        ("a.nii", b"\ndata file: /etc/passwd\n"),
    ],
)
def test_a_volume_in_one_file_is_taken(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert unpack([path], tmp_path, MB).volumes == (path,)


def test_links_in_an_archive_are_left_out(tmp_path):
    link = zipfile.ZipInfo("link.dcm")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as target:
        target.writestr(link, "/etc/passwd")
        target.writestr("good.dcm", "voxels")
    arrival = unpack([path], tmp_path, MB)
    assert [one.read_text() for one in arrival.dicom.iterdir()] == ["voxels"]
    assert not any(one.is_symlink() for one in arrival.dicom.iterdir())


def test_an_archive_of_too_many_files(tmp_path):
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as target:
        for number in range(20_001):
            target.writestr(str(number), "")
    with pytest.raises(BadInputError, match="more than 20000 files"):
        unpack([path], tmp_path, MB)


def test_an_encrypted_archive(tmp_path):
    path = tmp_path / "locked.zip"
    data = bytearray(archive(("a.dcm", "voxels")))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(BadInputError, match="damaged or encrypted"):
        unpack([path], tmp_path, MB)


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("CT.nii.gz", "CT.nii.gz"),
        ("../../x.nii", "x.nii"),
        ("a/b\\c.SEG.NRRD", "c.SEG.NRRD"),
        ("Müller Öl.nii", "Müller Öl.nii"),
        ("a\x00b\n<c>.nii", "a_b_c_.nii"),
        ("..hidden.nii", "hidden.nii"),
        ("x" * 300 + ".nii.gz", "x" * 100 + ".nii.gz"),
    ],
)
def test_names_are_made_safe(given, safe):
    assert safeName(given) == safe
