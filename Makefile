PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ALL := .venv-all
ALL_READY := $(ALL)/.ready

.PHONY: demo test browser test-all lint docs clean
.DELETE_ON_ERROR:

demo: $(READY)  ## set up, make the demo data set, run the notebooks, print the MRR table
	$(BIN)/humfind run

test: $(READY)  ## set up, then lint, type check and test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

browser:  ## Chromium for the tests of the page, as Debian has it; without one they are skipped
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; }

test-all: $(READY) $(ALL_READY)  ## every test: the slow ones, and those of the extras, in an environment of their own
	$(ALL)/bin/python -m pytest -m "slow or not slow"

$(READY): requirements.txt requirements-no-deps.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' || \
	  { echo "$(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps -r requirements-no-deps.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(ALL_READY): requirements.txt requirements-no-deps.txt pyproject.toml $(READY)
	$(PYTHON) -m venv $(ALL)
	$(ALL)/bin/python -m pip install --quiet -r requirements.txt
	$(ALL)/bin/python -m pip install --quiet --no-deps -r requirements-no-deps.txt
	$(ALL)/bin/python -m pip install --quiet --no-build-isolation --editable ".[crepe,words]"
	@touch $@

docs: $(READY)  ## the documentation as a site, in runs/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "runs/site/index.html"

clean:  ## remove the environment and everything that was made; what is committed stays
	rm -rf $(VENV) $(ALL) data runs
