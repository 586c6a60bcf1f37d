"""A look at a file's own header before SimpleITK reads it.

SimpleITK mends or swallows some damage: its NIfTI reader turns a negative spacing positive and NaN into 0, and what a
cut file lacks may be filled. A segmentation of such a volume would look right and be wrong, so the source is checked.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from petctfusion.errors import BadInputError

_CHUNK = 1 << 22
_COPY_AGAIN = "Copy or export the file again."
_META_BYTES = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG": 4, "LONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}
_NRRD_NAMES = {
    1: "signed char,int8,int8_t,uchar,unsigned char,uint8,uint8_t",
    2: "short,short int,signed short,signed short int,int16,int16_t,"
    "ushort,unsigned short,unsigned short int,uint16,uint16_t",
    4: "int,signed int,int32,int32_t,uint,unsigned int,uint32,uint32_t,float",
    8: "longlong,long long,long long int,signed long long,signed long long int,int64,int64_t,"
    "ulonglong,unsigned long long,unsigned long long int,uint64,uint64_t,double",
}
_NRRD_BYTES = {name: width for width, names in _NRRD_NAMES.items() for name in names.split(",")}


@dataclass(frozen=True)
class FileHeader:
    """Sizes and spacing (x, y, z, ...) as written in the file, and the bytes its voxels need uncompressed."""

    sizes: tuple[int, ...]
    spacing: tuple[float, ...]
    data_bytes: int


def check_file(path: Path) -> FileHeader:
    """The header of a NIfTI, NRRD or MetaImage file. Raises `BadInputError` when it or the data are damaged or cut."""
    if path.stat().st_size == 0:
        raise BadInputError(f"{path} is empty (0 bytes).", _COPY_AGAIN)
    name = path.name.lower()
    try:
        if name.endswith((".nii", ".nii.gz")):
            return _check_nifti(path)
        if name.endswith((".mha", ".mhd")):
            return _check_meta_image(path)
        return _check_nrrd(path)
    except (EOFError, gzip.BadGzipFile, zlib.error, struct.error) as error:
        raise BadInputError(f"{path} is truncated or damaged ({error}).", _COPY_AGAIN) from error
    except (ValueError, KeyError, IndexError, OverflowError) as error:
        raise BadInputError(f"{path} has a header that cannot be understood.", _COPY_AGAIN) from error


def _check_values(path: Path, header: FileHeader, present: int) -> None:
    for size in header.sizes:
        if size < 1:
            raise BadInputError(f"{path} states a size of {size} voxels along an axis.", _COPY_AGAIN)
    if len(header.spacing) < min(3, len(header.sizes)):
        raise BadInputError(
            f"{path} states no voxel spacing.", "Export the volume with its spacing; it is not guessed."
        )
    for spacing in header.spacing:
        if not math.isfinite(spacing) or spacing <= 0:
            raise BadInputError(
                f"{path} states a voxel spacing of {spacing:g} mm, which must be a positive number.",
                "Export the volume again with the right spacing; it is not guessed.",
            )
    if present < header.data_bytes:
        raise BadInputError(
            f"{path} is truncated: its header promises {header.data_bytes} bytes of voxels, "
            f"{max(0, present)} are there.",
            _COPY_AGAIN,
        )


def _length(stream: IO[bytes] | gzip.GzipFile) -> int:
    total = 0
    while chunk := stream.read(_CHUNK):
        total += len(chunk)
    return total


def _check_nifti(path: Path) -> FileHeader:
    with path.open("rb") as probe:
        zipped = probe.read(2) == b"\x1f\x8b"
    with gzip.open(path) if zipped else path.open("rb") as stream:
        header, offset, floats = _nifti_header(path, stream.read(348))
        _check_values(path, header, header.data_bytes)
        stream.seek(offset)
        length, bad = _read_voxels(stream, header.data_bytes, floats)
    _check_values(path, header, length)
    if bad:
        raise not_finite(path, bad)
    return header


def not_finite(name: object, count: int) -> BadInputError:
    """The refusal of a volume called `name` with `count` voxels that are NaN or infinite."""
    what = "voxel that is" if count == 1 else "voxels that are"
    return BadInputError(
        f"{name} holds {count} {what} not a number (NaN or infinite).",
        "Replace them, for instance by 0, or export the volume again.",
    )


def _read_voxels(stream: IO[bytes] | gzip.GzipFile, count: int, floats: str) -> tuple[int, int]:
    """How many of `count` bytes are there, and how many numbers of type `floats` in them are NaN or infinite."""
    length, bad = 0, 0
    while length < count and (chunk := stream.read(min(_CHUNK, count - length))):
        length += len(chunk)
        if floats:
            values = np.frombuffer(chunk[: len(chunk) - len(chunk) % np.dtype(floats).itemsize], dtype=floats)
            bad += int(values.size - np.count_nonzero(np.isfinite(values)))
    _length(stream)  # to the end, where gzip compares its checksum
    return length, bad


def _nifti_header(path: Path, data: bytes) -> tuple[FileHeader, int, str]:
    """NIfTI-1.1 header (nifti1.h): fields by byte offset, either byte order; then where voxels start, and their type
    for numpy when it is a floating one."""
    for order in "<>":
        version = struct.unpack_from(order + "i", data)[0]
        if version == 348:
            dim = struct.unpack_from(order + "8h", data, 40)
            kind, bits = struct.unpack_from(order + "2h", data, 70)
            pixdim = struct.unpack_from(order + "8f", data, 76)
            offset = int(struct.unpack_from(order + "f", data, 108)[0])
            sform = struct.unpack_from(order + "h", data, 254)[0]
            rows = struct.unpack_from(order + "12f", data, 280)
            break
        if version == 540:
            raise BadInputError(f"{path} is a NIfTI-2 file, which is not read.", "Save it as NIfTI-1 or NRRD.")
    else:
        raise BadInputError(f"{path} is not a NIfTI file, whatever its name says.", _COPY_AGAIN)
    count = dim[0]
    if not 1 <= count <= 7:
        raise BadInputError(f"{path} states {count} dimensions.", _COPY_AGAIN)
    spacing = list(pixdim[1 : 1 + min(3, count)])
    if sform > 0 and count >= 3:
        spacing += [math.sqrt(sum(rows[4 * row + column] ** 2 for row in range(3))) for column in range(3)]
    sizes = tuple(int(v) for v in dim[1 : 1 + count])
    floats = {16: f"{order}f4", 64: f"{order}f8"}.get(kind, "")
    return FileHeader(sizes, tuple(spacing), math.prod(sizes) * bits // 8), offset, floats


def _check_meta_image(path: Path) -> FileHeader:
    """MetaImage: `Key = value` lines that end with ElementDataFile, then (for LOCAL) the voxels."""
    fields: dict[str, str] = {}
    with path.open("rb") as stream:
        while line := stream.readline(4096):
            key, _, value = line.decode("latin-1").partition("=")
            # MetaIO corrupts memory on names it cannot parse, and takes the process with it.
            if not re.fullmatch(r"[\w.|: -]{1,80}", key, re.ASCII) or len(value) > 2000:
                raise ValueError(key)
            fields[key.strip()] = value.strip()
            if key.strip() == "ElementDataFile":
                break
        else:
            raise BadInputError(f"{path} is not a MetaImage file: it names no voxel data.", _COPY_AGAIN)
        start = stream.tell()
    sizes = tuple(int(v) for v in fields["DimSize"].split())
    spacing = _numbers(fields.get("ElementSpacing") or fields.get("ElementSize") or "")
    _check_meta_counts(fields, len(sizes), len(spacing))
    kind = fields["ElementType"].removeprefix("MET_").removeprefix("U").removesuffix("_ARRAY")
    needed = math.prod(sizes) * _META_BYTES[kind] * int(fields.get("ElementNumberOfChannels", "1"))
    header = FileHeader(sizes, spacing, needed)
    target = fields["ElementDataFile"]
    if target.upper().startswith("LIST") or "%" in target:
        _check_values(path, header, needed)
        return header
    local = target.upper() == "LOCAL"
    data = path if local else _beside(path, target)
    skip = start if local else max(0, int(fields.get("HeaderSize", "0")))
    encoding = "zlib" if fields.get("CompressedData", "False").lower() == "true" else "raw"
    _check_values(path, header, _payload(data, skip, encoding))
    return header


def _check_meta_counts(fields: dict[str, str], dimensions: int, spacings: int) -> None:
    """MetaIO reads into arrays of fixed length: numbers too many or too few for NDims crash the process."""
    expected = {"TransformMatrix": dimensions**2, "Offset": dimensions, "CenterOfRotation": dimensions}
    wrong = [key for key, count in expected.items() if key in fields and len(_numbers(fields[key])) != count]
    if int(fields["NDims"]) != dimensions or spacings not in (0, dimensions) or dimensions > 4 or wrong:
        raise ValueError(f"{fields['NDims']} dimensions, {dimensions} sizes, {spacings} spacings, {wrong}")


def _check_nrrd(path: Path) -> FileHeader:
    """NRRD: `field: value` lines up to an empty line, then (unless `data file` names another) the voxels."""
    fields: dict[str, str] = {}
    with path.open("rb") as stream:
        if not stream.readline().startswith(b"NRRD"):
            raise BadInputError(f"{path} is not an NRRD file, whatever its name says.", _COPY_AGAIN)
        while (line := stream.readline().strip(b"\r\n")) != b"":
            key, separator, value = line.decode("latin-1").partition(": ")
            if separator and not key.startswith("#"):
                fields[key.lower().replace(" ", "")] = value.strip()
        start = stream.tell()
    sizes = tuple(int(v) for v in fields["sizes"].split())
    header = FileHeader(sizes, _nrrd_spacing(fields), math.prod(sizes) * _NRRD_BYTES[fields["type"].lower()])
    target = fields.get("datafile")
    if target and (target.startswith("LIST") or "%" in target):
        _check_values(path, header, header.data_bytes)
        return header
    data, skip = (_beside(path, target), 0) if target else (path, start)
    encoding = {"gz": "gzip", "txt": "text", "ascii": "text", "hex": "text"}.get(
        fields["encoding"].lower(), fields["encoding"].lower()
    )
    present = _payload(data, skip, encoding) if encoding in ("raw", "gzip") else header.data_bytes
    _check_values(path, header, present)
    return header


def _nrrd_spacing(fields: dict[str, str]) -> tuple[float, ...]:
    if "spacedirections" in fields:
        vectors = [v for v in fields["spacedirections"].replace(", ", ",").split() if v.lower() != "none"]
        return tuple(math.hypot(*_numbers(v.strip("()").replace(",", " "))) for v in vectors)
    spacings = _numbers(fields.get("spacings", ""))
    kinds = fields.get("kinds", "").split()
    if len(kinds) != len(spacings):
        return spacings
    return tuple(s for s, kind in zip(spacings, kinds, strict=True) if kind.lower() in ("domain", "space"))


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(v) for v in text.split())


def _beside(path: Path, name: str) -> Path:
    data = path.parent / name
    if not data.is_file():
        raise BadInputError(
            f"{path} refers to {name}, which is not there.", "Keep the header and the data file in one folder."
        )
    return data


def _payload(path: Path, skip: int, encoding: str) -> int:
    """Bytes of voxels in `path` after `skip` bytes, counted after decompression."""
    if encoding == "raw":
        return path.stat().st_size - skip
    with path.open("rb") as stream:
        stream.seek(skip)
        if encoding == "gzip":
            with gzip.open(stream) as inner:
                return _length(inner)
        return _inflated(stream)


def _inflated(stream: IO[bytes]) -> int:
    """Length of a zlib or gzip stream (MetaIO writes either); what lies behind its end is ignored."""
    machine = zlib.decompressobj(wbits=47)
    total = 0
    while not machine.eof and (chunk := stream.read(_CHUNK)):
        total += len(machine.decompress(chunk))
    if not machine.eof:
        raise EOFError("compressed data end too early")
    return total
