"""Fetch the MNIST archives from mirrors; only files with the known size and checksum are kept."""

import hashlib
import os
import urllib.request
from http.client import HTTPException

from vidrep.files import whole

FILES = {  # name: bytes, sha256
    "train-images-idx3-ubyte.gz": (
        9912422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    "train-labels-idx1-ubyte.gz": (
        28881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    "t10k-images-idx3-ubyte.gz": (
        1648877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    "t10k-labels-idx1-ubyte.gz": (
        4542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
}
TIMEOUT_S = 60


def fetch(
    name: str,
    mirrors: list[str],
    path: str | os.PathLike,
    *,
    files: dict[str, tuple[int, str]] = FILES,
) -> str:
    """Download one archive from the first mirror that delivers it whole.

    Args:
        name: a key of ``files``.
        mirrors: addresses of folders that hold the file (http, https, file), tried in order.
        path: where the file goes; it appears only after its size and sha256 were checked.
        files: known files: name to size in bytes and sha256.

    Returns:
        The address that served the file.

    Raises:
        ValueError: unknown file, no mirrors, or none of them delivered it; the message says what
            happened at each.
    """
    if name not in files:
        raise ValueError(f"unknown file {name!r}: choose one of {', '.join(files)}")
    if not mirrors:
        raise ValueError(f"no mirror given for {name}")
    failures = []
    for mirror in mirrors:
        address = f"{mirror.rstrip('/')}/{name}"
        try:
            content = _download(address, *files[name])
        except (OSError, ValueError, HTTPException) as error:
            failures.append(f"{address}: {error}")
            continue
        with whole(path) as beside:
            beside.write_bytes(content)
        return address
    raise ValueError(
        f"could not fetch {name} from any of {len(mirrors)} mirrors: {'; '.join(failures)}"
    )


def _download(address: str, size: int, sha256: str) -> bytes:
    with urllib.request.urlopen(address, timeout=TIMEOUT_S) as response:
        content = response.read(size + 1)  # a wrong, endless answer must not fill the memory
    if len(content) != size:
        found = f"more than {size}" if len(content) > size else str(len(content))
        raise ValueError(f"got {found} bytes, expected {size}")
    if (digest := hashlib.sha256(content).hexdigest()) != sha256:
        raise ValueError(f"sha256 {digest} instead of {sha256}")
    return content
