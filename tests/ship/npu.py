"""A provider that compiles ahead, as its agent is seen from here: what it compiles is the model itself, in a node."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
from onnx import helper

from edgesft.measure.devices import Interpreter
from edgesft.measure.driver import USUAL, MeasureError
from edgesft.measure.model.fixed import Fixed, fixed
from edgesft.measure.replies import Loaded
from edgesft.ship.session import Place
from edgesft.spec.profile import SessionSpec

QNN = "QNNExecutionProvider"

SDK = "v2.51.0.260929181845"

MACHINE = Interpreter(Path("/npu/python"), label="npu")


class Npu:
    """Takes the place of `measure.driver.Agent`. It never writes the same bytes twice.

    Attributes:
        sdk: Version of the vendor's libraries that its plugin has.
        off: What its compiled models answer too much.
        seen: Chips that it compiled for.
        sessions: Levels of optimisation and entries with which it did so.
    """

    sdk: ClassVar[str] = "2.51.0"
    off: ClassVar[float] = 0.0
    seen: ClassVar[list[str]] = []
    sessions: ClassVar[list[tuple[str, dict[str, str]]]] = []
    written: ClassVar[Any] = itertools.count()

    def __init__(self, threads: int = 1, device: Any = None) -> None:
        self.session: Any = None
        self.fixed: Fixed | None = None
        self.more = 0.0

    def __enter__(self) -> Npu:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def info(self) -> dict[str, Any]:
        return {
            "runtime": "1.32.0",
            "providers": ["CPUExecutionProvider", QNN],
            "plugins": {QNN: {"package": "onnxruntime-qnn 2.7.0", "sdk": self.sdk}},
            "machine": {"architecture": "x86_64", "system": "Linux"},
        }

    def load(
        self,
        model: Path,
        providers: Sequence[Any],
        threads: int,
        *,
        session: SessionSpec = USUAL,
        beside: Sequence[Path] = (),
        nameless: bool = False,
    ) -> Loaded:
        import onnxruntime

        told = onnx.load(str(model))
        node = next((each for each in told.graph.node if each.op_type == "EPContext"), None)
        data, self.more = model.read_bytes(), 0.0
        if node is not None:
            said = {each.name: helper.get_attribute_value(each) for each in node.attribute}
            held = said["ep_cache_context"]
            data, self.more = held if said["embed_mode"] else (model.parent / held.decode()).read_bytes(), self.off
        elif config := session.entries:
            self.seen.append(providers[0].options["soc_model"])
            own = {name: value for name, value in config.items() if "ep." not in name}
            self.sessions.append((session.optimisation, own))
            self._compile(told, data, Path(config["ep.context_file_path"]), int(config["ep.context_embed_mode"]))
        try:
            self.session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise MeasureError(str(error), "load", str(error)) from error
        self.fixed = fixed(told)
        return Loaded(1, None, None, None, (), (), "a chip that is not there", self.fixed)

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = [value.name for value in self.session.get_outputs()]
        found = self.session.run(names, self.fixed.pad(feeds) if self.fixed else dict(feeds))
        outputs = {name: array + self.more for name, array in zip(names, found, strict=True)}
        return self.fixed.crop(outputs, feeds) if self.fixed else outputs

    def _compile(self, told: onnx.ModelProto, data: bytes, file: Path, embed: int) -> None:
        beside = file.with_name("model_qnn.bin")
        if not embed:
            beside.write_bytes(data)
        held = data if embed else beside.name
        node = helper.make_node(
            "EPContext",
            [value.name for value in told.graph.input],
            [value.name for value in told.graph.output],
            domain="com.microsoft",
            **{"embed_mode": embed, "ep_cache_context": held, "source": QNN, "ep_sdk_version": SDK},
        )
        graph = helper.make_graph([node], "compiled", list(told.graph.input), list(told.graph.output))
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
        made = helper.make_model(graph, opset_imports=opsets, ir_version=10, doc_string=str(next(self.written)))
        onnx.save(made, str(file))


def compiling(run: Path, folder: Path, options: Mapping[str, str] | None = None) -> Path:
    """A copy of a run that was for an NPU."""
    made = Path(shutil.copytree(run, folder / "run"))
    results = json.loads((made / "results.json").read_text())
    provider = {"name": QNN, "options": {"soc_model": "57"} if options is None else dict(options)}
    results["environment"]["profile"] |= {"providers": [provider]}
    (made / "results.json").write_text(json.dumps(results))
    return made


def on(chip: str) -> Place:
    """An NPU of this chip."""
    return Place(QNN, {"soc_model": chip}, MACHINE)
