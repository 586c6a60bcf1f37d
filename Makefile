# make demo    two minutes from nothing to a segmented patient and a picture
# make test    every check and test
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
STAMP := $(VENV)/.installed

# Python 3.11 has exact pins; any other from 3.10 on will do. A name that is there may still not run (pyenv), so try it.
ifndef PYTHON
PYTHON := $(shell for p in python3.11 python3 python3.12 python3.13 python3.10 python3.14 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1 && { echo $$p; break; }; done)
endif

OUTPUT ?= demo-output
PATIENT := $(OUTPUT)/patient
DEVICE ?= auto
PET_UNITS ?= auto
SEED ?= 1
PETCTFUSION := $(BIN)/petctfusion

.PHONY: help environment demo test test-slow benchmark benchmark-sts clean

help:
	@echo "make demo                        segment a phantom; CT=file PET=file [REF=file] [PET_UNITS=suvbw] for your patient"
	@echo "make test                        checks and tests (without the slow ones)"
	@echo "make test-slow                   every test"
	@echo "make benchmark                   how fast the metrics are beside other libraries"
	@echo "make benchmark-sts DATA=folder   measure the shipped model on the sarcoma patients"
	@echo "make clean                       remove the environment and everything that was made"

environment: $(STAMP)

$(STAMP): pyproject.toml constraints-py311.txt .ci/make_environment.py
	@test -n "$(PYTHON)" || { echo "make: no Python >= 3.10 was found; install one (Debian: apt install python3 python3-venv)." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "make: $(PYTHON) is older than Python 3.10; name another: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) .ci/make_environment.py $(VENV)
	@touch $(STAMP)

ifdef CT
demo: $(STAMP)
	@test -n "$(PET)" || { echo "make: CT is given but PET is not: make demo CT=file PET=file [REF=file]" >&2; exit 2; }
	@$(MAKE) --no-print-directory .demo DEMO_CT="$(CT)" DEMO_PET="$(PET)" DEMO_REF="$(REF)" DEMO_UNITS="$(PET_UNITS)"
else
demo: $(STAMP)
	@echo "== Making a phantom patient in $(PATIENT)"
	@$(PETCTFUSION) phantom --output "$(PATIENT)" --seed $(SEED) --view lesion
	@$(MAKE) --no-print-directory .demo DEMO_CT="$(PATIENT)/CT.nii.gz" DEMO_PET="$(PATIENT)/PET.nii.gz" \
		DEMO_REF="$(PATIENT)/REF.nii.gz" DEMO_UNITS=suvbw
endif

.PHONY: .demo
.demo:
	@echo "== Segmenting in the background worker"
	@$(PETCTFUSION) segment --ct "$(DEMO_CT)" --pet "$(DEMO_PET)" $(if $(DEMO_REF),--reference "$(DEMO_REF)") \
		--pet-units $(DEMO_UNITS) --output "$(OUTPUT)" --device $(DEVICE)
	@echo "== Drawing with Slicer's own views"
	@$(PETCTFUSION) picture --ct "$(DEMO_CT)" --pet "$(DEMO_PET)" $(if $(DEMO_REF),--reference "$(DEMO_REF)") \
		--pet-units $(DEMO_UNITS) --segmentation "$(OUTPUT)/segmentation.nii.gz" --output "$(OUTPUT)/demo.png"
	@echo "== Done: open $(OUTPUT)/segmentation.seg.nrrd in 3D Slicer, $(OUTPUT)/demo.png in any viewer"
	@echo "== In a browser, to look, draw and compare:"
	@echo "$(PETCTFUSION) view --ct '$(DEMO_CT)' --pet '$(DEMO_PET)'$(if $(DEMO_REF), --reference '$(DEMO_REF)')" \
		"--pet-units $(DEMO_UNITS) --segmentation '$(OUTPUT)/segmentation.nii.gz'"

test: $(STAMP) .checks
	@$(BIN)/python .ci/find_browser.py
	@echo "== Tests (the slow ones: make test-slow)"
	@$(BIN)/python -m pytest -m "not slow"

test-slow: $(STAMP) .checks
	@$(BIN)/python .ci/find_browser.py
	@echo "== All tests"
	@$(BIN)/python -m pytest

.PHONY: .checks
.checks: $(STAMP)
	@echo "== ruff"
	@$(BIN)/ruff check PETCTFusionSeg Testing .ci
	@$(BIN)/ruff format --check PETCTFusionSeg Testing .ci
	@echo "== mypy"
	@$(BIN)/mypy
	@echo "== import rules"
	@$(BIN)/lint-imports

benchmark: $(STAMP)
	@$(BIN)/python -c "import cc3d, medpy, monai, surface_distance" 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[peers]" || \
		echo "make: what could not be installed is left out of the comparison." >&2
	@$(BIN)/python Testing/benchmarks/metric_speed.py $(ARGUMENTS)

benchmark-sts: $(STAMP)
	@test -n "$(DATA)" || { echo "make: give the folder of the sarcoma patients: make benchmark-sts DATA=folder" >&2; exit 2; }
	@$(PETCTFUSION) benchmark sts --data "$(DATA)"

clean:
	rm -rf $(VENV) demo-output build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find PETCTFusionSeg Testing -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf PETCTFusionSeg/*.egg-info
