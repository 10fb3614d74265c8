# Each target sets up what it needs, in .venv beside this file, with plain pip. A stamp for each set of extras, newer than
# pyproject.toml, says that it is there already.
PYTHON ?= python3
FLOOR_PYTHON ?= $(PYTHON)
VENV := .venv
FLOOR := .venv-floor
PEERS := .venv-peers
WORKERS ?= 2
# What bench-compare compares. asv takes a larger result for a worse one, so ratios and scores, where more is better, are left out.
BENCHMARKS ?= ^(?!.*(ratio|score))

.PHONY: help demo test test-nojit test-plain test-torch test-floor lint format bench bench-peers bench-compare clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help: ## say what can be made
	@echo "make <target>, where the target is one of:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1	\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo "PYTHON=python3.12 names another interpreter for the first set-up; 3.11 or newer is needed."

demo: $(VENV)/.has-demo ## train on real data, beside scikit-learn
	$(VENV)/bin/python bench/demo.py

test: $(VENV)/.has-test ## all tests and the examples in the docstrings
	$(VENV)/bin/python -m pytest -n $(WORKERS) $(ARGS)

test-nojit: $(VENV)/.has-test ## the kernels as plain Python, with coverage
	NUMBA_DISABLE_JIT=1 $(VENV)/bin/python -m pytest -n $(WORKERS) -m "not compiled" --cov=src/fastbp/_kernels tests/test_kernels.py $(ARGS)

test-plain: $(VENV)/.has-test ## a part of the tests, compiled with the public numba.njit only
	FASTBP_COMPILER=plain $(VENV)/bin/python -m pytest -n $(WORKERS) tests/test_divergence.py tests/test_history.py tests/test_resume.py $(ARGS)

test-torch: $(VENV)/.has-oracle ## what training offers, beside PyTorch, which is large
	$(VENV)/bin/python -m pytest -n $(WORKERS) tests/test_torch.py $(ARGS)

test-floor: $(FLOOR)/.has-test ## all tests with the oldest versions allowed (FLOOR_PYTHON: 3.11 or 3.12)
	$(FLOOR)/bin/python -m pytest -n $(WORKERS) $(ARGS)

lint: $(VENV)/.has-lint ## look for mistakes and for another layout; change nothing
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

format: $(VENV)/.has-lint ## mend what can be mended by rule, and lay the code out
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

bench: $(VENV)/.has-bench ## measure speed, memory and scores with asv, in this environment
	@test -f ~/.asv-machine.json || $(VENV)/bin/asv machine --yes --config bench/asv.conf.json >/dev/null  # else asv would ask
	$(VENV)/bin/asv run --config bench/asv.conf.json --python=same $(ARGS)

bench-peers: $(PEERS)/.has-peers ## measure fastbp beside scikit-learn, JAX and torch, in an environment of its own
	$(PEERS)/bin/python bench/peers.py $(ARGS)

bench-compare: $(VENV)/.has-bench ## compare BASE=<commit> with HEAD, both built anew, taking turns
	@test -n "$(BASE)" || { echo "Say with what to compare: make bench-compare BASE=main" >&2; exit 1; }
	@test -f ~/.asv-machine.json || $(VENV)/bin/asv machine --yes --config bench/asv.conf.json >/dev/null
	$(VENV)/bin/asv continuous --config bench/asv.conf.json --interleave-rounds --bench '$(BENCHMARKS)' $(ARGS) $(BASE) HEAD

clean: ## remove the environments and all that can be made again
	rm -rf .venv .venv-floor .venv-peers .pytest_cache .ruff_cache .hypothesis .coverage dist bench/env bench/html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

define make_venv
@$(1) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "fastbp needs Python 3.11 or newer, and '$(1)' is not: name one, as in 'make PYTHON=python3.12 $(MAKECMDGOALS)'." >&2; exit 1; }
@$(1) -c 'import ensurepip, venv' || { \
	echo "'$(1)' comes without venv: install it (on Debian and Ubuntu the package python3-venv), or name another with PYTHON=." >&2; exit 1; }
@$(1) -m venv $(@D)
@touch $@
endef

$(VENV)/.made:
	$(call make_venv,$(PYTHON))

$(FLOOR)/.made:
	$(call make_venv,$(FLOOR_PYTHON))

$(PEERS)/.made:
	$(call make_venv,$(PYTHON))

$(VENV)/.has-%: $(VENV)/.made pyproject.toml
	@echo "Installing fastbp and what '$*' needs into $(@D); this is done once."
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

$(PEERS)/.has-%: $(PEERS)/.made pyproject.toml
	@echo "Installing fastbp and its peers into $(@D); this is done once."
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

$(FLOOR)/.has-%: $(FLOOR)/.made pyproject.toml constraints-floor.txt
	@echo "Installing fastbp with the oldest versions allowed into $(@D); this is done once."
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-floor.txt --editable '.[$*]'
	@touch $@
