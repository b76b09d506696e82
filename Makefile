# Everything sets itself up in .venv; nothing is needed beforehand but Python 3.11 (or newer) and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
SAMPLE := sample_checkpoints/ema-illusion.pt

.DEFAULT_GOAL := help
.PHONY: help demo test properties browser test-plugins fuzz lock check bench soak samples screens seeds-table docs format clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/core: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vqdoctor needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) (once; torch is the large part)"
	@$(PIP) -e .
	@touch $@

$(VENV)/dev: $(VENV)/core
	@echo "setting up the test tools and the libraries whose checkpoints the tests read"
	@$(PIP) -e '.[tables,dev,peers]'
	@touch $@

# On top of .venv and apart from it: the main tests never see a plugin.
$(VENV)/plugins/ready: $(VENV)/dev
	@$(BIN)/python -m venv --without-pip $(VENV)/plugins
	@$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
	  > "$$($(VENV)/plugins/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/parent.pth"
	@touch $@

$(VENV)/bench: $(VENV)/dev
	@$(PIP) -e '.[bench]'
	@touch $@

demo: $(VENV)/core ## set up, then inspect a bundled checkpoint whose EMA says 100 % and whose rows use a few codes
	@$(BIN)/vqdoctor inspect $(SAMPLE)

test: $(VENV)/dev ## set up, then run all tests
	@$(BIN)/python -m pytest -n auto --dist loadfile --ignore tests/browser

properties: $(VENV)/dev ## the property tests on new examples, TIMES=10 over
	@for time in $$(seq $(or $(TIMES),10)); do \
		HYPOTHESIS_PROFILE=chance $(BIN)/python -m pytest -n auto --dist loadfile -m hypothesis tests || exit 1; done

browser: $(VENV)/dev ## the HTML report in headless Chromium (skipped, with the reason, where there is none)
	@$(BIN)/python -m pytest tests/browser -rs

test-plugins: $(VENV)/plugins/ready ## each package of plugins/ in an environment of its own, against its real framework
	@$(VENV)/plugins/bin/python plugins/test.py $(abspath $(BIN)/python)

$(VENV)/fuzz: $(VENV)/dev
	@$(PIP) -e '.[fuzz]'
	@touch $@

fuzz: $(VENV)/fuzz ## coverage-guided fuzzing of a parser: PARSER=safetensors RUNS=1000000 (no PARSER: all, one after the other)
	@cd tests/fuzz && for parser in $(or $(PARSER),$$(../../$(BIN)/python -c 'from fuzz_parsers import PARSERS; print(*PARSERS)')); do \
		../../$(BIN)/python fuzz_guided.py $$parser --runs $(or $(RUNS),1000000) --out ../../fuzz-findings || exit 1; done

check: $(VENV)/dev ## linters, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/bench ## ratios to peers and limits, from one run, ten minutes; FULL=1 at the sizes of the bars, ARGS="nearest ids" some of it
	@$(BIN)/python -m benchmarks $(if $(FULL),--full) $(ARGS)

soak: $(VENV)/core ## follow a rotated log for ten minutes, then inspect 10,000 checkpoints, memory flat; SECONDS=60 COUNT=500 for less
	@$(BIN)/python benchmarks/soak.py $(if $(SECONDS),--seconds $(SECONDS))
	@$(BIN)/python benchmarks/soak_inspect.py $(if $(COUNT),--count $(COUNT))

samples: $(VENV)/core ## train the bundled samples again, about a minute
	@$(BIN)/python sample_checkpoints/make.py

seeds-table: $(VENV)/core ## the seed documents' tables beside what the trainer reaches; DATA=embeddings.npy for the rq-* rows
	@$(BIN)/python benchmarks/seeds_table.py $(if $(DATA),--data $(DATA))

screens: $(VENV)/core ## pictures of every screen of the dashboard at three sizes, in build/screens/
	@$(BIN)/python docs/screens.py

docs: $(VENV)/core ## write the reference pages of docs/ from the program itself
	@$(BIN)/python docs/make_pages.py
	@$(BIN)/python docs/keys.py

lock: $(VENV)/dev ## write constraints-dev.txt: every package of this environment at its version, for whoever wants exactly this one
	@( echo "# Every package that the tests of this version ran with. Used by nothing on its own: pip install -c constraints-dev.txt ..."; \
		$(BIN)/python -m pip freeze --exclude-editable | sed 's|+cpu$$||' ) > constraints-dev.txt

format: $(VENV)/dev ## put the code into the house's format
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

clean: ## remove what make made
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
