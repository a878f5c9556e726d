# Each target makes .venv and installs the pins by itself.
PYTHON ?= python3
SEED ?= 0
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed


.PHONY: install
install: $(STAMP)

.PHONY: demo
demo: $(STAMP)
	@$(BIN)/vi3nr demo

.PHONY: test
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

# 20,000 damaged files of every kind: about ten minutes on two quiet cores.
.PHONY: fuzz
fuzz: $(STAMP)
	VI3NR_FUZZ=20000 $(BIN)/python -m pytest -s tests/service/test_fuzz.py

# Thousands of requests of every kind against the OpenAPI document: about ten minutes on two quiet cores.
.PHONY: fuzz-api
fuzz-api: $(STAMP)
	VI3NR_API_CASES=200 $(BIN)/python -m pytest -s --timeout 7200 tests/service/test_api_fuzz.py

# Blobs in S3, against moto's server: its packages need another python-dateutil than the pinned one, so they lie apart.
.PHONY: object-store-test
object-store-test: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --target build/s3 "s3fs>=2025.2" "moto[s3]>=5.1" "flask>=3" "flask-cors>=5"
	PYTHONPATH=build/s3 $(BIN)/python -m pytest tests/service/test_blobs.py tests/service/test_object_store_api.py

.PHONY: check
check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python deploy/audit.py
	@$(MAKE) --no-print-directory docs

# The pages as a site, in build/site: every link and reference holds, and no request to another host is made.
.PHONY: docs
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# Every command and snippet of the pages, the searches too; minutes.
.PHONY: docs-test
docs-test: $(STAMP)
	OMP_NUM_THREADS=1 VI3NR_DOCS=all $(BIN)/python -m pytest tests/service/test_documents.py

.PHONY: serve
serve: $(STAMP)
	@$(BIN)/vi3nr serve

.PHONY: bench
bench: $(STAMP)
	$(BIN)/python -m benchmarks.engine --quick
	$(BIN)/python -m benchmarks.search --quick

# The library from its sdist and wheel, in an environment of its own without the service's packages; about a minute.
.PHONY: wheel
wheel: $(STAMP)
	$(BIN)/python tests/packaging/wheel.py

# Rounds that stand in the record are not done again: another SEED draws new ones.
chaos: $(STAMP)
	$(BIN)/python -m benchmarks.chaos --rounds 50 --seed $(SEED) --record chaos-$(SEED).jsonl

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# The services of docker-compose.yml as processes of this machine, one node killed; minutes.
.PHONY: cluster
cluster: $(STAMP)
	$(BIN)/python -m pytest -m cluster tests/end_to_end/test_cluster.py

# The Dockerfile's steps without a Docker engine, and both images in use. Root on Linux; minutes.
.PHONY: image-check
image-check: $(STAMP)
	$(BIN)/python deploy/image_check.py $(if $(TORCH_INDEX),--build-arg TORCH_INDEX=$(TORCH_INDEX))

# Passwords and Ray's token for docker-compose.yml; what is there stays as it is.
.PHONY: secrets
secrets:
	$(PYTHON) -m service.secret_files secrets

# After a change of pyproject.toml: install its ranges in a fresh environment and write down what was chosen.
.PHONY: lock
lock:
	rm -rf .lock-venv && $(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install --quiet torch==2.13.0 setuptools ".[service,test,dev]"
	{ echo "# Written by 'make lock': every package at the version that is tested. torch 2.13.0 is also the CPU build, 2.13.0+cpu."; \
	  .lock-venv/bin/python -m pip freeze --all --exclude pip --exclude vi3nr | sed -e 's/^torch==2.13.0.*/torch==2.13.0/' -e '/^nvidia-/d' -e '/^triton==/d'; } > requirements.lock
	.lock-venv/bin/python deploy/locks.py
	rm -rf .lock-venv

# The images' locks: parts of requirements.lock.
.PHONY: locks
locks: $(STAMP)
	$(BIN)/python deploy/locks.py

.PHONY: clean
clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
