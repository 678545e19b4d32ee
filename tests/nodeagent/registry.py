"""A registry that serves a few tiny images, and those of archives; it takes none.

`python -m tests.nodeagent.registry PORT [NAME=ARCHIVE …]`
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
NAMES = "abcdefgh"


@dataclass(frozen=True)
class Image:
    """One layer, as a tar archive, and the image's configuration."""

    tar: bytes
    config: bytes

    @classmethod
    def tiny(cls, name: str) -> Image:
        """Of one name, always the same. No program is in it: a container can be made of it, not started."""
        content = name.encode() * 1000
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        layers = {"type": "layers", "diff_ids": [digest(buffer.getvalue())]}
        config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/nothing"]}, "rootfs": layers}
        return cls(buffer.getvalue(), _json(config))

    @classmethod
    def of_archive(cls, path: Path) -> Image:
        """The one image of a `docker load` archive, of one layer."""
        with tarfile.open(path) as archive:
            [manifest] = json.loads(_file(archive, "manifest.json"))
            [layer] = manifest["Layers"]
            return cls(_file(archive, layer), _file(archive, manifest["Config"]))

    @property
    def layer(self) -> bytes:
        return gzip.compress(self.tar, mtime=0)

    @property
    def manifest(self) -> bytes:
        config, layer = _part(CONFIG, self.config), _part(LAYER, self.layer)
        return _json({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]})

    @property
    def digest(self) -> str:
        return digest(self.manifest)


def _file(archive: tarfile.TarFile, name: str) -> bytes:
    found = archive.extractfile(name)
    if found is None:
        raise FileNotFoundError(name)
    return found.read()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _json(data: dict[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True).encode()


def _part(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "size": len(data), "digest": digest(data)}


class Registry(BaseHTTPRequestHandler):
    images = {name: Image.tiny(name) for name in NAMES}

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        """`/v2/`, `/v2/NAME/manifests/REFERENCE` and `/v2/NAME/blobs/DIGEST`."""
        _, _, *rest = self.path.split("/")
        found = (b"{}", "application/json") if rest == [""] else self._found(*rest)
        if found is None:
            self.send_error(404)
            return
        data, kind = found
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Docker-Content-Digest", digest(data))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def _found(self, name: str = "", kind: str = "", reference: str = "") -> tuple[bytes, str] | None:
        image = self.images.get(name)
        if image is None:
            return None
        if kind == "manifests" and reference in (image.digest, "latest"):
            return image.manifest, MANIFEST
        blobs = {digest(data): data for data in (image.config, image.layer)}
        return (blobs[reference], "application/octet-stream") if reference in blobs else None


if __name__ == "__main__":
    for argument in sys.argv[2:]:
        name, _equals, path = argument.partition("=")
        Registry.images[name] = Image.of_archive(Path(path))
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Registry).serve_forever()
