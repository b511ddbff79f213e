# Everything runs in .venv, which is made on first use; ARGS are passed on: make run ARGS="--port 9000".
# There FeatherGate is installed as it is elsewhere, with its hot modules compiled, again whenever its sources have
# changed. PURE=1 runs the sources themselves, in .venv-pure: nothing to wait for after a change.
VENV := $(if $(PURE),.venv-pure,.venv)
BIN := $(VENV)/bin
# Looked for only when the environment has to be made.
PYTHON = $(or $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; \
	done),$(error Python 3.11 or newer is needed: install it, or say where it is: make PYTHON=/path/to/python3.11))
BUILD := pyproject.toml hatch_build.py
CODE := src tests bench docs hatch_build.py
PIP = $(BIN)/python -m pip --quiet --disable-pip-version-check install
# The name says of which bytes it was compiled: a file's time may be older than what was compiled of its predecessor.
COMPILED := $(VENV)/.compiled-$(shell find src $(BUILD) -type f ! -name '*.pyc' | LC_ALL=C sort | xargs cksum | \
	cksum | tr ' ' -)
INSTALLED := $(if $(PURE),$(VENV)/.editable,$(COMPILED))

.NOTPARALLEL:
.PHONY: run test check bench docs conformance faults fuzz clean

run: $(INSTALLED)
	@exec $(BIN)/feathergate serve $(ARGS)

test: $(INSTALLED) $(VENV)/.dev
	$(BIN)/pytest -m "not conformance and not faults" $(ARGS)

conformance: $(INSTALLED) $(VENV)/.dev
	$(BIN)/pytest tests/conformance $(ARGS)

# What takes minutes: load, signals, fronts (haproxy, nginx). The figures go to tests/faults/results/figures.json.
faults: $(INSTALLED) $(VENV)/.dev
	$(BIN)/pytest tests/faults -m faults $(ARGS)

# As many requests as CASES says, other ones each time, with the figures at the end.
CASES := 20000
fuzz: $(INSTALLED) $(VENV)/.dev
	FUZZ_CASES=$(CASES) $(BIN)/pytest tests/fuzz -s $(ARGS)

# Of the sources, whatever is installed.
check: $(VENV)/.dev
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports
	PYTHONPATH=src $(BIN)/python docs/generate.py --check

# Beside others, which are installed into bench/peers/: make bench PEERS=litellm,portkey
bench: $(INSTALLED)
	$(BIN)/python bench/run.py $(if $(PEERS),--peers $(PEERS)) $(ARGS)

docs: $(VENV)/.editable
	PYTHONPATH=src $(BIN)/python docs/generate.py

clean:
	rm -rf .venv .venv-pure build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	"$(PYTHON)" -m venv $(VENV)

# The runtime dependencies, and the sources as they are.
$(VENV)/.editable: $(BUILD) | $(BIN)/python
	FEATHERGATE_PURE=1 $(PIP) --editable .
	@touch $@

# In the place of the editable install. Without a C compiler this is pure Python too, and pip would not tell.
$(COMPILED): $(VENV)/.editable
	@echo "Compiling FeatherGate's hot modules: about a minute."
	$(PIP) --no-deps .
	@$(BIN)/python -c 'import feathergate__mypyc' 2>/dev/null || \
	echo "FeatherGate is not compiled, and slower: FEATHERGATE_PURE=0 $(BIN)/python -m pip install . says why"
	@rm -f $(VENV)/.compiled-*
	@touch $@

# Older pips do not know --group.
$(VENV)/.dev: $(VENV)/.editable
	$(PIP) --upgrade 'pip>=25.1'
	$(PIP) --group dev
	@touch $@
