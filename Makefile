# make run, make test: set-up included. Each target can be called alone on a fresh clone.
PYTHON ?= python3.11
BIN := .venv/bin
OUT ?= results
VIDEO := $(OUT)/ssf-small
IMAGE := $(OUT)/mbt2018-mean-relu-small
GRAPHS ?= 10000
DECODERS ?= 300
MUTANTS ?= 1000
WORKERS ?= 2
VALUES ?= 1000000000
SIZE = 768x512
LEGS ?= cpu,openvino,cpu:opt=off,cpu:flavour=carrier
# Every leg that a machine without a GPU can have; those with an environment of their own are installed.
OWN := webgpu wasm OpenVINOExecutionProvider cpu@neoverse-n1
MATRIX ?= exact torch torch:isa=sse41 cpu cpu:opt=off cpu:flavour=carrier openvino reference webgpu wasm \
    OpenVINOExecutionProvider cpu@haswell cpu@nehalem cpu@neoverse-n1 exact@neoverse-n1
TESTED := exact cpu cpu:opt=off openvino reference webgpu wasm OpenVINOExecutionProvider:device_type=CPU cpu@haswell \
    cpu@nehalem cpu@neoverse-n1
TRACES := $(OUT)/matrix
export NVC_CHECK_HOME ?= $(CURDIR)/.legs

SOURCES := $(shell find models exporter runtimes checker -name '*.py' -o -name '*.mjs') $(wildcard models/weights/*)

.PHONY: install system legs run test heavy check lint-workflows matrix conformance idioms bench fuzz mutations packages \
    values full layers clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt setuptools \
	    -e '.[export,cpu,openvino,dev]' --config-settings editable_mode=strict
	touch $@

system:
	.ci/system

# Before tests are collected: a leg that is missing fails, it is not left out.
legs: install system
	$(BIN)/nvc-check providers $(OWN:%=--install %)

run: install
	$(BIN)/nvc-check export ssf-small --out $(VIDEO)
	$(BIN)/nvc-check sample --out $(OUT)/sample.y4m
	$(BIN)/nvc-check compare $(VIDEO) --input $(OUT)/sample.y4m --providers '$(LEGS)' \
	    --json $(OUT)/report.json --out $(OUT)/maps

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=tests $(BIN)/mypy tests --explicit-package-bases
	$(BIN)/pyright
	$(BIN)/lint-imports
	.ci/lint-workflows

lint-workflows:
	.ci/lint-workflows

# Two at a time, each file in one process: its fixtures are made once. WORKERS=0 runs all in one. A process that an engine
# ends is a failure: pytest-xdist waits for ever for what it starts in its place.
test: check legs
	CONFORMANCE_LEGS='$(TESTED)' $(BIN)/pytest -m 'not heavy' -n $(WORKERS) --dist loadfile --max-worker-restart 0
	$(MAKE) values VALUES=10000000 SIZE=384x256

# the widest codecs and the most expensive neighbours of what `make test` runs
heavy: legs
	$(BIN)/pytest -m heavy -n $(WORKERS) --max-worker-restart 0

# Each leg records a trace of its own, and fails alone; the traces are merged, and the table stays beside them.
matrix: legs
	mkdir -p $(TRACES)
	rm -f $(TRACES)/*.trace
	$(BIN)/nvc-check export mbt2018-mean-relu-small --out $(IMAGE)
	$(BIN)/nvc-check sample --size 128x128 --frames 2 --out $(TRACES)/clip.y4m
	$(BIN)/nvc-check symbols $(IMAGE) --input $(TRACES)/clip.y4m --out $(TRACES)/symbols.npz
	traces=; failed=; for leg in $(MATRIX); do \
	    if $(BIN)/nvc-check record $(IMAGE) --symbols $(TRACES)/symbols.npz --provider "$$leg" --tensors \
	        --out "$(TRACES)/$$leg.trace"; \
	    then traces="$$traces $(TRACES)/$$leg.trace"; else failed="$$failed $$leg"; fi; \
	done; \
	$(BIN)/nvc-check compare $$traces --json $(TRACES)/report.json > $(TRACES)/table.txt; code=$$?; \
	cat $(TRACES)/table.txt; test -z "$$failed" || echo "no trace of:$$failed"; \
	test -z "$$failed" && exit $$code

# Every operator and assumption on every leg that a machine without a GPU can have; pytest says which legs those are.
conformance: legs
	CONFORMANCE_LEGS='$(TESTED)' $(BIN)/pytest tests/conformance

# measures anew which forms of operators come out right where, and writes exporter/certificate/idioms/measured.json
idioms: install system packages
	$(BIN)/nvc-check providers --install webgpu
	for codec in bmshj2018-hyperprior@seed0 mbt2018-mean@seed0 ssf2020@seed0 mbt2018-mean-relu-small ssf-small; do \
	    $(BIN)/nvc-check export $$codec --targets= --out $(OUT)/idioms/$$codec || exit 1; \
	done
	for codec in mbt2018-mean@seed0 bmshj2018-hyperprior@seed0 ssf-small; do \
	    $(BIN)/nvc-check export $$codec --scope codec --targets= --out $(OUT)/idioms/$$codec-codec || exit 1; \
	done
	for bits in w4a4 w6a6 w8a16 w12a12 w16a16; do \
	    $(BIN)/nvc-check export mbt2018-mean-relu-small --scope codec --precision $$bits --targets= \
	        --out $(OUT)/idioms/$$bits || exit 1; \
	done
	PYTHONPATH=tests $(BIN)/python -W ignore tests/conformance/idioms/measure.py $(OUT)/full/* $(OUT)/idioms/*

bench: install
	$(BIN)/python tests/bench/checker_share.py
	$(BIN)/python tests/bench/memory.py --frames 4 20 --size 384x256
	$(BIN)/nvc-check export mbt2018-mean-relu-small --scope decoder --out $(OUT)/bench/image
	$(BIN)/nvc-check export ssf-small --scope decoder --out $(OUT)/bench/video
	$(BIN)/python -W ignore tests/bench/decoder_speed.py $(OUT)/bench/image $(OUT)/bench/video
	$(BIN)/python -W ignore tests/bench/warp.py --threads 2
	$(BIN)/python -W ignore tests/bench/spinning.py $(OUT)/bench/image $(OUT)/bench/video

# random graphs and decoders: what is certified must be the same bits on every engine; prints the share that was
fuzz: install
	PYTHONPATH=tests $(BIN)/python -W ignore tests/property/fuzz.py --graphs $(GRAPHS)
	PYTHONPATH=tests $(BIN)/python -W ignore tests/property/decoders.py --decoders $(DECODERS)

# 1,000 files that somebody altered: none may end in a traceback, hang or take all memory
mutations: install
	PYTHONPATH=tests $(BIN)/python -W ignore tests/property/mutations.py --mutants $(MUTANTS)

packages: install
	$(BIN)/nvc-check export mbt2018-mean-relu-small --scope decoder --out $(OUT)/full/image
	$(BIN)/nvc-check export ssf-small --scope decoder --out $(OUT)/full/video

# VALUES tensor values of an image and a video codec at scope decoder, compared with the oracle
values: packages
	$(BIN)/python -W ignore tests/bench/full.py $(OUT)/full/image $(OUT)/full/video --values $(VALUES) \
	    --size $(SIZE) --legs cpu,cpu:opt=off,cpu:flavour=carrier,openvino

full: values heavy

# every layer of both on its hardest inputs
layers: packages
	PYTHONPATH=tests $(BIN)/python -W ignore tests/exporter/extremes.py $(OUT)/full/image $(OUT)/full/video

clean:
	rm -rf .venv build results .legs
