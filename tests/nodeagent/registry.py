"""A registry that serves a few tiny images: `python -m tests.nodeagent.registry PORT`. It takes none."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
NAMES = "abcdefgh"


@dataclass(frozen=True)
class Image:
    """Of one name, always the same. No program is in it: a container can be made of it, not started."""

    name: str

    @property
    def tar(self) -> bytes:
        content = self.name.encode() * 1000
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            entry = tarfile.TarInfo(self.name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        return buffer.getvalue()

    @property
    def layer(self) -> bytes:
        return gzip.compress(self.tar, mtime=0)

    @property
    def config(self) -> bytes:
        return _json(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": ["/nothing"]},
                "rootfs": {"type": "layers", "diff_ids": [digest(self.tar)]},
            }
        )

    @property
    def manifest(self) -> bytes:
        config, layer = _part(CONFIG, self.config), _part(LAYER, self.layer)
        return _json({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]})

    @property
    def digest(self) -> str:
        return digest(self.manifest)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _json(data: dict[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True).encode()


def _part(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "size": len(data), "digest": digest(data)}


class Registry(BaseHTTPRequestHandler):
    images = {name: Image(name) for name in NAMES}

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
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Registry).serve_forever()
