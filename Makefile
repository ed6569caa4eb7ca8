# make test | lint | otherwise | cluster | docs | soak | soak-short | demo | bench | api-snapshot | lock | release, on a machine with
# Python 3.11 or newer: the rest is installed into $(VENV).
# PYTHON=python3.13 chooses the interpreter, VENV=.venv-3.13 a folder of its own for it, and ARGS goes to
# pytest, to the demo or to the benchmarks: make pytest ARGS="-k events", make bench ARGS="events checkpoints".
# JOBS=0 runs the tests one after the other. What is installed is what requirements.lock says; NEWEST=1 takes the newest of
# all that requirements.txt and requirements-frameworks.txt name, in environments of its own.

PYTHON ?= python3
VENV ?= .venv$(if $(NEWEST),-newest)
ARGS ?=
# One more than there are processors, as tests wait for servers about a seventh of the time; four at most.
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); [ "$$n" -lt 4 ] && echo $$((n + 1)) || echo 4)

FRAMEWORKS := $(VENV)-frameworks
RELEASE := $(VENV)-release
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# The tests start dozens of interpreters: what images for containers set would have each compile all it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: test lint types names style imports migrations pytest otherwise cluster frameworks docs soak soak-short demo bench api-snapshot lock release

test: lint pytest cluster

# Two at a time, as each runs on one processor.
lint: $(INSTALLED)
	@$(MAKE) --no-print-directory --jobs=2 types style names imports migrations

types: ; $(BIN)/mypy
names: ; $(BIN)/basedpyright --pythonpath $(BIN)/python && $(BIN)/python -m tests.typed.completeness
style: ; $(BIN)/ruff check && $(BIN)/ruff format --check
imports: ; $(BIN)/lint-imports
migrations: ; $(BIN)/python -m django makemigrations --check --dry-run --settings tests.settings

pytest: $(INSTALLED)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

# The suites of storage and vectors once more, with other settings, as CI runs them too.
otherwise: $(INSTALLED)
	DJANGO_SETTINGS_MODULE=tests.otherwise $(BIN)/python -m pytest -n $(JOBS) --dist worksteal \
		tests/conformance/test_orm.py tests/vectors/test_conformance.py -k "mariadb or postgres15 or (vectors and postgres)" \
		|| [ $$? -eq 5 ]  # as where neither server is installed

# What is said of databases, once more on a Citus cluster, where the sources of it are found; else this says so.
ON_CLUSTER := tests/cluster tests/conformance/test_orm.py tests/queues tests/vectors tests/api tests/interfaces \
	tests/admin/test_queue_pages.py $(addprefix tests/integration/test_,fixtures.py guards.py owners.py purge.py)
cluster: $(INSTALLED)
	@status=0; $(BIN)/python -m tests.citus || status=$$?; case $$status in \
		0) TESTS_ON_CLUSTER=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not one_node" -k "citus or cluster" \
			$(ON_CLUSTER) $(ARGS);; \
		2) ;; *) exit $$status;; esac

# The adapters to agent frameworks, which have an environment of their own.
frameworks: $(FRAMEWORKS)/.installed
	$(FRAMEWORKS)/bin/python -m mypy --cache-dir .mypy_cache/frameworks $$(find chronos_storage/integrations benchmarks/frameworks project/demo/frameworks tests/frameworks -name '*.py')
	$(FRAMEWORKS)/bin/python -m pytest -n $(JOBS) --dist worksteal tests/frameworks $(ARGS)

# The documentation's site, in build/docs.
docs: $(INSTALLED)
	PYTHONPATH=. $(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env --quiet -d build/doctrees docs build/docs $(ARGS)

# What takes minutes, in random order each time; ARGS="-k postgres" chooses.
soak: $(INSTALLED)
	$(BIN)/python -m pytest -n 0 -s -o python_files='soak_*.py' tests/soak $(ARGS)

# The same in less than a minute and from one seed, as CI runs it.
soak-short: export SEED = 1
soak-short: export SOAK_CASES = 1
soak-short: export SOAK_EXAMPLES = 1
soak-short: export SOAK_CHAINS = 3
soak-short: export SOAK_ROUNDS = 1
soak-short: export SOAK_CALLS = 150
soak-short: export SOAK_SESSIONS = 20
soak-short: export SOAK_KILLS = 1
soak-short: export SOAK_CHECKPOINTS = 500
soak-short: ARGS = -k "not sqlite"
soak-short: soak

# ARGS="--framework pydantic_ai" runs the agent under a framework, in the environment that has them.
demo: DEMO := $(if $(findstring --framework,$(ARGS)),$(FRAMEWORKS),$(VENV))
demo: $(if $(findstring --framework,$(ARGS)),$(FRAMEWORKS)/.installed,$(INSTALLED))
	$(DEMO)/bin/python -m project.demo $(ARGS)

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks $(ARGS)

# After each change of what is public, which is then seen in the commit: tests/typed/public.txt.
api-snapshot: $(INSTALLED)
	$(BIN)/python -m tests.typed.public

# After each change of requirements.txt. ARGS=--upgrade takes the newest of all; ARGS="--upgrade-package ruff", of one.
lock: $(RELEASE)/.installed
	$(RELEASE)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--output-file requirements.lock requirements.txt $(ARGS)

# Builds in dist/ and checks; uploads nothing before the version is typed.
release: $(INSTALLED) $(RELEASE)/.installed
	BIN=$(BIN) RELEASE=$(RELEASE)/bin .ci/release

# Written last, so that an installation that was broken off is done again.
%/.installed: requirements.txt requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or newer is needed; say where it is: make PYTHON=python3.13 …' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>&- || \
		{ echo 'Python lacks its venv module; on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv $*
	$*/bin/python -m pip install --quiet --disable-pip-version-check $(REQUIRED)
	$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(INSTALLED): REQUIRED := $(if $(NEWEST),-r requirements.txt,--require-hashes -r requirements.lock)
$(FRAMEWORKS)/.installed: REQUIRED := -r requirements.txt $(if $(NEWEST),$(shell sed -n 's/==.*//p' requirements-frameworks.txt),-r requirements-frameworks.txt)
$(FRAMEWORKS)/.installed: requirements-frameworks.txt
$(RELEASE)/.installed: REQUIRED := twine uv
