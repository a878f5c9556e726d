# make demo | test | check | serve | bench | wheel: each makes .venv and installs the pins by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check serve bench wheel cluster image-check secrets lock locks clean

demo: $(STAMP)
	@$(BIN)/vi3nr demo

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

serve: $(STAMP)
	@$(BIN)/vi3nr serve

bench: $(STAMP)
	$(BIN)/python -m benchmarks.engine --quick
	$(BIN)/python -m benchmarks.search --quick

# The library from its sdist and wheel, in an environment of its own without the service's packages; about a minute.
wheel: $(STAMP)
	$(BIN)/python tests/packaging/wheel.py

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# The services of docker-compose.yml as processes of this machine, one node killed; minutes.
cluster: $(STAMP)
	$(BIN)/python -m pytest -m cluster tests/end_to_end/test_cluster.py

# The Dockerfile's steps without a Docker engine, and both images in use. Root on Linux; minutes.
image-check: $(STAMP)
	$(BIN)/python deploy/image_check.py $(if $(TORCH_INDEX),--build-arg TORCH_INDEX=$(TORCH_INDEX))

# Passwords and Ray's token for docker-compose.yml; what is there stays as it is.
secrets:
	$(PYTHON) -m service.secret_files secrets

# After a change of pyproject.toml: install its ranges in a fresh environment and write down what was chosen.
lock:
	rm -rf .lock-venv && $(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install --quiet torch==2.13.0 setuptools ".[service,test,dev]"
	{ echo "# Written by 'make lock': every package at the version that is tested. torch 2.13.0 is also the CPU build, 2.13.0+cpu."; \
	  .lock-venv/bin/python -m pip freeze --all --exclude pip --exclude vi3nr | sed -e 's/^torch==2.13.0.*/torch==2.13.0/' -e '/^nvidia-/d' -e '/^triton==/d'; } > requirements.lock
	.lock-venv/bin/python deploy/locks.py
	rm -rf .lock-venv

# The images' locks: parts of requirements.lock.
locks: $(STAMP)
	$(BIN)/python deploy/locks.py

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
