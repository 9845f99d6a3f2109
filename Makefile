# SPDX-License-Identifier: GPL-2.0
#
# Front door: 'make help' says what there is. What the module itself is built
# from begins in Kbuild, which the kernel's build reads in place of this file.

MACHINE := tools/testing/machine

help:
	@echo 'Trying it (needs Debian 12 or 13; installs and builds what is missing):'
	@echo '  make demo             from sysfs to a Linux guest that does RSA: 10 seconds'
	@echo '  make demo-migration   such a guest moves to another host: a minute and a half'
	@echo '  make check            all tests, with both drivers: half an hour;'
	@echo '                        PARTS="PART[/PROGRAM[:TEST]]..." some of them, and'
	@echo '                        tools/testing/check --help shows which there are'
	@echo '  make shell            a login shell in the emulated host'
	@echo '  make setup            builds what make demo needs, and more: 8 minutes, once'
	@echo '  make bench            compares the driver with the C driver, in instructions:'
	@echo '                        BENCH="GROUP..." some of it, SAVE=1 also into Documentation/'
	@echo '  make bench-profile    which functions execute those instructions'
	@echo '  make recording        runs make demo, and draws what it prints: Documentation/demo.svg'
	@echo '  make htmldocs         web pages of Documentation/, in Documentation/output'
	@echo '  make rustdoc          web pages of the comments in the driver, in the same place'
	@echo '  make bench-machine    how fast the emulated host is'
	@echo '  $(MACHINE)/run --help      any command in the emulated host'
	@echo
	@echo 'The module for a kernel of your own:'
	@echo '  make modules KDIR=DIR [ARCH=s390 CROSS_COMPILE=s390x-linux-gnu-]'
	@echo '                        DIR is a configured and built tree of Linux 7.2 or 7.3 with CONFIG_RUST=y;'
	@echo '                        makes drivers/s390/crypto/vfio_ap/vfio_ap.ko'
	@echo '  make modules_install KDIR=DIR [INSTALL_MOD_PATH=DIR]'
	@echo
	@echo 'The driver in a kernel of your own, and for review:'
	@echo '  make patches KDIR=DIR [PATCHES=DIR] [FROM="NAME <ADDRESS>"]'
	@echo '                        writes it as a series of patches for the source of Linux 7.3 in'
	@echo '                        KDIR to PATCHES (patches/); tools/patches/write --help'
	@echo
	@echo '  make clean            removes what was built in this directory'
	@echo '  make clean-cache      removes what the set-up has installed and built'

demo:
	@$(MACHINE)/demo

demo-migration:
	@$(MACHINE)/demo-migration

check:
	@tools/testing/check $(PARTS)

shell:
	@$(MACHINE)/run

setup:
	@$(MACHINE)/setup

bench:
ifneq ($(and $(SAVE),$(BENCH)),)
	@echo 'SAVE=1 writes what the documentation has, which is all groups: leave BENCH out' >&2
	@exit 2
endif
	@tools/testing/bench/bench $(BENCH) $(if $(SAVE),--json=Documentation/benchmark.json \
		--text=Documentation/benchmark.txt --svg=Documentation/benchmark.svg \
		--bars=Documentation/benchmark-bars.svg)

bench-profile:
	@tools/testing/bench/bench --profile $(BENCH)

recording:
	@tools/testing/documentation/record demo Documentation/demo.svg

htmldocs:
	@tools/testing/documentation/html Documentation/output

rustdoc:
	@tools/testing/documentation/rustdoc Documentation/output/rustdoc

bench-machine:
	@$(MACHINE)/bench

# On an s390x machine, its own kernel is the one that is meant.
ifeq ($(KDIR),)
ifeq ($(shell uname -m),s390x)
KDIR := $(wildcard /lib/modules/$(shell uname -r)/build)
endif
endif

modules modules_install: check-kdir
	$(MAKE) -C $(KDIR) M=$(CURDIR) $@

check-kdir:
ifeq ($(KDIR),)
	@echo "Which kernel? Give KDIR=<configured and built kernel tree>, and, elsewhere than on" >&2
	@echo "s390x, ARCH=s390 CROSS_COMPILE=s390x-linux-gnu-. 'make demo' and 'make check' need none." >&2
	@exit 2
else ifeq ($(wildcard $(KDIR)/include/config/kernel.release),)
	@echo "KDIR=$(KDIR) is not a configured and built kernel tree" >&2
	@exit 2
endif

patches:
ifeq ($(KDIR),)
	@echo "Patches for which kernel? Give KDIR=<source of Linux 7.3>." >&2
	@exit 2
else
	@tools/patches/write $(if $(FROM),--from='$(FROM)') $(KDIR) $(PATCHES)
endif

# By hand, so that no kernel is needed for it.
clean:
	@find Kbuild drivers include \( -name '*.o' -o -name '*.ko' -o -name '*.mod' \
		-o -name '*.mod.c' -o -name '.*.cmd' -o -name '*.rmeta' -o -name '.*.d' \
		-o -name 'modules.order' -o -name 'bindings_generated.rs' \) -delete
	@rm -rf Documentation/output Module.symvers modules.order .module-common.o .Module.symvers.cmd \
		..module-common.o.cmd .modules.order.cmd .tmp_versions \
		tools/testing/vfio-ap-model/target

clean-cache:
	@$(MACHINE)/setup --remove

.PHONY: help demo demo-migration check shell setup bench bench-profile bench-machine recording \
	htmldocs rustdoc modules modules_install check-kdir patches clean clean-cache
