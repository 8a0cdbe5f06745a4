PYTHON ?= python3
BIN := .venv/bin
.PHONY: install run test lint figures lock clean
install: .venv/ready
run: .venv/ready ; $(BIN)/mattis figures hopfield_phase_diagram
figures: .venv/ready ; $(BIN)/mattis figures
test: .venv/ready ; $(BIN)/python -m pytest -q -n 2 --dist worksteal
lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
.venv/ready: pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -c requirements.lock -e '.[test]'
	mkdir -p .venv/src && ln -sfn "$(CURDIR)" .venv/src/mattis
	touch $@
lock: .venv/ready ; $(BIN)/python -m pip freeze --exclude-editable > requirements.lock
clean: ; rm -rf .venv build *.egg-info
