"""The kits for Android and iOS, as far as a machine without their SDKs can look at them."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import xml.dom.minidom
from pathlib import Path

import pytest

from tests.export import native

EXPORT = native.ROOT / "export"
MAIN = EXPORT / "android" / "app" / "src" / "main"
KOTLIN = MAIN / "kotlin" / "dev" / "edgesft" / "kit"
HEADER = (EXPORT / "cpp" / "include" / "edgesft_kit.h").read_text("utf-8")

KIT = """
package dev.edgesft.kit;

public final class Kit {
    static native long open(byte[] bundle, byte[] library, byte[] provider, int threads);
    static native void close(long kit);
    static native byte[] about(long kit);
    static native byte[] answerRow(long kit, byte[] row);
    static native byte[] answerPixels(long kit, byte[] pixels, int height, int width, int channels);
    static native byte[] answerSamples(long kit, float[] samples, int rate, float[] made);
    static native byte[] say(
        long kit, byte[] row, int most, double temperature, long topK, double topP, long seed, Told told);
    static native byte[] golden(long kit);
    static native byte[] measure(long kit, double seconds);

    static long opened(String bundle, String library) throws Exception {
        return open(bundle.getBytes("UTF-8"), library.getBytes("UTF-8"), null, 1);
    }

    public static void main(String[] words) throws Exception {
        System.load(words[0]);
        java.io.PrintStream out = new java.io.PrintStream(System.out, true, "UTF-8");
        long text = opened(words[2], words[1]);
        out.println(new String(about(text), "UTF-8"));
        byte[] row = "{\\"text\\": \\"a lovely film \\ud83d\\ude00\\"}".getBytes("UTF-8");
        out.println(new String(answerRow(text, row), "UTF-8"));
        out.println("golden:" + new String(golden(text), "UTF-8"));
        out.println(new String(measure(text, 0.01), "UTF-8").split("\\n").length > 8);
        try {
            answerRow(text, "{}".getBytes("UTF-8"));
        } catch (KitException error) {
            out.println(error.getMessage());
        }
        close(text);
        long image = opened(words[3], words[1]);
        out.println(new String(answerPixels(image, new byte[12 * 12 * 3], 12, 12, 3), "UTF-8"));
        try {
            answerPixels(image, new byte[5], 12, 12, 3);
        } catch (KitException error) {
            out.println(error.getMessage());
        }
        close(image);
        long sound = opened(words[4], words[1]);
        float[] heard = new float[200], made = new float[200];
        java.util.Arrays.fill(heard, 0.25f);
        out.println(new String(answerSamples(sound, heard, 4000, made), "UTF-8") + (made[100] != 0));
        close(sound);
        long writing = opened(words[5], words[1]);
        byte[] asked = "{\\"prompt\\": \\"\\u00dcn\\u00ef\\"}".getBytes("UTF-8");
        StringBuilder all = new StringBuilder();
        String said = new String(say(writing, asked, 20, 0.9, 20, 0.95, 3, (piece) -> {
            all.append(new String(piece, java.nio.charset.StandardCharsets.UTF_8));
            return true;
        }), "UTF-8");
        out.println(said);
        out.println(java.util.Base64.getEncoder().encodeToString(all.toString().getBytes("UTF-8")));
        out.println(new String(say(writing, asked, 20, 0, 0, 1, 0, (piece) -> false), "UTF-8"));
        try {
            say(writing, asked, 20, 0, 0, 1, 0, (piece) -> {
                throw new IllegalStateException("enough");
            });
        } catch (IllegalStateException error) {
            out.println(error.getMessage());
        }
        try {
            say(writing, asked, 20, -1, 0, 1, 0, (piece) -> true);
        } catch (KitException error) {
            out.println(error.getMessage());
        }
        close(writing);
        try {
            opened("nowhere \\u00fc", words[1]);
        } catch (KitException error) {
            out.println(error.getMessage());
        }
    }
}
"""
"""`Kit.kt` as Java has it: a compiler for Kotlin is not everywhere."""

EXCEPTION = """
package dev.edgesft.kit;

public final class KitException extends RuntimeException {
    public KitException(byte[] told) {
        super(new String(told, java.nio.charset.StandardCharsets.UTF_8));
    }
}
"""


TOLD = """
package dev.edgesft.kit;

public interface Told {
    boolean piece(byte[] bytes);
}
"""


def test_what_kotlin_calls_is_there() -> None:
    said = (KOTLIN / "Kit.kt").read_text("utf-8")
    glue = (MAIN / "cpp" / "kit_jni.cpp").read_text("utf-8")
    assert set(re.findall(r"external fun (\w+)", said)) == set(re.findall(r"Java_dev_edgesft_kit_Kit_(\w+)", glue))
    assert "class KitException(told: ByteArray)" in said and '"([B)V"' in glue
    assert "fun piece(bytes: ByteArray): Boolean" in said and '"piece", "([B)Z"' in glue
    assert set(re.findall(r"\bedgesft_kit_\w+(?=\()", glue)) <= set(re.findall(r"edgesft_kit_\w+(?=\()", HEADER))


def test_what_swift_calls_is_there() -> None:
    said = (EXPORT / "ios" / "EdgesftKit" / "Kit.swift").read_text("utf-8")
    # A structure is made as a function is called.
    assert set(re.findall(r"edgesft_kit_\w+(?=\()", said)) <= set(re.findall(r"edgesft_kit_\w+(?=[(;])", HEADER))
    for folder in re.findall(r'path: "([^"]+)"', (EXPORT / "Package.swift").read_text("utf-8")):
        assert (EXPORT / folder).is_dir()


def test_texts_and_folders_of_the_android_application() -> None:
    for file in MAIN.rglob("*.xml"):
        xml.dom.minidom.parse(str(file))
    strings = (MAIN / "res" / "values" / "strings.xml").read_text("utf-8")
    known = set(re.findall(r'string name="(\w+)"', strings))
    used = set(re.findall(r"R\.string\.(\w+)", (KOTLIN / "MainActivity.kt").read_text("utf-8")))
    assert known == used | {"name"}
    cmake = (MAIN / "cpp" / "CMakeLists.txt").read_text("utf-8")
    (up,) = re.findall(r"CMAKE_CURRENT_SOURCE_DIR}/([./]+)\)", cmake)
    assert (MAIN / "cpp" / up).resolve() == EXPORT.resolve()


@pytest.mark.slow
def test_java_reaches_the_kit(
    made: dict[str, Path], streamed: dict[str, Path], said: dict[str, Path], tmp_path: Path
) -> None:
    """The glue in C++ with the kit, on a JVM of this machine."""
    import kit
    from kit.writer import Sampling

    java, compiler = shutil.which("java"), shutil.which("javac")
    home = Path(compiler).resolve().parents[1] if compiler else Path()
    if not (java and (home / "include" / "jni.h").is_file()):
        pytest.skip("it takes a JDK with jni.h, and none is here")
    if not (native.HEADERS / "onnxruntime_c_api.h").is_file():
        pytest.skip(f"{native.HEADERS} has no onnxruntime_c_api.h: export/runner/headers.sh fetches it")
    folders = [
        home / "include",
        home / "include" / "linux",
        EXPORT / "cpp" / "include",
        EXPORT / "native",
        native.HEADERS,
    ]
    library = tmp_path / "libedgesft_kit_jni.so"
    sources = [MAIN / "cpp" / "kit_jni.cpp", EXPORT / "cpp" / "edgesft_kit.cpp"]
    command = [
        "g++",
        "-std=c++17",
        "-O0",
        "-fPIC",
        "-shared",
        "-fvisibility=hidden",
        *(f"-I{each}" for each in folders),
    ]
    subprocess.run([*command, "-o", library, *sources, "-ldl", "-lpthread"], check=True, timeout=600)
    for name, text in (("Kit", KIT), ("KitException", EXCEPTION), ("Told", TOLD)):
        (tmp_path / f"{name}.java").write_text(text)
    subprocess.run([compiler, "-d", tmp_path, *tmp_path.glob("*.java")], check=True, timeout=120)
    bundles = [made["text"], made["image"].parent / "bundle.zip", streamed["clean"].parent / "bundle.zip"]
    bundles.append(said["text-generation"])
    words = ["-cp", tmp_path, "dev.edgesft.kit.Kit", library, native.library(), *bundles]
    done = subprocess.run([java, *map(str, words)], capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert '"name":"mood"' in lines[0] and '"label":"positive"' in lines[1]
    assert lines[2:4] == ["golden:", "true"] and lines[4].startswith("2 a row must have 'text'")
    assert '"label":' in lines[5] and lines[6].startswith("2 a picture must have pixels")
    assert lines[7] == '{"rate":4000,"samples":200}true'
    expected = kit.open_bundle(said["text-generation"]).say({"prompt": "Ünï"}, 20, Sampling(0.9, 20, 0.95, 3))
    written, heard, cancelled, thrown, refused, lost = lines[8:]
    assert (json.loads(written)["tokens"], json.loads(written)["text"]) == (expected.tokens, expected.text)
    assert base64.b64decode(heard).decode() == expected.text
    assert json.loads(cancelled)["end"] == "cancelled" and len(json.loads(cancelled)["tokens"]) == 1
    assert thrown == "enough" and refused.startswith("2 temperature and top_k must be at least 0")
    assert lost == "2 bundle must be a folder or an archive that exists, got 'nowhere ü'"
