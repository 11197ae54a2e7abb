# Every target does its own set-up; nothing but Python 3.11 and make is assumed.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready

ZH := $(findstring zh,$(or $(LC_ALL),$(LC_MESSAGES),$(LANG)))
step = @echo "· $(if $(ZH),$(2),$(1))"

.PHONY: setup demo test check bench bench-full bench-models faults fuzz fmt docs images sbom
.NOTPARALLEL:
unexport PYTHONDONTWRITEBYTECODE # compiling the platform anew costs every process a second

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	$(call step,creating the environment in .venv,在 .venv 中创建运行环境)
	@$(PYTHON) -c "import sys; sys.exit('Python 3.11 or newer is needed, this is ' + sys.version.split()[0] + ' - set PYTHON=python3.11' if sys.version_info < (3, 11) else 0)"
	@test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9,<1"; }
	$(call step,installing the locked packages (about 1.1 GB once installed),安装锁定版本的软件包(安装后约 1.1 GB))
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

demo: setup
	@$(BIN)/python -P -m deploy.demo.demo

test: setup
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --ignore tests/faults --durations 30
	@$(BIN)/python -m pytest tests/faults # what it kills and fills is no company for others

check: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup
	@$(BIN)/python -P -m tests.benchmarks.run
	@$(BIN)/python -P -m tests.benchmarks.gateway

bench-full: bench # 103,680,000 points, then 10,000,000 events, take up to 25 GB of disk and an hour more
	@SUNMAO_BENCH_POINTS=103680000 $(BIN)/python -P -m tests.benchmarks.run chart
	@SUNMAO_BENCH_EVENTS=10000000 $(BIN)/python -P -m tests.benchmarks.run recall
	@$(BIN)/python -P -m tests.benchmarks.ingest_soak 10
	@SUNMAO_BACKLOG_S=86400 SUNMAO_BACKLOG_RATE=20 $(BIN)/python -P -m tests.benchmarks.run backlog

bench-models: setup # fits and judges on real sets, part-disjoint
	@$(BIN)/python -P -m tests.benchmarks.magnetic_tile
	@$(BIN)/python -P -m tests.benchmarks.compare
	@$(BIN)/python -P -m tests.benchmarks.sort
	@$(BIN)/python -P -m tests.benchmarks.tiles
	@$(BIN)/python -P -m tests.benchmarks.int8
	@$(BIN)/python -P -m tests.benchmarks.inspection
	@$(BIN)/python -P -m tests.benchmarks.series
	@$(BIN)/python -P -m tests.benchmarks.vibration

faults: setup
	@$(BIN)/python -P -m tests.faults.run

fuzz: setup # FUZZ_SECONDS of each target (60)
	@$(BIN)/python -P -m tests.fuzz.run

sbom: setup # what a release is made of, as CycloneDX
	@$(BIN)/python -P -m deploy.sbom .sbom/sunmao.cdx.json

fmt: setup
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: setup
	@$(BIN)/python -P -m deploy.manual.write

images: setup
	@$(BIN)/python -P -m deploy.demo.demo --images
	@$(BIN)/python -P -m deploy.demo.technician_images
	@SUNMAO_PICTURES=guides $(BIN)/python -m pytest tests/journeys/test_every_page.py tests/journeys/test_enrolment_sheet.py
