"""`berth/demo:latest`: one archive, byte for byte the same wherever the same busybox is.

`python -m lab.demo_image FILE` writes it. No engine is needed to build it.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

TAG = "berth/demo:latest"
VERSION = "1"
EPOCH = "2024-01-01T00:00:00Z"
MTIME = 1704067200
APPLETS = ("sh", "cat", "date", "echo", "env", "false", "hostname", "httpd", "id", "kill", "ls", "mkdir")
MORE_APPLETS = ("nc", "printf", "ps", "sleep", "stty", "test", "touch", "true", "wc")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

DEMO = r"""#!/bin/sh
# PORT (80) and MESSAGE change the page; EXIT_AFTER seconds it ends with EXIT_CODE (0).
port="${PORT:-80}"
message="${MESSAGE:-It runs.}"
trap 'exit 0' TERM INT
mkdir -p /tmp/www
echo ok > /tmp/www/healthz
cat > /tmp/www/index.html <<EOF
<!doctype html><html lang="en"><meta charset="utf-8"><title>Berth demo</title>
<h1>$message</h1><p>host <b>$(hostname)</b>, version <b>$VERSION</b></p></html>
EOF
httpd -p "$port" -h /tmp/www || exit 1
echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) serving on port $port: $message"
seconds=0
while :; do
  # In the background: `wait` ends at once when a signal comes, `sleep` would not.
  sleep 1 & wait $!
  seconds=$((seconds + 1))
  echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) tick $seconds from $(hostname)"
  if [ -n "$EXIT_AFTER" ] && [ "$seconds" -ge "$EXIT_AFTER" ]; then exit "${EXIT_CODE:-0}"; fi
done
"""


def build(target: Path, *, tag: str = TAG, version: str = VERSION) -> str:
    """Writes a `docker load` archive and returns the image's config digest (`sha256:…`).

    Raises `FileNotFoundError` when the machine has no static busybox.
    """
    layer = _layer(_busybox().read_bytes())
    config = json.dumps(_config(layer, version), sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(config).hexdigest()
    manifest = [{"Config": f"{digest}.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_suffix(".new")
    with tarfile.open(fresh, "w", format=tarfile.USTAR_FORMAT) as archive:
        _add(archive, f"{digest}.json", config)
        _add(archive, "layer.tar", layer)
        _add(archive, "manifest.json", json.dumps(manifest).encode())
    fresh.replace(target)
    return f"sha256:{digest}"


def _busybox() -> Path:
    path = shutil.which("busybox", path="/bin:/usr/bin")
    if path is None:
        raise FileNotFoundError("busybox is not installed: apt-get install busybox-static")
    # A dynamically linked one would not start in an image without libraries.
    if b"/ld-linux" in Path(path).read_bytes()[:4096]:
        raise FileNotFoundError(f"{path} is not static: apt-get install busybox-static")
    return Path(path)


def _layer(busybox: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for folder in ("bin", "etc", "root", "var"):
            _add(archive, folder, None, mode=0o755)
        _add(archive, "tmp", None, mode=0o1777)
        _add(archive, "bin/busybox", busybox, mode=0o755)
        for applet in APPLETS + MORE_APPLETS:
            _add(archive, f"bin/{applet}", None, link="busybox")
        _add(archive, "bin/demo", DEMO.encode(), mode=0o755)
        _add(archive, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\ndemo:x:1000:1000:demo:/tmp:/bin/sh\n")
        _add(archive, "etc/group", b"root:x:0:\ndemo:x:1000:\n")
    return buffer.getvalue()


def _add(
    archive: tarfile.TarFile, name: str, data: bytes | None, *, mode: int = 0o644, link: str = ""
) -> None:
    """One entry, owned by root, with a fixed time. No `data` and no `link` makes a folder."""
    entry = tarfile.TarInfo(name)
    entry.mtime, entry.mode = MTIME, mode
    if link:
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, link, 0o777
    elif data is None:
        entry.type = tarfile.DIRTYPE
    else:
        entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data) if data is not None else None)


def _config(layer: bytes, version: str) -> dict[str, Any]:
    return {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": EPOCH,
        "config": {
            "Cmd": ["/bin/demo"],
            "Env": ["PATH=/bin", f"VERSION={version}"],
            "ExposedPorts": {"80/tcp": {}},
            "Labels": {"org.opencontainers.image.title": "Berth demo"},
            "WorkingDir": "/",
        },
        "history": [{"created": EPOCH, "created_by": "berth"}],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
