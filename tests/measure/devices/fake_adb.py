"""A program in place of adb: the phone is a folder of this machine, and it fails as it is told to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ADB = r"""#!/bin/sh
# Called as adb -s SERIAL shell -T SCRIPT, or push FILE PLACE; what it says where it fails are adb's own words.
echo "$*" >> "$FAKE_ADB/asked"
case "$FAKE_ADB_SAYS" in "") ;; *) echo "$FAKE_ADB_SAYS" >&2; exit 1;; esac
[ "$1 $2" = "-s 1A2B" ] || { echo "error: device '$2' not found" >&2; exit 1; }
shift 2
case "$1" in
shell)
    [ "$2" = -T ] || exit 64
    cd "$FAKE_ADB/root" || exit 64
    PATH="$FAKE_ADB/bin:$PATH" sh -c "$3"
    code=$?
    # Where the phone is gone there is nobody who tells an exit code.
    [ ! -e "$FAKE_ADB/gone" ] || exit 0
    exit $code;;
push)
    if [ -n "$FAKE_ADB_FULL" ]; then
        head -c 9 "$2" > "$3"
        echo "adb: error: failed to copy '$2' to '$3': remote write failed: No space left on device" >&2
        exit 1
    fi
    cp "$2" "$3" && echo "$2: 1 file pushed, 0 skipped.";;
*) exit 64;;
esac
"""

PROGRAMS = {
    "getprop": 'echo "$FAKE_ADB_ABI"',
    # Android's takes a mask alone; the real one of this machine would take it, too, but its cores may be fewer.
    "taskset": 'echo "$1" > "$FAKE_ADB/mask"; shift; exec "$@"',
    # Links between files are forbidden there.
    "ln": "echo 'ln: cannot create hard link: Permission denied' >&2; exit 1",
}


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, abi: str) -> Path:
    """Makes it the adb that is found first; `root` in the folder is the phone's file system.

    Args:
        folder: An empty one.
        monkeypatch: Of the test.
        abi: Processors that the phone tells.
    """
    for name in ("root", "bin", "path"):
        (folder / name).mkdir(parents=True)
    for path, text in {
        "path/adb": ADB,
        **{f"bin/{name}": f"#!/bin/sh\n{PROGRAMS[name]}\n" for name in PROGRAMS},
    }.items():
        (folder / path).write_text(text)
        (folder / path).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'path'}:{os.environ['PATH']}")
    for name, value in {"FAKE_ADB": str(folder), "FAKE_ADB_ABI": abi, "FAKE_ADB_SAYS": "", "FAKE_ADB_FULL": ""}.items():
        monkeypatch.setenv(name, value)
    return folder
