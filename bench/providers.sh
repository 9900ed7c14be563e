#!/usr/bin/env bash
# Builds the environments of other providers, each by itself, from the package registries alone; nothing is installed
# on the machine, and no rights are needed.
#
#     bench/providers.sh FOLDER (qnn | openvino | webgpu | vulkan | arm64 | gpu)
#
# The versions are those that were tried together; but those of gpu are what its packages ask for, and were not run.
set -euo pipefail
folder=$1 name=$2
place="$folder/$name"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder"

environment() { # packages…
    python3 -m venv "$place"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6 "$@"
}

# The archive of that name that this machine's own apt takes packages from.
mirror() {
    local found
    found=$(grep -rhoE "(https?|file|ftp)://[^ ]*/$1/?( |$)" /etc/apt/sources.list /etc/apt/sources.list.d 2> /dev/null | head -n 1)
    [ -n "$found" ] || { echo "apt must know an archive called $1 (/etc/apt/sources.list), got none" >&2; exit 4; }
    echo "${found% }"
}

# Debian's packages of an architecture, unpacked into a folder: debian ARCHITECTURE SUITE FOLDER PACKAGES…
debian() {
    local architecture=$1 suite=$2 into=$3
    shift 3
    local apt=(
        apt-get -qq -o "APT::Architecture=$architecture" -o "APT::Architectures=$architecture"
        -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$work/lists"
        -o "Dir::Cache=$work/cache" -o Dir::State::status=/dev/null -o APT::Sandbox::User=root
    )
    local keys=/usr/share/keyrings/debian-archive-keyring.gpg archive security
    archive=$(mirror debian)
    security=$(mirror debian-security)
    printf 'deb [signed-by=%s] %s %s main\n' "$keys" "$archive" "$suite" > "$work/sources.list"
    printf 'deb [signed-by=%s] %s %s-security main\n' "$keys" "$security" "$suite" >> "$work/sources.list"
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/debs-$architecture" "$into"
    "${apt[@]}" update
    (cd "$work/debs-$architecture" && "${apt[@]}" download "$@")
    for package in "$work/debs-$architecture"/*.deb; do dpkg-deb -x "$package" "$into"; done
}

vulkan() { # SwiftShader, a GPU in software, which Debian's browser brings
    debian amd64 bookworm "$work/root" chromium-common
    mkdir -p "$place"
    cp "$work/root"/usr/lib/chromium/{libvk_swiftshader.so,libvulkan.so.1,vk_swiftshader_icd.json} "$place/"
}

arm64() { # an interpreter and the runtime's own wheel for ARM, under an emulator of the processor
    debian amd64 bookworm "$work/host" qemu-user-static
    mkdir -p "$place/wheels" "$place/site" "$place/root/proc"
    cp "$work/host/usr/bin/qemu-aarch64-static" "$place/"
    debian arm64 bookworm "$place/root" python3.11-minimal libpython3.11-minimal libpython3.11-stdlib python3.11 libc6 \
        libstdc++6 libgcc-s1 zlib1g libexpat1 libffi8 libssl3 libbz2-1.0 liblzma5 libuuid1 libcrypt1
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 \
        --dest "$place/wheels" onnxruntime==1.32.0 numpy==2.4.6
    for wheel in "$place"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$place/site"; done
    # The runtime reads what the processor can from here, and this emulator shows programs the host's own.
    for core in 0 1; do
        printf '%s\n' "processor	: $core" 'model name	: QEMU, a Cortex-A76' 'BogoMIPS	: 100.00' \
            'Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs' \
            'CPU implementer	: 0x41' 'CPU architecture: 8' 'CPU variant	: 0x4' 'CPU part	: 0xd0b' 'CPU revision	: 1' ''
    done > "$place/root/proc/cpuinfo"
    cat > "$place/python" <<'SCRIPT'
#!/bin/sh
here=$(dirname "$0")
exec env PYTHONPATH="$here/site" "$here/qemu-aarch64-static" -cpu cortex-a76 -L "$here/root" "$here/root/usr/bin/python3.11" "$@"
SCRIPT
    chmod +x "$place/python"
}

gpu() { # CUDA 13 and cuDNN 9 come with the runtime's own extras: a few GB
    environment 'onnxruntime-gpu[cuda,cudnn]==1.31.1'
    # Its TensorRT provider is linked against libnvinfer.so.10 and libnvonnxparser.so.10. NVIDIA's package of them is only
    # a stub in the usual registry, which fetches from NVIDIA's own; TENSORRT may name a folder that has them.
    if [ -z "${TENSORRT:-}" ]; then
        "$place/bin/python" -m pip install --quiet --disable-pip-version-check 'tensorrt-cu13-libs==10.16.1.11' ||
            echo "TensorRT's libraries cannot be had from this registry: its rows will say so. TENSORRT=FOLDER names them" >&2
    fi
    mkdir -p "$place/libraries"
    find "$place"/lib/python3*/site-packages/nvidia "$place"/lib/python3*/site-packages/tensorrt_libs \
        ${TENSORRT:+"$TENSORRT"} -name '*.so*' -exec ln -sfr -t "$place/libraries" {} + 2> /dev/null || true
}

rm -rf "$place"
case $name in
    qnn) environment onnxruntime==1.32.0 onnxruntime-qnn==2.7.0 ;;
    openvino) environment onnxruntime-openvino==1.24.1 ;;
    webgpu) environment onnxruntime-webgpu==1.27.0 ;;
    vulkan) vulkan ;;
    arm64) arm64 ;;
    gpu) gpu ;;
    *) echo "name must be one of qnn, openvino, webgpu, vulkan, arm64, gpu, got $name" >&2; exit 2 ;;
esac
touch "$place/.ready"
