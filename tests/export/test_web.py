"""The kit for browsers, in a browser: WebAssembly and WebGPU, equal answers, refusals, figures that gate."""

from __future__ import annotations

import functools
import http.server
import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.cli.main import main
from edgesft.measure.recording import recordings
from tests.export.bundles import FRAME
from tests.export.chromium import WEBGPU, Chromium
from tests.export.kinds import Made
from tests.export.same import same
from tests.export.script import installed, node
from tests.export.test_node import pictures, reference, sounds, texts
from tests.export.texts import characters
from tests.ship import runs

pytestmark = pytest.mark.kits

DONE = "document.querySelector('#golden .badge')?.textContent || document.querySelector('#problems')?.hidden === false"

ASK = """(async () => {
    const {Remote} = await import('/web/remote.js');
    const {sound} = await import('/web/files.js');
    const remote = new Remote();
    const place = new URL(new URLSearchParams(location.search).get('bundle'), location.href).href;
    await remote.ask('open', {place, provider: %s, threads: 1, variant: %s});
    const rows = %s;
    const found = [];
    for (const row of rows) found.push(await remote.ask('answer', {row}));
    remote.close();
    return found.map((each) => (each.samples ? {...each, samples: [...each.samples]} : each));
})()"""
"""Answers to rows, by the page's own modules."""

WITHIN = {"wasm": 1e-5, "webgpu": 1e-4}
"""How far a probability may lie from the reference's: sums are taken in another order."""


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kit with its packages."""
    node()
    return installed("web", tmp_path_factory.mktemp("web"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Chromium]]:
    """A browser for a provider, started when it is first asked for."""
    found: dict[str, Chromium] = {}

    def get(provider: str = "wasm") -> Chromium:
        if provider not in found:
            flags = WEBGPU if provider == "webgpu" else ()
            found[provider] = Chromium(tmp_path_factory.mktemp(f"profile-{provider}"), *flags)
        return found[provider]

    yield get
    for each in found.values():
        each.close()


@contextmanager
def served(kit: Path, bundle: Path, *words: str) -> Iterator[str]:
    """The address of a bundle's page."""
    command = [node(), str(kit / "serve.mjs"), str(bundle), "--port", "0", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("provider", ["wasm", "webgpu"])
@pytest.mark.parametrize("kind", ["text", "image", "stream"])
@pytest.mark.parametrize("form", ["bundle.zip", "bundle"])
def test_golden_rows(kit: Path, browser: Any, made: Mapping[str, Path], provider: str, kind: str, form: str) -> None:
    page = browser(provider)
    with served(kit, made[kind].parent / form) as address:
        page.goto(
            f"{address}?provider={provider}"
            if provider == "wasm"
            else f"{address}web/?bundle=../{form}{'' if form.endswith('zip') else '/'}&provider=webgpu"
        )
        page.wait(DONE)
        assert page.evaluate("document.querySelector('#golden .badge').textContent") == "hold"
        expected = {"wasm": "CPUExecutionProvider", "webgpu": "WebGpuExecutionProvider"}[provider]
        assert f"on {expected} of ONNX Runtime" in page.text()
        assert kind != "text" or "5 texts become the tokens" in page.text()


@pytest.mark.parametrize("provider", ["wasm", "webgpu"])
@pytest.mark.parametrize("variant", ["fp32", "fp32-static"])
def test_texts(kit: Path, browser: Any, made: Mapping[str, Path], provider: str, variant: str) -> None:
    page, rows = browser(provider), texts(made)
    with served(kit, made["text"].parent / "bundle.zip") as address:
        page.goto(address)
        answers = page.evaluate(ASK % (json.dumps(provider), json.dumps(variant), json.dumps(rows)))
    same(answers, reference(made["text"], rows), WITHIN[provider])


@pytest.mark.parametrize("task", ["words", "heads", "passages"])
def test_other_tasks(kit: Path, browser: Any, runs_of: Mapping[str, Made], task: str) -> None:
    page, made = browser(), runs_of[task]
    rows = made.rows[:8]
    with served(kit, made.bundle) as address:
        page.goto(address)
        answers = page.evaluate(ASK % ('"wasm"', "undefined", json.dumps(rows)))
        same(answers, reference(made.bundle, rows))
        page.wait(DONE)
        assert page.evaluate("document.querySelector('#golden .badge').textContent") == "hold"
        if task == "passages":
            page.evaluate("document.querySelector('#question input').value = 'the mood'")
            page.evaluate(f"document.querySelector('#input').value = {json.dumps(rows[0]['context'])}")
            page.evaluate("document.querySelector('#text').requestSubmit()")
            page.wait("document.querySelector('#answer').innerText")
            assert page.evaluate("document.querySelector('#answer').innerText").strip() == answers[0]["answer"]


def asked(page: Chromium, provider: str, selector: str, files: Sequence[Path], row: str) -> list[Any]:
    """Answers to files, which a person's picker put into an input."""
    page.wait(DONE)
    page.evaluate(f"document.querySelector('{selector}').multiple = true")
    page.choose(selector, *files)
    rows = f"await Promise.all([...document.querySelector('{selector}').files].map(async (file) => ({row})))"
    return page.evaluate(ASK % (json.dumps(provider), "undefined", rows))


@pytest.mark.parametrize("provider", ["wasm", "webgpu"])
def test_pictures(kit: Path, browser: Any, made: Mapping[str, Path], tmp_path: Path, provider: str) -> None:
    # A browser rounds 16 bits to 8, where the reference takes the upper 8.
    files = [file for file in pictures(made, tmp_path) if file.name != "deep.png"]
    page = browser(provider)
    with served(kit, made["image"].parent / "bundle.zip") as address:
        page.goto(address)
        answers = asked(page, provider, "#image", files, "{image: file}")
    same(answers, reference(made["image"], [{"image": str(file)} for file in files]), WITHIN[provider])


@pytest.mark.parametrize("provider", ["wasm", "webgpu"])
def test_a_stream(kit: Path, browser: Any, made: Mapping[str, Path], provider: str) -> None:
    from edgesft.data.media import audio

    page, files = browser(provider), sounds(made)
    samples = [audio.decode(str(file))[0].mean(axis=1).astype("float32") for file in files]
    rows = [{"frame": each[: len(each) // FRAME * FRAME].reshape(-1, FRAME)} for each in samples]
    with served(kit, made["stream"].parent / "bundle.zip") as address:
        page.goto(address)
        answers = asked(page, provider, "#audio", files, "{frame: await sound(file, 16000)}")
    same(answers, reference(made["stream"], rows), WITHIN[provider])


@pytest.mark.parametrize("provider", ["wasm", "webgpu"])
@pytest.mark.parametrize("kind", ["clean", "voice"])
def test_frames(kit: Path, browser: Any, streamed: Mapping[str, Path], kind: str, provider: str) -> None:
    page, folder = browser(provider), streamed[kind].parent
    file = folder / "rows/noisy.wav"
    with served(kit, folder / "bundle.zip") as address:
        page.goto(f"{address}web/?bundle=../bundle.zip&provider={provider}")
        (answer,) = asked(page, provider, "#audio", [file], "{audio: await sound(file, 4000)}")
        assert page.evaluate("document.querySelector('#golden .badge').textContent") == "hold"
        page.wait(f"!document.querySelector('{'#played' if kind == 'clean' else '#course'}').hidden")
    (expected,) = reference(folder / "bundle", [{"audio": str(file)}])
    expected |= {"samples": expected["samples"].tolist()} if kind == "clean" else {}
    same(answer, expected, WITHIN[provider])


def test_every_character_is_of_the_kind_that_tokenizers_says(kit: Path, browser: Any, made: Mapping[str, Path]) -> None:
    """A browser has tables of Unicode of its own."""
    from tokenizers import normalizers, pre_tokenizers

    page, texts = browser(), [f"a{letter}b" for letter in characters()]
    reference, splitting = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    with served(kit, made["text"].parent / "bundle.zip") as address:
        page.goto(address)
        told = {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
        code = """(async (texts, told) => {
            const {normalised, traced, words} = await import('/js/wordpiece.js');
            const all = texts.map(traced);
            return all.map((each) => [normalised(each, told).text, words(each).map((word) => word.text)]);
        })(%s, %s)"""
        found = page.evaluate(code % (json.dumps(texts), json.dumps(told)))
    for text, (mine, split) in zip(texts, found, strict=True):
        assert mine == reference.normalize_str(text), repr(text)
        assert split == [word for word, _ in splitting.pre_tokenize_str(text)], repr(text)


def test_a_person_at_the_page(kit: Path, browser: Any, made: Mapping[str, Path]) -> None:
    page = browser()
    with served(kit, made["text"].parent / "bundle.zip") as address:
        page.goto(address)
        page.wait(DONE)
        assert page.evaluate("document.title") == "mood – edgesft bundle"
        page.evaluate("document.querySelector('#input').value = 'the film is great'")
        page.evaluate("document.querySelector('#text').requestSubmit()")
        page.wait("document.querySelector('#answer').innerText")
        assert page.evaluate("document.querySelector('#answer .label').innerText").startswith("positive")
        # Another bundle, by its file.
        page.choose("#archive", made["stream"].parent / "bundle.zip")
        page.wait("document.title.startsWith('tones')")
        page.wait(DONE)
        page.choose("#audio", sorted((made["stream"].parent / "rows/rising").glob("*.wav"))[0])
        page.wait("!document.querySelector('#course').hidden")
        assert "Probability of “rising” over 6 frames." in page.text() and "rising" in page.text()
        assert page.evaluate("document.querySelectorAll('#try form:not([hidden])').length") == 0
        assert not [line for line in page.console if "favicon" not in line], page.console


@pytest.mark.parametrize("kind", ["clean", "voice"])
def test_a_microphone(kit: Path, streamed: Mapping[str, Path], tmp_path: Path, kind: str) -> None:
    """What Chromium has in the place of one plays a file, again and again."""
    import soundfile

    tone = 0.3 * np.sin(np.arange(48000) * 2 * np.pi * 440 / 48000)
    soundfile.write(tmp_path / "tone.wav", tone, 48000, subtype="PCM_16")
    flags = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    page = Chromium(tmp_path / "profile", *flags, f"--use-file-for-fake-audio-capture={tmp_path / 'tone.wav'}")
    try:
        with served(kit, streamed[kind].parent / "bundle.zip") as address:
            page.goto(address)
            page.wait(DONE)
            page.evaluate("document.querySelector('#microphone').click()")
            page.wait("document.querySelector('#microphone').textContent === 'Stop'")
            page.evaluate("new Promise((resolve) => setTimeout(resolve, 1500))")
            page.evaluate("document.querySelector('#microphone').click()")
            page.wait("document.querySelector('#microphone').textContent === 'Listen'")
            if kind == "voice":
                page.wait("!document.querySelector('#course').hidden")
                assert "Probability of “tone” over" in page.text()
                return
            page.wait("!document.querySelector('#played').hidden")
            code = "fetch(document.querySelector('#played a').href).then((got) => got.arrayBuffer())"
            heard = page.evaluate(f"{code}.then((data) => [...new Float32Array(data.slice(44))])")
            spectrum = np.abs(np.fft.rfft(heard))
            assert len(heard) > 2000 and abs(spectrum.argmax() * 4000 / len(heard) - 440) < 10
    finally:
        page.close()


def test_what_is_changed_is_refused_by_name(kit: Path, browser: Any, made: Mapping[str, Path], tmp_path: Path) -> None:
    page, broken = browser(), runs.copy(made["text"], tmp_path / "b")
    runs.flip(broken / "models/fp32/model.onnx")
    (broken / "lineage.json").unlink()
    with served(kit, broken) as address:
        page.goto(address)
        page.wait(DONE)
        problems = page.evaluate("document.querySelector('#problems').innerText")
    assert "models/fp32/model.onnx: must have sha256" in problems
    assert "lineage.json: must be there, got 404" in problems
    assert page.evaluate("document.querySelector('#try').hidden")
    (broken / "extra.bin").write_bytes(b"x")
    (broken / "lineage.json").write_bytes((made["text"] / "lineage.json").read_bytes())
    runs.zipped(list(runs.contents(broken).items()), tmp_path / "b.zip")
    with served(kit, tmp_path / "b.zip") as address:
        page.goto(address)
        page.wait(DONE)
        problems = page.evaluate("document.querySelector('#problems').innerText")
    assert "extra.bin: must be a file of the manifest" in problems and "models/fp32/model.onnx" in problems


def test_what_is_no_bundle(kit: Path, browser: Any, made: Mapping[str, Path]) -> None:
    page = browser()
    with served(kit, made["text"].parent / "bundle.zip") as address:
        page.goto(f"{address}web/?bundle=../nothing.zip")
        page.wait(DONE)
        assert "got 404 for" in page.text()
        page.choose("#archive", made["text"].parent / "rows.jsonl")
        page.wait("document.querySelector('#problems').innerText.includes('archive must')")


def measured(page: Chromium, seconds: float = 0.5) -> None:
    page.wait(DONE)
    page.evaluate(f"document.querySelector('#seconds').value = '{seconds}'")
    page.evaluate("document.querySelector('#measure').click()")
    page.wait("!document.querySelector('#save').hidden")
    page.evaluate("document.querySelector('#send').click()")
    page.wait("document.querySelector('#status').textContent === 'Sent.'")


def test_figures_gate(kit: Path, browser: Any, tmp_path: Path) -> None:
    """Of a model that takes long enough for the clock, which steps by 5 µs."""
    run = runs.write(tmp_path)
    model = slow_model(run)
    from edgesft.ship.pack import Order, pack
    from tests.ship.conftest import QUIET

    bundle = pack(Order(run, tmp_path / "b", variants=("model",)), QUIET).path
    page, device, budget = browser(), tmp_path / "device.jsonl", tmp_path / "budget.yaml"
    with served(kit, bundle, "--measurements", str(device)) as address:
        page.goto(address)
        measured(page)
    (found,) = recordings(device)
    (info,) = [json.loads(line) for line in device.read_text("utf-8").splitlines()][:1]
    assert info["clock_ns"] == 5000 and info["machine"]["isolated"] and info["runtime_bytes"] > 10_000_000
    assert found.measurement.machine["cores"] and found.measurement.machine["onnxruntime"] == "onnxruntime-web 1.30.0"
    assert len(found.measurement.rounds) == 20 and not found.suspicions
    for limit, code in ((1000, 0), (1e-6, 1)):
        budget.write_text(f"version: 1\nprofile: x86-1-thread\nlatency_ms: {{p50: {limit}}}\n")
        command = ["check", str(model), "--budget", str(budget), "--measurements", str(device), "--quiet"]
        assert main(command) in (code, 3)  # 3 where a busy machine was not steady enough.


def slow_model(run: Path) -> Path:
    """Makes a run's model one whose table is 20 MB, and gives the file of its bundle."""
    import onnx

    from tests.ship.test_kinds import renewed

    onnx.save(runs.model(width=40_000), str(run / "model.onnx"))
    renewed(run)
    return run.parent / "b/models/fp32/model.onnx"


def test_a_model_that_is_shorter_than_the_clock_can_tell(
    kit: Path, browser: Any, made: Mapping[str, Path], tmp_path: Path
) -> None:
    page, device = browser(), tmp_path / "device.jsonl"
    with served(kit, made["text"].parent / "bundle.zip", "--measurements", str(device)) as address:
        page.goto(address)
        measured(page)
        assert "A sample is the mean of" in page.text()
    (found,) = recordings(device)
    assert found.suspicions and "the mean of" in found.suspicions[0]


def test_a_gpu_in_software_is_never_timed(kit: Path, browser: Any, made: Mapping[str, Path], tmp_path: Path) -> None:
    page, device = browser("webgpu"), tmp_path / "device.jsonl"
    with served(kit, made["text"].parent / "bundle.zip", "--measurements", str(device)) as address:
        page.goto(f"{address}web/?bundle=../bundle.zip&send=/measurements&provider=webgpu")
        measured(page)
        assert page.evaluate("document.querySelector('#latency table').hidden")
    (found,) = recordings(device)
    assert "swiftshader" in found.measurement.simulated and not found.measurement.rounds
    assert found.measurement.provider == "WebGpuExecutionProvider"


def test_without_a_gpu_nothing_runs_in_its_place(kit: Path, browser: Any, made: Mapping[str, Path]) -> None:
    page = browser()
    with served(kit, made["text"].parent / "bundle.zip") as address:
        page.goto(f"{address}web/?bundle=../bundle.zip&provider=webgpu")
        page.wait(DONE)
        assert "WebGPU must find an adapter, got none" in page.text()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A host of files that knows nothing of isolation."""

    def log_message(self, *args: object) -> None:
        pass


def test_any_host_of_files_and_then_no_network(
    kit: Path, browser: Any, made: Mapping[str, Path], tmp_path: Path
) -> None:
    page, site = browser(), tmp_path / "site"
    subprocess.run([node(), str(kit / "serve.mjs"), str(made["text"]), "--site", str(site)], check=True)
    assert not list(site.rglob("*.md.")) and (site / "ort/ort.wasm.min.mjs").is_file()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page.goto(f"http://localhost:{server.server_address[1]}/web/?bundle=../bundle/")
        page.wait(DONE)
        assert not page.evaluate("crossOriginIsolated")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        for _ in range(2):  # Once to be kept, once to be isolated by what was kept.
            page.goto(f"http://localhost:{server.server_address[1]}/web/?bundle=../bundle/")
            page.wait(DONE)
        assert page.evaluate("crossOriginIsolated") and page.evaluate("document.querySelector('#threads').length > 1")
    finally:
        server.shutdown()
        server.server_close()
    page.goto(f"http://localhost:{server.server_address[1]}/web/?bundle=../bundle/&threads=2")
    page.wait(DONE)
    assert page.evaluate("document.querySelector('#golden .badge').textContent") == "hold"
    assert "2 threads" in page.text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "node serve.mjs BUNDLE"),
        (("/nothing",), "must be a folder or an archive that exists"),
        (("{bundle}", "--porto", "1"), "--porto"),
    ],
)
def test_what_is_said_wrongly(kit: Path, made: Mapping[str, Path], words: tuple[str, ...], message: str) -> None:
    command = [node(), str(kit / "serve.mjs"), *(word.format(bundle=made["text"]) for word in words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and message in done.stderr and "    at " not in done.stderr


@pytest.mark.parametrize(
    "path", ["/web/../../package.json", "/js/..%2f..%2fREADME.md", "/etc/passwd", "/bundle/../x", "/web/%00"]
)
def test_nothing_else_is_served(kit: Path, made: Mapping[str, Path], path: str) -> None:
    import http.client

    with served(kit, made["text"]) as address:
        connection = http.client.HTTPConnection(address.split("/")[2])
        connection.request("GET", path)
        assert connection.getresponse().status in (400, 404)
