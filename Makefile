# A thin face over `python -m tpl`; what each command does is written there.
#
#   make book      environment, shapes, trainings, tables, figures, and the book in HTML
#   make lab       JupyterLab: hyperparameters turned by hand, trainings watched, stopped and gone on with
#   make test      environment, checks and tests
#   make real      the open collection of real shapes: fetched, trained on, judged; chapters 01, 07 and 12 show it then
#   make appendix  appendix A with its trainings, which `make book` leaves out; they stay, and `make book` shows them then
#   make ingredients  chapter 04 with our encoder trained without each of its ingredients, in the same way
#
# PYTHON names the interpreter that makes the environment; PROFILE the folder of book/profiles that the chapters run with.

PROFILE ?= quick
MINUTES ?= 9
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
NEXT := .venv-next

.DEFAULT_GOAL := help
.PHONY: help book standard long real appendix ingredients site site-next pdf test check bench format lab pair lock clean

help:
	@sed -n 's/^#   //p' Makefile
	@echo 'also: standard long site site-next pdf check bench format pair lock clean; see README.md'

book: $(READY)
	$(BIN)/python -m tpl run --profile $(PROFILE)
	$(BIN)/python -m tpl site --from runs/$(PROFILE)/book

standard: $(READY) # a piece of profile standard, of 9 minutes: again and again until it says that the book is there
	$(BIN)/python -m tpl fetch open
	$(BIN)/python -m tpl run --profile standard --minutes $(MINUTES)
	$(BIN)/python -m tpl site --from runs/standard/book

long: $(READY) # a piece of profile long, of 9 minutes: again and again until it says where the networks are
	export TPL_DEADLINE=$$(( $$(date +%s) + 60 * $(MINUTES) )) && \
	$(BIN)/python -m tpl prepare --profile long && \
	$(BIN)/python -m tpl train our_embedding --profile long && \
	$(BIN)/python -m tpl train our_encoder --profile long && \
	$(BIN)/python -m tpl evaluate --profile long && \
	$(BIN)/python -m tpl networks --profile long

real: $(READY) # after `make book`; fetches about 0.9 GB, then an hour or so on 2 cores in profile quick
	$(BIN)/python -m tpl fetch open
	$(BIN)/python -m tpl run 01 12 07 --profile $(PROFILE) -p measure true -p held_out both

appendix: $(READY) # 5 to 15 minutes on 2 cores in profile quick
	$(BIN)/python -m tpl run 01 A_paper_and_code --profile $(PROFILE) -p measure true

ingredients: $(READY) # after `make book`: twelve encoders, 30 to 40 minutes on 2 cores in profile quick
	$(BIN)/python -m tpl run 04 --profile $(PROFILE) -p measure true

site: $(READY) # of the published run, book/executed: seconds, and nothing is computed
	$(BIN)/python -m tpl site

pdf: $(READY) # of the site that was built last; needs Chromium, a minute or two
	$(BIN)/python -m tpl pdf

site-next: $(READY) $(NEXT)/ready # the same pages by current Sphinx, without Jupyter Book, in _build/next/html
	$(BIN)/python -m tpl site --sphinx $(NEXT)/bin/python

$(NEXT)/ready: requirements-next.txt
	@echo "making the environment of current Sphinx in $(NEXT), once"
	$(PYTHON) -m venv $(NEXT)
	$(NEXT)/bin/python -m pip install --disable-pip-version-check -qq -r requirements-next.txt
	@touch $@

test: check
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not site and not chapters"

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

bench: $(READY) # PARTS="chamfer sdf" for some of it; writes benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks $(PARTS)

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lab: $(READY) # JupyterLab on copies of the chapters, with forms for their hyperparameters; the book stays as it is
	$(BIN)/python -m tpl lab

pair: $(READY) # after a chapter's .md was edited
	$(BIN)/python -m tpl pair

lock: # after pyproject.toml was edited; needs uv
	uv pip compile pyproject.toml --extra book --extra cluster --extra collada --extra dev --universal --no-annotate --no-header -o requirements.lock

clean: # what can be made again in seconds; runs/ and data/ stay
	rm -rf _build .pytest_cache .ruff_cache .hypothesis

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo 'no Python of version 3.11 or newer was found: install one, or name it: make book PYTHON=/path/to/python3.12'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'this needs Python 3.11 or newer, and $(PYTHON) is older or missing: make book PYTHON=/path/to/python3.12'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo '$(PYTHON) cannot make virtual environments: apt-get install python3-venv'; exit 1; }
	@echo "making the environment in $(VENV), once"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -qq -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check -qq --no-deps -e .
	@touch $@
