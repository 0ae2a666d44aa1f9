# Written by `gridbyoc pipeline make`: change its options, not this file.
# Again: gridbyoc pipeline make stacks
# `include make/gridbyoc.mk` adds only these targets:
#   gridbyoc-validate  gridbyoc-plan  gridbyoc-apply  gridbyoc-drift  gridbyoc-verify  gridbyoc-destroy
# each for all of GRIDBYOC_STACKS; for one stack: make gridbyoc-plan//stacks/one.yaml
# make gridbyoc-destroy needs GRIDBYOC_CONFIRM=FILE, and destroys only that stack.
# Every name here begins with gridbyoc or GRIDBYOC_; the including Makefile keeps its default goal.

GRIDBYOC ?= gridbyoc
GRIDBYOC_STACKS ?= stacks/ml-prod.yaml
GRIDBYOC_PLAN_FLAGS ?=
# --yes approves creation and change; destruction also needs --yes-destroy.
GRIDBYOC_APPLY_FLAGS ?= --yes
# The bundle is encrypted with GRIDBYOC_BUNDLE_KEY; without a key, set GRIDBYOC_PLAN_FLAGS=--unencrypted.
GRIDBYOC_BUNDLE_SUFFIX ?= .bundle

GRIDBYOC_DEFAULT_GOAL := $(.DEFAULT_GOAL)
GRIDBYOC_VALIDATES := $(addprefix gridbyoc-validate//,$(GRIDBYOC_STACKS))
GRIDBYOC_PLANS := $(addprefix gridbyoc-plan//,$(GRIDBYOC_STACKS))
GRIDBYOC_APPLIES := $(addprefix gridbyoc-apply//,$(GRIDBYOC_STACKS))
GRIDBYOC_DRIFTS := $(addprefix gridbyoc-drift//,$(GRIDBYOC_STACKS))
GRIDBYOC_VERIFIES := $(addprefix gridbyoc-verify//,$(GRIDBYOC_STACKS))

.PHONY: gridbyoc-validate gridbyoc-plan gridbyoc-apply gridbyoc-drift gridbyoc-verify gridbyoc-destroy
.PHONY: $(GRIDBYOC_VALIDATES) $(GRIDBYOC_PLANS) $(GRIDBYOC_APPLIES) $(GRIDBYOC_DRIFTS) $(GRIDBYOC_VERIFIES)

gridbyoc-validate: $(GRIDBYOC_VALIDATES)
gridbyoc-plan: $(GRIDBYOC_PLANS)
gridbyoc-apply: $(GRIDBYOC_APPLIES)
gridbyoc-drift: $(GRIDBYOC_DRIFTS)
gridbyoc-verify: $(GRIDBYOC_VERIFIES)

$(GRIDBYOC_VALIDATES): gridbyoc-validate//%:
	$(GRIDBYOC) validate '$*'

$(GRIDBYOC_PLANS): gridbyoc-plan//%:
	$(GRIDBYOC) plan '$*' --out '$*$(GRIDBYOC_BUNDLE_SUFFIX)' $(GRIDBYOC_PLAN_FLAGS)

$(GRIDBYOC_APPLIES): gridbyoc-apply//%:
	$(GRIDBYOC) apply '$*$(GRIDBYOC_BUNDLE_SUFFIX)' '$*' $(GRIDBYOC_APPLY_FLAGS)
	rm -f '$*$(GRIDBYOC_BUNDLE_SUFFIX)'

$(GRIDBYOC_DRIFTS): gridbyoc-drift//%:
	$(GRIDBYOC) drift '$*'

$(GRIDBYOC_VERIFIES): gridbyoc-verify//%:
	$(GRIDBYOC) verify '$*'

gridbyoc-destroy:
	$(if $(filter $(GRIDBYOC_STACKS),$(GRIDBYOC_CONFIRM)),,$(error Say which stack: GRIDBYOC_CONFIRM=FILE, one of $(GRIDBYOC_STACKS)))
	$(GRIDBYOC) destroy '$(GRIDBYOC_CONFIRM)' --yes-destroy

.DEFAULT_GOAL := $(GRIDBYOC_DEFAULT_GOAL)
