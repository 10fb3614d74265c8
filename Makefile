# Each target installs the packages that it needs in the virtual environment .venv, with venv and pip. An empty file
# .venv/.has-<extra> records that an extra is installed. The extra is installed again when pyproject.toml changes.
# On Windows, run make in a POSIX shell such as Git Bash.
ifeq ($(OS),Windows_NT)
PYTHON ?= python
BIN := Scripts
else
PYTHON ?= python3
BIN := bin
endif
FLOOR_PYTHON ?= $(PYTHON)
VENV := .venv
FLOOR := .venv-floor
PEERS := .venv-peers
TABLES := .venv-tables
FUZZ := .venv-fuzz
FUZZ_SECONDS ?= 600
TOOLS := .venv-tools
ORACLE := .venv-oracle
# The number of processes that run the tests.
WORKERS ?= 2
# The number of random cases of each test of test-soak, and the seconds for which each concurrency test of test-stress runs.
EXAMPLES ?= 2000
STRESS_SECONDS ?= 20
# The benchmarks that bench-compare runs. asv reports a larger result as a regression, so ratios and scores are excluded.
BENCHMARKS ?= ^(?!.*(ratio|score))
# Functions that generate LLVM code run only during compilation, so test-coverage uses an empty cache and compiles all kernels.
COVERAGE_CACHE := $(CURDIR)/.pytest_cache/coverage
# Compiles the kernels of both dtypes at the same time, where tests/conftest.py stores them. Otherwise, each worker would wait for the
# other worker, or compile both.
COMPILE = export NUMBA_CACHE_DIR="$${NUMBA_CACHE_DIR:-$(CURDIR)/.pytest_cache/numba}"; \
	$(VENV)/$(BIN)/python -m fastbp.warmup float32 >/dev/null & $(VENV)/$(BIN)/python -m fastbp.warmup float64 >/dev/null; wait

# pip would compile the bytecode of all packages, although only a part of it is imported.
INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile

.PHONY: help demo test test-slow test-long test-all test-examples test-browser test-tools test-tools-ci test-dask test-bfloat16 test-nojit test-plain test-stress test-soak test-torch test-floor test-coverage fuzz docs lint format bench bench-peers bench-streams bench-tables bench-ablation bench-serving bench-compare clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help: ## list the targets
	@echo "Usage: make <target>. The targets are:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1	\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo "ARGS=... passes further arguments to pytest, asv or the script of a target."
	@echo "PYTHON=python3.12 selects the interpreter (3.11 or newer) when an environment is created."

demo: $(VENV)/.has-demo ## train on real data and compare with scikit-learn
	$(VENV)/$(BIN)/python bench/demo.py

test: $(VENV)/.has-test ## run the tests and the examples in the docstrings, except the slow tests
	@$(COMPILE)
	$(VENV)/$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not long" $(ARGS)

test-slow: $(VENV)/.has-test $(VENV)/.has-bench ## run the slow tests: those with many cases, new compilations, processes or benchmarks
	$(VENV)/$(BIN)/python -m pytest -n $(WORKERS) -m "slow and not examples and not long" $(ARGS)

test-long: $(VENV)/.has-test $(VENV)/.has-bench ## run the tests that take longest, which .ci/run leaves out
	$(VENV)/$(BIN)/python -m pytest -n $(WORKERS) -m "long" $(ARGS)

test-all: $(VENV)/.has-test $(VENV)/.has-bench ## run make test and make test-slow as one run, which takes less time
	@$(COMPILE)
	$(VENV)/$(BIN)/python -m pytest -n $(WORKERS) -m "not examples and not long" $(ARGS)

test-examples: $(VENV)/.has-test ## run the gallery in examples/ and check its claims; takes several minutes
	@$(COMPILE)
	$(VENV)/$(BIN)/python -m pytest -n $(WORKERS) tests/test_examples.py tests/test_gallery.py $(ARGS)

test-browser: $(VENV)/.has-browser ## test the page of the playground in Chromium (installs it with Playwright if there is no chromium on the PATH)
	@$(COMPILE)
	@test -n "$${FASTBP_CHROMIUM:-$$(command -v chromium)}" || $(VENV)/$(BIN)/python -m playwright install chromium
	$(VENV)/$(BIN)/python -m pytest tests/browser $(ARGS)

test-tools: $(TOOLS)/.has-tools $(TOOLS)/.has-more-tools ## test with other tools, for example ONNX and mlflow (installed in .venv-tools); takes several minutes
	$(TOOLS)/$(BIN)/python -m pytest tests/tools $(ARGS)

test-tools-ci: $(TOOLS)/.has-tools ## the part of test-tools for ONNX, skops, mlflow, Optuna and Dask, which .ci/run runs
	$(TOOLS)/$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile tests/tools --ignore tests/tools/test_pmml.py -k "onnx or skops or mlflow or optuna or test_dask or test_array_files" -m "not slow" $(ARGS)

test-dask: $(TOOLS)/.has-tools ## all tests on clusters of Dask, also those that test-tools-ci leaves out; takes several minutes
	$(TOOLS)/$(BIN)/python -m pytest tests/tools/test_dask.py $(ARGS)

test-bfloat16: $(VENV)/.has-emulators ## run code for processors with bfloat16 instructions in emulators; for Arm, it needs qemu-aarch64 and aarch64-linux-gnu-gcc
	$(VENV)/$(BIN)/python -m pytest -n $(WORKERS) -rs tests/emulators $(ARGS)

test-nojit: $(VENV)/.has-test ## run the kernel tests without compilation, as plain Python
	NUMBA_DISABLE_JIT=1 $(VENV)/$(BIN)/python -m pytest -n $(WORKERS) -m "not compiled" tests/test_kernels.py tests/test_encoders.py tests/test_members.py tests/test_layer_kinds.py tests/test_encoder_networks.py $(ARGS)

test-plain: $(VENV)/.has-test ## run a part of the tests with kernels that numba.njit compiles
	@export FASTBP_COMPILER=plain; $(COMPILE)
	FASTBP_COMPILER=plain $(VENV)/$(BIN)/python -m pytest -n $(WORKERS) tests/test_divergence.py tests/test_history.py tests/test_resume.py tests/test_compiled_prediction.py::test_agrees_with_numpy tests/test_invariants.py::test_compiler_modes_give_the_same_results $(ARGS)

test-stress: $(VENV)/.has-test ## run each concurrency test for STRESS_SECONDS seconds (20), which is longer than in make test
	FASTBP_STRESS_SECONDS=$(STRESS_SECONDS) $(VENV)/$(BIN)/python -m pytest -n $(WORKERS) tests/test_concurrency.py $(ARGS)

test-soak: $(VENV)/.has-test ## run the tests with random cases with EXAMPLES (2000) new cases each; takes about ten minutes
	@$(COMPILE)
	FASTBP_EXAMPLES=$(EXAMPLES) $(VENV)/$(BIN)/python -m pytest -n $(WORKERS) tests/test_drop_in.py tests/test_graph.py tests/test_inspection.py -k "drawn or all_combinations or many_traces" $(ARGS)

test-torch: $(ORACLE)/.has-oracle ## compare training with PyTorch, pytabkit and tabm (installed in .venv-oracle; PyTorch is large)
	$(ORACLE)/$(BIN)/python -m pytest -n $(WORKERS) tests/test_torch.py tests/test_tabular_torch.py $(ARGS)

test-floor: $(FLOOR)/.has-test ## run all tests with the oldest supported dependencies (FLOOR_PYTHON: Python 3.11 or 3.12)
	$(FLOOR)/$(BIN)/python -m pytest -n $(WORKERS) -m "not examples and not long" $(ARGS)

test-coverage: $(VENV)/.has-test ## measure the branch coverage of src/fastbp; fails below fail_under in pyproject.toml
	rm -rf .coverage $(COVERAGE_CACHE)
	NUMBA_DISABLE_JIT=1 $(VENV)/$(BIN)/python -m pytest -n $(WORKERS) -m "not compiled" --cov=src/fastbp --cov-report= --cov-fail-under=0 tests/test_kernels.py
	NUMBA_CACHE_DIR="$(COVERAGE_CACHE)" $(VENV)/$(BIN)/python -m pytest -n $(WORKERS) -m "not examples and not long" --cov=src/fastbp --cov-append --cov-report= --cov-fail-under=0 $(ARGS)
	$(VENV)/$(BIN)/python -m coverage report

fuzz: $(FUZZ)/.has-fuzz ## fuzz fastbp.load for FUZZ_SECONDS seconds (600) in .venv-fuzz; needs Linux or macOS
	mkdir -p .pytest_cache/fuzz .pytest_cache/fuzz-failures
	NUMBA_CACHE_DIR="$${NUMBA_CACHE_DIR:-$(CURDIR)/.pytest_cache/numba}" $(FUZZ)/$(BIN)/python tests/fuzz/fuzz_load.py -max_total_time=$(FUZZ_SECONDS) -max_len=20000 -print_final_stats=1 -artifact_prefix=.pytest_cache/fuzz-failures/ $(ARGS) .pytest_cache/fuzz

docs: $(VENV)/.has-docs ## build the documentation in docs/_build/html; ARGS="-D plot_gallery=0" does not run the examples
	@$(COMPILE)
	$(VENV)/$(BIN)/python -m pytest -n $(WORKERS) tests/test_docs.py
	NUMBA_CACHE_DIR="$${NUMBA_CACHE_DIR:-$(CURDIR)/.pytest_cache/numba}" $(VENV)/$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -b html docs docs/_build/html $(ARGS)
	@echo "Open docs/_build/html/index.html in a browser."

lint: $(VENV)/.has-lint ## check style, formatting, spelling and types without changing files
	$(VENV)/$(BIN)/ruff check
	$(VENV)/$(BIN)/ruff format --check
	$(VENV)/$(BIN)/codespell
	$(VENV)/$(BIN)/mypy

format: $(VENV)/.has-lint ## fix what ruff can fix, and format the code
	$(VENV)/$(BIN)/ruff check --fix
	$(VENV)/$(BIN)/ruff format

bench: $(VENV)/.has-bench ## measure speed, memory and scores with asv in .venv
	@test -f ~/.asv-machine.json || $(VENV)/$(BIN)/asv machine --yes --config bench/asv.conf.json >/dev/null  # otherwise, asv would ask for the machine
	$(VENV)/$(BIN)/asv run --config bench/asv.conf.json --python=same $(ARGS)

bench-peers: $(PEERS)/.has-peers ## compare the speed with scikit-learn, JAX and PyTorch (installed in .venv-peers)
	$(PEERS)/$(BIN)/python bench/peers.py $(ARGS)

bench-streams: $(PEERS)/.has-peers ## compare training on Parquet files with scikit-learn and PyTorch (installed in .venv-peers)
	$(PEERS)/$(BIN)/python bench/streams.py $(ARGS)

bench-tables: $(TABLES)/.has-table-peers ## compare the estimators for tables with CatBoost, LightGBM, XGBoost and pytabkit (installed in .venv-tables); takes hours
	$(TABLES)/$(BIN)/python bench/tables.py $(ARGS)

bench-ablation: $(VENV)/.has-test ## print what the parts of preset="best" contribute, in the same tables; takes hours without ARGS="--rows 1000"
	$(VENV)/$(BIN)/python bench/tables.py --ablation $(ARGS)

bench-serving: $(VENV)/.has-serving ## compare predictions of one row, and requests to a web server, with scikit-learn and onnxruntime
	$(VENV)/$(BIN)/python bench/serving.py $(ARGS)

bench-compare: $(VENV)/.has-bench ## compare the speed of BASE=<commit> and HEAD, in alternating runs
	@test -n "$(BASE)" || { echo "BASE must name the commit to compare with: make bench-compare BASE=main" >&2; exit 1; }
	@test -f ~/.asv-machine.json || $(VENV)/$(BIN)/asv machine --yes --config bench/asv.conf.json >/dev/null
	$(VENV)/$(BIN)/asv continuous --config bench/asv.conf.json --interleave-rounds --bench '$(BENCHMARKS)' $(ARGS) $(BASE) HEAD

clean: ## remove the environments, the caches and all generated files
	rm -rf .venv .venv-floor .venv-peers .venv-tables .venv-tools .venv-oracle .venv-fuzz .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage dist bench/env bench/html
	rm -rf docs/_build docs/auto_examples docs/api/generated docs/api/backreferences docs/sg_execution_times.rst
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

define make_venv
@$(1) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "fastbp requires Python 3.11 or newer, but '$(1)' is older or missing: run 'make PYTHON=python3.12 $(MAKECMDGOALS)', for example." >&2; exit 1; }
@$(1) -c 'import ensurepip, venv' || { \
	echo "'$(1)' has no venv module: install it (on Debian and Ubuntu, the package python3-venv), or select another interpreter with PYTHON=." >&2; exit 1; }
@$(1) -m venv $(@D)
@touch $@
endef

$(VENV)/.made:
	$(call make_venv,$(PYTHON))

$(FLOOR)/.made:
	$(call make_venv,$(FLOOR_PYTHON))

$(PEERS)/.made:
	$(call make_venv,$(PYTHON))

$(TABLES)/.made:
	$(call make_venv,$(PYTHON))

$(TOOLS)/.made:
	$(call make_venv,$(PYTHON))

$(ORACLE)/.made:
	$(call make_venv,$(PYTHON))

# Several extras are installed at once by `make .venv/.has-lint,test`, for example.
COMMA := ,
$(VENV)/.has-%: $(VENV)/.made pyproject.toml
	@echo "Installing fastbp and the extra '$*' into $(@D), once."
	@$(@D)/$(BIN)/python $(INSTALL) --editable '.[$*]'
	@touch $@ $(patsubst %,$(@D)/.has-%,$(subst $(COMMA), ,$*))

$(FUZZ)/.made:
	$(call make_venv,$(PYTHON))

$(FUZZ)/.has-%: $(FUZZ)/.made pyproject.toml
	@echo "Installing fastbp and the extra '$*' into $(@D), once."
	@$(@D)/$(BIN)/python $(INSTALL) --editable '.[$*]'
	@touch $@

$(PEERS)/.has-%: $(PEERS)/.made pyproject.toml
	@echo "Installing fastbp and the extra '$*' into $(@D), once."
	@$(@D)/$(BIN)/python $(INSTALL) --editable '.[$*]'
	@touch $@

$(TABLES)/.has-%: $(TABLES)/.made pyproject.toml
	@echo "Installing fastbp and the extra '$*' into $(@D), once."
	@$(@D)/$(BIN)/python $(INSTALL) --editable '.[$*]'
	@touch $@

$(TOOLS)/.has-%: $(TOOLS)/.made pyproject.toml
	@echo "Installing fastbp and the extra '$*' into $(@D), once."
	@$(@D)/$(BIN)/python $(INSTALL) --editable '.[$*]'
	@touch $@

$(ORACLE)/.has-%: $(ORACLE)/.made pyproject.toml
	@echo "Installing fastbp and the extra '$*' into $(@D), once."
	@$(@D)/$(BIN)/python $(INSTALL) --editable '.[$*]'
	@touch $@

$(FLOOR)/.has-%: $(FLOOR)/.made pyproject.toml constraints-floor.txt
	@echo "Installing fastbp and the extra '$*' with the oldest supported dependencies into $(@D), once."
	@$(@D)/$(BIN)/python $(INSTALL) --constraint constraints-floor.txt --editable '.[$*]'
	@touch $@
