# Everything runs in .venv, which is made on first use; ARGS are passed on: make run ARGS="--port 9000".
VENV := .venv
BIN := $(VENV)/bin
# Looked for only when .venv has to be made.
PYTHON = $(or $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; \
	done),$(error Python 3.11 or newer is needed: install it, or say where it is: make PYTHON=/path/to/python3.11))
CODE := src tests bench docs
PIP = $(BIN)/python -m pip --quiet --disable-pip-version-check install

.PHONY: run test check bench docs conformance fuzz clean

run: $(VENV)/.installed
	@exec $(BIN)/feathergate serve $(ARGS)

test: $(VENV)/.dev
	$(BIN)/pytest -m "not conformance" $(ARGS)

conformance: $(VENV)/.dev
	$(BIN)/pytest tests/conformance $(ARGS)

# As many requests as CASES says, other ones each time, with the figures at the end.
CASES := 20000
fuzz: $(VENV)/.dev
	FUZZ_CASES=$(CASES) $(BIN)/pytest tests/fuzz -s $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

# Beside others, which are installed into bench/peers/: make bench PEERS=litellm,portkey
bench: $(VENV)/.installed
	$(BIN)/python bench/run.py $(if $(PEERS),--peers $(PEERS)) $(ARGS)

docs: $(VENV)/.installed
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	"$(PYTHON)" -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(PIP) --editable .
	@touch $@

# Older pips do not know --group.
$(VENV)/.dev: $(VENV)/.installed
	$(PIP) --upgrade 'pip>=25.1'
	$(PIP) --group dev
	@touch $@
