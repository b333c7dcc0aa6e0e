"""What files of activations hold: NumPy, HDF5, Zarr, torch and safetensors."""

from __future__ import annotations

import json
import math
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vidrep.similarity.arrays import RawArray, unpacked

SAFETENSORS_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass
class Found:
    """Everything that a file holds.

    Attributes:
        arrays: by name, that of a nested one with its path (``block/conv1``); sliceable, with
            ``shape``, ``ndim`` and ``dtype``; text and single numbers among them.
        layers: the names that the file itself lists as its layers, in order; empty: it lists none.
        ordered: whether ``arrays`` come in the order in which they were written.
    """

    arrays: dict[str, object]
    layers: list[str] = field(default_factory=list)
    ordered: bool = True


def read_npy(path: Path) -> Found:
    """The one array of an .npy file, under the name of the file."""
    with open(path, "rb") as file:
        dtype, shape, strides = _npy_header(file)
        offset = file.tell()
    return Found({path.stem: RawArray(path, dtype, shape, offset=offset, strides=strides)})


def _npy_header(file) -> tuple[np.dtype, tuple[int, ...], list[int]]:
    """Type, shape and strides of the array that follows in an .npy file."""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0}
    shape, by_columns, dtype = read.get(version, np.lib.format.read_array_header_2_0)(file)
    if dtype.hasobject:
        raise ValueError("an array of Python objects; save numbers, and names as text (dtype=str)")
    order = range(len(shape)) if by_columns else reversed(range(len(shape)))
    strides = [0] * len(shape)
    step = dtype.itemsize
    for axis in order:
        strides[axis] = step
        step *= shape[axis]
    return dtype, shape, strides


def read_npz(path: Path) -> Found:
    """The arrays of an .npz file, in the order in which they were written."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            with archive.open(member) as stream:
                try:
                    dtype, shape, strides = _npy_header(stream)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None
                if member.compress_type == zipfile.ZIP_STORED:
                    offset = _start_of(path, member) + stream.tell()
                    array = RawArray(path, dtype, shape, offset=offset, strides=strides)
                else:
                    array = unpacked(stream, dtype, shape, strides)
            arrays[name] = array
    return Found(arrays)


def _start_of(path: Path, member: zipfile.ZipInfo) -> int:
    """Where the content of an uncompressed member starts in its archive, in bytes."""
    with open(path, "rb") as file:
        file.seek(member.header_offset)
        header = file.read(30)
    name, extra = struct.unpack("<HH", header[26:])
    return member.header_offset + len(header) + name + extra


def read_hdf5(path: Path) -> Found:
    """The data sets of an HDF5 file; in alphabetical order unless it tracks that of writing."""
    import h5py

    root = h5py.File(path, "r")
    arrays = {}

    def visit(name: str, item) -> None:
        if isinstance(item, h5py.Dataset):
            _check_written(name, item)
            arrays[name] = item

    root.visititems(visit)
    tracked = root["/"].id.get_create_plist().get_link_creation_order()
    if tracked:
        arrays = {name: arrays[name] for name in _by_creation(root)}
    return Found(arrays, _listed(root.attrs.get("layers", ())), bool(tracked))


def _by_creation(group, prefix: str = "") -> list[str]:
    """Paths of all data sets in a group whose members come in the order of their creation."""
    names = []
    for name, item in group.items():
        path = f"{prefix}{name}"
        names += _by_creation(item, f"{path}/") if hasattr(item, "items") else [path]
    return names


def _check_written(name: str, array) -> None:
    """Refuse what was made but never filled, which HDF5 would read as zeros."""
    if not array.size or not array.ndim:
        return
    if array.chunks:
        steps = zip(array.shape, array.chunks, strict=True)
        announced = math.prod(math.ceil(size / chunk) for size, chunk in steps)
        written = array.id.get_num_chunks()
        if written < announced:
            raise ValueError(f"{name}: only {written} of its {announced} chunks were ever written")
    elif not array.id.get_storage_size() and not array.external and not array.is_virtual:
        raise ValueError(f"{name}: it was made but never written")


def read_zarr(path: Path) -> Found:
    """The arrays of a Zarr group, in a folder or a zip, or one array; Zarr keeps no order."""
    import zarr

    from vidrep.activations.store import find_array, open_store

    root = open_store(path) if path.is_file() else zarr.open(os.fspath(path), mode="r")
    if not hasattr(root, "arrays"):
        return Found({path.stem: root})
    layers = _listed(root.attrs.get("layers", ()))
    if layers:  # of an activation store, say, with other groups beside its layers
        arrays = dict(root.arrays())
        arrays.update({name: find_array(root, name)[0] for name in layers if name in root})
        return Found(arrays, layers)
    members = root.members(max_depth=None)
    arrays = {name: item for name, item in sorted(members) if hasattr(item, "shape")}
    return Found(arrays, ordered=False)


def _listed(layers) -> list[str]:
    """Names of layers as an attribute gives them."""
    names = np.asarray(layers).ravel().tolist()
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def read_torch(path: Path) -> Found:
    """The tensors of a file of ``torch.save``: one, or a dict of them, also nested.

    Only tensors, text, numbers and lists and dicts of these are unpickled (``weights_only``), and
    the numbers of tensors stay in the file.
    """
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    if not zipfile.is_zipfile(path):
        raise ValueError("cut short, or not written by torch.save of torch 1.6 or later")
    try:
        with FakeTensorMode():  # tensors without their numbers, which know where those lie
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(
            "it holds other things than tensors, text and numbers, and lists and dicts of these,"
            " which are not read from pickles; save a dict of tensors"
        ) from None
    arrays = {}
    _collect(content if isinstance(content, Mapping) else {path.stem: content}, "", arrays, path)
    return Found(arrays)


def _collect(content: Mapping, prefix: str, arrays: dict, path: Path) -> None:
    """Add the tensors and lists of a dict to ``arrays``, nested ones with their path."""
    for key, item in content.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping):
            _collect(item, f"{name}/", arrays, path)
        elif hasattr(item, "untyped_storage"):
            arrays[name] = _tensor(item, name, path)
        elif isinstance(item, (list, tuple)) and all(isinstance(x, (str, int)) for x in item):
            arrays[name] = np.array(item)


def _tensor(tensor, name: str, path: Path) -> RawArray:
    """Where the numbers of a tensor lie in its file."""
    import torch

    if tensor.layout != torch.strided or tensor.is_quantized:
        raise ValueError(f"{name}: a sparse or quantised tensor; save a dense one")
    start = tensor.untyped_storage()._checkpoint_offset
    half = tensor.dtype == torch.bfloat16
    dtype = np.dtype(np.uint16 if half else str(tensor.dtype).removeprefix("torch."))
    return RawArray(
        path,
        dtype,
        tuple(tensor.shape),
        offset=start + tensor.storage_offset() * dtype.itemsize,
        strides=[step * dtype.itemsize for step in tensor.stride()],
        bfloat16=half,
    )


def read_safetensors(path: Path) -> Found:
    """The tensors of a .safetensors file, which come in an order of its own.

    Names of rows and of layers, for which the format has no tensors, are JSON lists in its
    metadata: ``save_file(tensors, path, metadata={"ids": json.dumps(ids)})``, and ``layers``.
    """
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > path.stat().st_size:
            raise ValueError("no header of safetensors")
        header = json.loads(file.read(length))
    metadata = header.pop("__metadata__", {})
    arrays = {}
    for name, about in header.items():
        kind = about["dtype"]
        if kind not in SAFETENSORS_DTYPES:
            raise ValueError(f"{name}: numbers of type {kind}; save float32 or float16")
        arrays[name] = RawArray(
            path,
            np.dtype(SAFETENSORS_DTYPES[kind]),
            about["shape"],
            offset=8 + length + about["data_offsets"][0],
            bfloat16=kind == "BF16",
        )
    if "ids" in metadata:
        arrays["ids"] = np.array(json.loads(metadata["ids"]))
    layers = [str(name) for name in json.loads(metadata.get("layers", "[]"))]
    return Found(arrays, layers, ordered=False)


FORMATS = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".zarr": read_zarr,
    ".zip": read_zarr,
    ".pt": read_torch,
    ".pth": read_torch,
    ".safetensors": read_safetensors,
}


def read(path: Path) -> Found:
    """Everything that a file of activations holds; large arrays stay in it.

    Raises:
        ValueError: no such file, a file of another kind, or one that is damaged; names the file.
    """
    if not path.exists():
        raise ValueError(f"{path}: no such file")
    if path.suffix not in FORMATS:
        raise ValueError(f"{path}: representations are read from {', '.join(FORMATS)} files")
    try:
        return FORMATS[path.suffix](path)
    except UNREADABLE as error:
        reason = (str(error).splitlines() or ["empty"])[0]
        raise ValueError(f"{path}: not a readable {path.suffix} file ({reason})") from None
