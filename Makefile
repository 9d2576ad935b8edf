# On a fresh machine: `make demo` shows everything once, `make test` proves it.
PYTHON ?= python3
VENV   ?= .venv
ABLATE  = $(VENV)/bin/ablate
READY   = $(VENV)/.ready

.PHONY: setup demo test check clean

setup: $(READY)

# One install for every target; again only when what it installs has changed.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# A real suite on the embedded images: 18 trials, some minutes on two cores.
demo: $(READY)
	$(ABLATE) run reduction --preset smoke --seeds 3

# As many processes as cores; the tests of one file stay in one process, because they share what is dear to make.
test: $(READY)
	$(VENV)/bin/python -m pytest -n auto --dist loadfile

check: $(READY)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
