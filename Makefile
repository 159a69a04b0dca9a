# make run, make test: set-up included. Each target can be called alone on a fresh clone.
PYTHON ?= python3.11
BIN := .venv/bin
OUT ?= results
PACKAGE := $(OUT)/mbt2018-mean-relu-small
LEGS ?= cpu,cpu:opt=off,cpu:flavour=carrier,openvino

.PHONY: install run test check bench clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt $(wildcard models/*.py exporter/*.py runtimes/*.py checker/*.py models/weights/*)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt setuptools \
	    -e '.[export,cpu,openvino,dev]' --config-settings editable_mode=strict
	touch $@

run: install
	$(BIN)/nvc-check export mbt2018-mean-relu-small --out $(PACKAGE)
	$(BIN)/nvc-check sample --out $(OUT)/sample.y4m
	$(BIN)/nvc-check compare $(PACKAGE) --input $(OUT)/sample.y4m --providers '$(LEGS)' \
	    --json $(OUT)/report.json --out $(OUT)/maps

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

test: check
	$(BIN)/pytest

bench: install
	$(BIN)/python tests/bench/checker_share.py
	$(BIN)/python tests/bench/memory.py --frames 4 20 --size 384x256

clean:
	rm -rf .venv build results
