# The commands of the project. Each target does the set-up it needs first; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# The project's own tools first; those that scripts/setup.sh unpacked, last.
export PATH := $(CURDIR)/.venv/bin:$(PATH):$(CURDIR)/.cache/tools/usr/bin
export LC_ALL := C.UTF-8

.PHONY: help setup setup-dev setup-lint golive lab lab-down check test test-ci test-all test-long test-matrix lint docs bench collection lock

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup:
	@scripts/setup.sh

setup-dev:
	@scripts/setup.sh --dev

setup-lint:
	@scripts/setup.sh --lint

golive: setup ## Install what is missing, start the lab, and run the go-live checklist on it
	@ANSIBLE_DISPLAY_OK_HOSTS=$(if $(V),yes,no) ANSIBLE_DISPLAY_SKIPPED_HOSTS=$(if $(V),yes,no) ansible-playbook playbooks/lab.yml
	@scripts/pms-ops golive $(if $(V),--verbose)

lab: setup ## Start the lab: a complete PMS in containers
	@ansible-playbook playbooks/lab.yml

lab-down: setup ## Remove the lab: its containers, volumes, network and secrets
	@ansible-playbook playbooks/lab_down.yml

check: setup-lint ## Run the quick linters and the unit tests: the inner loop, no containers
	@scripts/check.sh

test: setup-dev ## Run linters, unit tests, real servers, molecule; not what quicker tests prove
	@scripts/test.sh

test-ci: setup-dev ## Run test, and the tests marked deep: what each pull request has to pass
	@scripts/test.sh --deep

test-long: setup-dev ## Run every test, with kills of every playbook and full property tests
	@scripts/test.sh --all

test-matrix: setup-dev ## Test the supported versions of PostgreSQL and ansible-core: CELLS="..."
	@scripts/test_matrix.sh $(CELLS)

test-all: setup-dev ## Run test-long, then test-matrix
	@status=0; scripts/test.sh --all || status=$$?; scripts/test_matrix.sh || status=$$?; exit $$status

lint: setup-lint ## Run the linters
	@scripts/lint.sh

docs: setup ## Render docs/ and the README.md of each role
	@ansible-playbook playbooks/docs.yml

bench: setup-dev ## Measure, on a separate lab; fails if a target is missed: FIGURES="fleet fleet_remote"
	@python -m bench $(FIGURES)

collection: setup-lint ## Build the collection pmsops.pms: dist/pmsops-pms-VERSION.tar.gz
	@mkdir -p dist
	@scripts/build_collection.py dist

lock: setup-dev ## Update the lock files in requirements/
	@scripts/lock.sh
