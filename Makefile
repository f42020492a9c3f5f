# SPDX-License-Identifier: GPL-2.0
#
# make modules [KDIR=… | KERNEL=6.12]   hyperkernel.ko in out/build-SERIES/
# make user                             hkd and hkctl in out/bin/
# make demo [HOSTS=3] [KERNEL=6.12] [SHELL=1]
# make check
# make sim                              out/sim.json, plots in out/sim/
# make explore                          the protocols, in sizes beyond make check
# make bench                            figures, into out/bench.json
#
# Objects of different kernels do not mix: sources are copied to a directory per
# kernel and built there.

# "make demo SHELL=1": SHELL is make's own variable, too
ifeq ($(origin SHELL),command line)
export SHELL_DEMO := $(SHELL)
override SHELL := /bin/sh
endif

# Without a choice and without the headers of 6.1: the running kernel
ifeq ($(KERNEL)$(KDIR),)
KDIR := $(shell scripts/kdir 6.1 2>/dev/null || echo /lib/modules/$$(uname -r)/build)
endif
KERNEL ?= 6.1
KDIR ?= $(shell scripts/kdir $(KERNEL))
BUILD := out/build-$(KERNEL)
SOURCES := Kbuild kmod dsm migrate fabric uapi

all: modules user

modules:
	@mkdir -p $(BUILD)
	@cp -ru --preserve=timestamps $(SOURCES) $(BUILD)/
	$(MAKE) -C $(KDIR) M=$(CURDIR)/$(BUILD) CONFIG_DEBUG_INFO_BTF_MODULES= modules

modules_install: modules
	$(MAKE) -C $(KDIR) M=$(CURDIR)/$(BUILD) modules_install

user:
	$(MAKE) -C user

bootstrap:
	scripts/bootstrap

check:
	@scripts/check

# plots need gnuplot, and nothing else does
sim:
	@scripts/bootstrap --no-kernels gnuplot-nox
	$(MAKE) -s -C selftests/sim report

explore:
	$(MAKE) -C selftests/explore check-long

bench: bootstrap
	@scripts/stage $(KERNEL)
	@scripts/bench

demo: bootstrap
	@scripts/stage $(KERNEL)
	@scripts/demo

clean:
	rm -rf out/build-* out/bin out/obj out/selftests
	$(MAKE) -C user clean

.PHONY: all modules modules_install user bootstrap check sim explore bench demo clean
