#!/bin/sh
# Fetches ONNX Runtime's C headers, which the Python wheels do not carry: Debian trixie's libonnxruntime-dev (1.21).
# Nothing is installed and no rights are needed; it takes apt-get, dpkg-deb and Debian's keyring.
#   ./headers.sh FOLDER
set -eu

[ $# -eq 1 ] || { echo "usage: $0 FOLDER, which takes the headers" >&2; exit 2; }
mkdir -p "$1"
target=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# A configuration of its own: of the system's, only the address of its archive is taken, and nothing is changed.
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mirror=$(grep -rhoE "(https?|file|ftp)://[^ ]*/debian/?( |$)" /etc/apt/sources.list /etc/apt/sources.list.d 2> /dev/null | head -n 1)
[ -n "$mirror" ] || { echo "apt must know an archive of Debian (/etc/apt/sources.list), got none" >&2; exit 4; }
echo "deb [signed-by=$keyring] ${mirror% } trixie main" > "$work/sources.list"
apt() {
    apt-get -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o Dir::State::status=/dev/null \
        -o Acquire::Languages=none -o APT::Sandbox::User="$(id -un)" "$@"
}

cd "$work"
apt update
apt download libonnxruntime-dev
dpkg-deb -x libonnxruntime-dev_*.deb files
grep -q '^#define ORT_API_VERSION 21$' files/usr/include/onnxruntime/onnxruntime_c_api.h \
    || { echo "the package must hold version 21 of the C API: see $(ls "$work"/*.deb)" >&2; exit 1; }
cp -R files/usr/include/onnxruntime/. "$target"
cp files/usr/share/doc/libonnxruntime-dev/copyright "$target"
echo "headers of $(ls libonnxruntime-dev_*.deb) are in $target"
