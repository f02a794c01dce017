# `make demo` and `make test` set everything up on a fresh machine; nothing else is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test whole lint faults bench soak clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else \
	"dexml needs Python 3.11 to 3.13, was " + sys.version.split()[0] + ". Run make PYTHON=python3.11.")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing dexml and its pinned dependencies into $(VENV) (about two minutes, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: install
	@$(BIN)/dexml demo

test: install
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Demos, kills and interruptions of the whole system: what CI runs beside `make test`.
whole: install
	$(BIN)/python -m pytest -m 'whole and not soak' -n 2 --dist loadfile

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# More than 5,000 faults, each judged, in less than five minutes on two cores.
faults: install
	$(BIN)/python -m benchmarks.faults --seeds 4 --hours 1300 --jobs 2 --least 5000

# Peers are measured against from an environment of their own; without them that figure says so.
bench: install
	@test -x $(VENV)/peers/bin/python || $(PYTHON) -m venv $(VENV)/peers
	@$(VENV)/peers/bin/python -m pip install --quiet --disable-pip-version-check pandas-ta-classic==0.8.32 \
	vectorbt==1.2.0 backtesting==0.6.6 || rm -rf $(VENV)/peers
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.portfolio
	NUMBA_NUM_THREADS=1 $(BIN)/python -m benchmarks.fast_kernel
	NUMBA_NUM_THREADS=1 $(BIN)/python -m benchmarks.bootstrap

# What takes minutes to hours: long tests, then how much the tests of what decides see and notice.
soak: install
	$(BIN)/python -m pytest -m soak --timeout 3600
	$(BIN)/python -m benchmarks.coverage --least 0.95
	$(BIN)/python -m benchmarks.mutation --sample 300 --least 0.85

clean:
	rm -rf $(VENV) build dist *.egg-info
