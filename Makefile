# The only place with compiler flags; builds, checks and installs everything.
#
#   make            build the plugin, the agent and the command
#   make check      unit tests, ABI, layers, then the system tests (root)
#   make demo       relay one message end to end on loopback (root)
#   make lint       formatting, static analysis, man pages
#   make sanitize   unit tests and short fuzz runs under ASan and UBSan
#   make check-sanitized, make check-valgrind
#                   the system tests with programs that are watched (root)
#   make fuzz       every fuzzer for FUZZ_SECONDS
#   make faults     kill, starve and flood it: docs/RELIABILITY.md (root)
#   make bench      the benchmarks of docs/PERFORMANCE.md (root)
#   make install    DESTDIR, PREFIX and SYSCONFDIR are honoured; APPARMORDIR
#                   and SELINUXDIR say where the policies go
#   make clean

VERSION	:= $(shell cat VERSION)
BUILD	?= build
PREFIX	?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR	?=
PKG	?= pkg-config
PYTHON	?= /usr/bin/python3
CFLAGS	?= -O2 -g
FUZZ_SECONDS ?= 30

BINDIR	= $(PREFIX)/bin
SBINDIR	= $(PREFIX)/sbin
LIBDIR	?= $(if $(filter /usr,$(PREFIX)),$(shell $(PKG) --variable=libdir libsasl2),$(PREFIX)/lib)
MANDIR	= $(PREFIX)/share/man
DOCDIR	= $(PREFIX)/share/doc/mailtoken
SHAREDIR	= $(PREFIX)/share
UNITDIR	?= $(if $(filter /usr,$(PREFIX)),/lib/systemd/system,/etc/systemd/system)
USERUNITDIR ?= $(if $(filter /usr,$(PREFIX)),/usr/lib/systemd/user,/etc/systemd/user)
# Policies lie among the documents, where nothing loads them, unless told
# otherwise: APPARMORDIR=/etc/apparmor.d.
APPARMORDIR ?= $(DOCDIR)/apparmor
SELINUXDIR ?= $(DOCDIR)/selinux
SASLDIR	?= $(shell $(PKG) --variable=libdir libsasl2)/sasl2
# From dovecot-dev; without it everything but Dovecot's modules is built.
DOVECOT_CONFIG ?= $(wildcard /usr/lib/dovecot/dovecot-config)

STD	= -std=c11 -D_GNU_SOURCE -fvisibility=hidden -MMD -MP
WARN	= -Wall -Wextra -Werror -Wshadow -Wconversion -Wmissing-prototypes \
	  -Wstrict-prototypes -Wvla -Wformat=2 -Wimplicit-fallthrough \
	  -Wwrite-strings -Wpointer-arith -Wundef
HARD	?= -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
	  -fstack-clash-protection -fcf-protection
LDHARD	= -Wl,-z,relro,-z,now,-z,defs,-z,noexecstack
SAN	?=
DEFS	= -DMAILTOKEN_VERSION='"$(VERSION)"' \
	  -DMAILTOKEN_SYSCONFDIR='"$(SYSCONFDIR)"'
ALL	= $(STD) $(WARN) $(HARD) -fPIC $(SAN) $(CFLAGS) $(CPPFLAGS)
LINK	= $(CC) $(SAN) $(CFLAGS) $(LDHARD) $(LDFLAGS)

# core/ in dependency order: each module may include only what stands before
# it.  The first line is all that a plugin may link.
CORE_PLUGIN = diag secret buf wire xoauth2 exchange token_source
CORE	= $(CORE_PLUGIN) socketmap form json grant_type cloud provider \
	  regfile inifile rules command_spawn command secret_ref setting \
	  assertion_key assertion account account_check config_data \
	  config_text config config_user quote advice_table advice_texts advice_name \
	  login_place advice oauth2 echo jwt \
	  token_facts token_check exchange_online mail_dialogue device \
	  authorization arc_key managed_identity credential config_check \
	  seal keyring fernet proxy_config import_file grant archive \
	  sealed_grant owned_file state_dir store sealing refresh gate \
	  http_failure http_request http_turns http_url http token_request renew renew_login

LIBS_CORE   = libcurl json-c libevent libcrypto
LIBS_AGENT  = $(LIBS_CORE) libsystemd
AGENT	= $(patsubst helpers/%.c,%,$(filter-out helpers/cli%.c,$(wildcard helpers/*.c)))
CLI	= $(patsubst helpers/%.c,%,$(wildcard helpers/cli*.c)) clock privileges

# Dovecot 2.3 has no settings modules.
ifneq ($(DOVECOT_CONFIG),)
dovecot_config = $(shell . $(DOVECOT_CONFIG) && echo "$$dovecot_$(1)")
DOVECOT_INCLUDE := $(call dovecot_config,pkgincludedir)
DOVECOT_MODULEDIR ?= $(call dovecot_config,moduledir)
DOVECOT	= lib95_mailtoken_plugin.so lib96_mailtoken_submission_plugin.so \
	  auth/libauthdb_mailtoken.so \
	  $(shell grep -qs 'ABI_VERSION "2\.3\.' $(DOVECOT_INCLUDE)/config.h || \
	    echo settings/libmailtoken_settings.so)
endif

APPARMOR = usr.sbin.mailtokend usr.bin.mailtoken abstractions/mailtoken \
	  abstractions/postfix-common.d/mailtoken \
	  abstractions/dovecot-common.d/mailtoken

PRODUCTS = $(BUILD)/libxoauth2.so $(BUILD)/libmailtoken.so.0 \
	  $(BUILD)/mailtokend $(BUILD)/mailtoken \
	  $(DOVECOT:%=$(BUILD)/dovecot/%)
UNIT	= $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
# Preloaded into a program under test.
PRELOADS = $(addprefix $(BUILD)/tests/system/hosts/,fasttime.so steptime.so diskfault.so \
	  deafname.so)
# etpanhost is built by its test, with headers that cannot be installed here.
HOSTS	= $(patsubst %.c,$(BUILD)/%,$(filter-out %/etpanhost.c %/clocks.c \
	  $(PRELOADS:$(BUILD)/%.so=%.c),$(wildcard tests/system/hosts/*.c)))
FUZZERS	= $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCHES	= $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/*.c))

all: $(PRODUCTS)
ifeq ($(DOVECOT_CONFIG),)
	@echo "no dovecot-dev here: built without the modules for Dovecot"
endif

# Who may include whom: nobody includes upwards, nobody includes sideways.
$(BUILD)/core/%.o:		INC = -Icore $(DEFS) $(shell $(PKG) --cflags $(LIBS_CORE))
$(BUILD)/sasl-plugin/%.o:	INC = -Icore $(shell $(PKG) --cflags libsasl2)
# Dovecot's headers are GNU C, and its checks of types are arrays.
DOVECOT_FLAGS = -std=gnu11 -Wno-vla -Icore -DHAVE_CONFIG_H -isystem $(DOVECOT_INCLUDE)
$(BUILD)/dovecot-plugin/%.o:	INC = $(DOVECOT_FLAGS)
$(BUILD)/helpers/%.o:		INC = -Icore $(DEFS) $(shell $(PKG) --cflags $(LIBS_AGENT))
$(BUILD)/library/%.o:		INC = -Icore -Ilibrary $(DEFS)
$(BUILD)/tests/unit/%.o:	INC = -Icore -Ihelpers $(shell $(PKG) --cflags $(LIBS_CORE) libsasl2 cmocka)
$(BUILD)/tests/system/hosts/%.o: INC = -Ilibrary $(shell $(PKG) --cflags libsasl2)
$(BUILD)/tests/fuzz/%.o:	INC = -Icore $(shell $(PKG) --cflags $(LIBS_CORE))
$(BUILD)/tests/bench/%.o:	INC = -Icore $(shell $(PKG) --cflags libsasl2)

$(BUILD)/%.o: %.c Makefile VERSION
	@mkdir -p $(@D)
	$(CC) $(ALL) $(INC) -c -o $@ $<

# Another SYSCONFDIR makes other programs.
$(CORE:%=$(BUILD)/core/%.o) $(BUILD)/library/mailtoken.o \
$(sort $(AGENT:%=$(BUILD)/helpers/%.o) $(CLI:%=$(BUILD)/helpers/%.o)): $(BUILD)/defs
ifneq ($(file <$(BUILD)/defs),$(VERSION) $(SYSCONFDIR))
$(BUILD)/defs: FORCE
endif
$(BUILD)/defs:
	@mkdir -p $(@D)
	@echo '$(VERSION) $(SYSCONFDIR)' >$@

$(BUILD)/libcore.a: $(CORE:%=$(BUILD)/core/%.o)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/libxoauth2.so: $(BUILD)/sasl-plugin/plugin.o \
    $(BUILD)/sasl-plugin/ask.o $(BUILD)/libcore.a
	$(LINK) -shared -o $@ $^

$(BUILD)/libmailtoken.so.0: $(BUILD)/library/mailtoken.o $(BUILD)/libcore.a
	$(LINK) -shared -Wl,-soname,$(@F) -o $@ $^

# The rest of what they need is in the program that loads them.
$(BUILD)/dovecot/lib95_mailtoken_plugin.so: $(addprefix $(BUILD)/dovecot-plugin/,\
	mail_plugin.o mechanism.o agent_settings.o)
$(BUILD)/dovecot/lib96_mailtoken_submission_plugin.so: $(addprefix $(BUILD)/dovecot-plugin/,\
	submission_plugin.o mechanism.o agent_settings.o)
$(BUILD)/dovecot/auth/libauthdb_mailtoken.so: $(addprefix $(BUILD)/dovecot-plugin/,\
	passdb.o agent_settings.o)
$(BUILD)/dovecot/settings/libmailtoken_settings.so: $(addprefix $(BUILD)/dovecot-plugin/,\
	settings_module.o agent_settings.o)
$(BUILD)/dovecot/%.so: $(BUILD)/libcore.a
	@mkdir -p $(@D)
	$(LINK) -Wl,-z,undefs -shared -o $@ $(filter %.o,$^) $(filter %.a,$^)

$(BUILD)/mailtokend: $(AGENT:%=$(BUILD)/helpers/%.o) $(BUILD)/libcore.a
	$(LINK) -pie -o $@ $^ $(shell $(PKG) --libs $(LIBS_AGENT))

$(BUILD)/mailtoken: $(CLI:%=$(BUILD)/helpers/%.o) $(BUILD)/libcore.a
	$(LINK) -pie -o $@ $^ $(shell $(PKG) --libs $(LIBS_CORE))

$(BUILD)/tests/unit/test_heap: $(BUILD)/helpers/heap.o
$(BUILD)/tests/unit/test_log: $(BUILD)/helpers/log.o
$(BUILD)/tests/unit/test_lease: $(BUILD)/helpers/lease.o
$(BUILD)/tests/unit/test_pace: $(BUILD)/helpers/pace.o
$(BUILD)/tests/unit/test_ration: $(BUILD)/helpers/ration.o
$(BUILD)/tests/unit/test_known: $(addprefix $(BUILD)/helpers/,known.o peer.o)
$(BUILD)/tests/unit/test_visitor: $(addprefix $(BUILD)/helpers/,\
	visitor.o known.o peer.o ration.o log.o clock.o)
$(BUILD)/tests/unit/test_expiry: $(BUILD)/helpers/expiry.o $(BUILD)/helpers/log.o
$(BUILD)/tests/unit/test_notify: $(addprefix $(BUILD)/helpers/,notify.o log.o clock.o)
$(UNIT): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/libcore.a
	$(LINK) $(TESTLINK) -o $@ $(filter %.o,$^) $(filter %.a,$^) \
	    $(shell $(PKG) --libs $(LIBS_CORE) cmocka)
# The calls that reach the disk fail or never return.
$(BUILD)/tests/unit/test_store: TESTLINK = -Wl,--wrap=openat,--wrap=write,--wrap=fsync,--wrap=renameat,--wrap=fstatfs
$(BUILD)/tests/unit/test_rekey: TESTLINK = -Wl,--wrap=openat,--wrap=write,--wrap=fsync,--wrap=flock,--wrap=renameat,--wrap=renameat2
$(addprefix $(BUILD)/tests/unit/test_renew_,store login): TESTLINK = -Wl,--wrap=renameat,--wrap=posix_fallocate
# Certificates that are counted.
$(BUILD)/tests/unit/test_expiry: TESTLINK = -Wl,--wrap=credential_expires_at
# A syslog of our own.
$(BUILD)/tests/unit/test_log: TESTLINK = -Wl,--wrap=connect
# A kernel without pidfds.
$(BUILD)/tests/unit/test_command: TESTLINK = -Wl,--wrap=syscall
# Every allocation of a plugin's code fails once.
$(BUILD)/tests/unit/test_oom: TESTLINK = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup

# Linked as another program would be, but found beside the test's own build.
$(BUILD)/tests/system/hosts/libraryhost: $(BUILD)/tests/system/hosts/libraryhost.o \
    $(BUILD)/libmailtoken.so.0
	$(LINK) -o $@ $^ -Wl,-rpath,'$$ORIGIN/../../..'

$(filter-out %/libraryhost,$(HOSTS)): $(BUILD)/%: $(BUILD)/%.o
	$(LINK) -o $@ $^ $(shell $(PKG) --libs libsasl2) -lpthread

# Called before a sanitizer in that program is ready.
$(PRELOADS): override SAN =
$(addprefix $(BUILD)/tests/system/hosts/,fasttime.so steptime.so): \
    $(BUILD)/tests/system/hosts/clocks.o
$(PRELOADS): %.so: %.o
	$(LINK) -shared -o $@ $^

$(BUILD)/tests/bench/grants $(BUILD)/tests/bench/state: BENCHLIBS = $(LIBS_CORE)
$(BENCHES): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/libcore.a
	$(LINK) -o $@ $^ $(shell $(PKG) --libs libsasl2 $(BENCHLIBS))

check-unit: $(UNIT)
	@set -e; for t in $(UNIT); do echo "$$t"; $$t; done

# What each plugin needs and exports is pinned.
abi	= { readelf -d $(1) | sed -n 's/.*NEEDED.*\[\(.*\)\]/needs \1/p'; \
	   nm -D --defined-only $(1) | sed 's/.* /exports /'; }

check-abi: $(BUILD)/libxoauth2.so $(BUILD)/libmailtoken.so.0 \
    $(DOVECOT:%=$(BUILD)/dovecot/%)
	@$(call abi,$<) | diff sasl-plugin/abi - && \
	    echo "sasl-plugin/abi: as pinned"
	@$(call abi,$(BUILD)/libmailtoken.so.0) | diff library/abi - && \
	    echo "library/abi: as pinned"
	@set -e; for m in $(DOVECOT); do \
	    sed -n "\,^module $$m\$$,,/^$$/{/^module/d;/^$$/d;p}" \
	        dovecot-plugin/abi >$(BUILD)/dovecot-plugin/abi; \
	    $(call abi,$(BUILD)/dovecot/$$m) | diff $(BUILD)/dovecot-plugin/abi - || \
	        { echo "$$m: not as dovecot-plugin/abi pins it"; exit 1; }; done
	@$(if $(DOVECOT),echo "dovecot-plugin/abi: as pinned",:)

check-layers:
	tests/layers.sh $(CORE)

check-system: all hosts sanitized-modules sanitized-threads
	rm -rf $(BUILD)/faults/quick
	BUILD=$(abspath $(BUILD)) tests/system/run
	BUILD=$(abspath $(BUILD)) $(PYTHON) -B tests/system/reliability.py --check

# One after another, since some of them measure.
faults: all hosts
	rm -rf $(BUILD)/faults/full
	cd tests/system && FAULTS=full WORKERS=0 BUILD=$(abspath $(BUILD)) \
	    ./run --durations=0 --durations-min=5 test_faults_*.py
	FAULTS=full BUILD=$(abspath $(BUILD)) $(PYTHON) -B tests/system/reliability.py

hosts: $(HOSTS) $(PRELOADS)
fuzzers: $(FUZZERS)

check: check-unit check-abi check-layers check-system

demo: $(PRODUCTS)
	BUILD=$(abspath $(BUILD)) $(PYTHON) -B tests/system/demo.py

C_FILES	= $(wildcard core/*.[ch] sasl-plugin/*.[ch] dovecot-plugin/*.[ch] helpers/*.[ch] library/*.[ch] \
	  tests/*/*.[ch] tests/system/hosts/*.[ch])
# Of Dovecot 2.4 only, if there are no modules with settings.
DOVECOT_C = $(filter-out $(if $(filter settings/%,$(DOVECOT)),,%/settings_module.c),\
	  $(wildcard dovecot-plugin/*.c))
MAN	= $(wildcard docs/*.[1-9])

lint: check-layers analyze
	clang-format --dry-run -Werror $(filter %.c,$(C_FILES))
	mandoc -Tlint -Wwarning $(MAN)
	tests/lint.sh
	cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr \
	    --enable=warning,portability,performance \
	    --suppress=missingIncludeSystem --suppress=memleak \
	    --suppress=uninitvar:core/diag.c --suppress=uninitvar:helpers/accounts.c \
	    --suppress=ctunullpointer:core/xoauth2.c -D_GNU_SOURCE $(DEFS) -Icore -Ihelpers \
	    core sasl-plugin dovecot-plugin helpers library
	clang-tidy --quiet --warnings-as-errors='*' \
	    $(wildcard core/*.c sasl-plugin/*.c helpers/*.c library/*.c) -- \
	    -std=c11 -D_GNU_SOURCE $(DEFS) -Icore \
	    $(shell $(PKG) --cflags $(LIBS_AGENT) libsasl2)
	$(if $(DOVECOT),clang-tidy --quiet --warnings-as-errors='*' \
	    $(DOVECOT_C) -- $(DOVECOT_FLAGS) -D_GNU_SOURCE)

# The whole program again, by gcc's analyzer.  gcc 12 loses sight of what is
# stored in the heap, and then takes it for lost: LeakSanitizer knows better.
analyze:
	$(MAKE) BUILD=$(BUILD)/analyze CC=gcc HARD= \
	    CFLAGS="-O1 -g -fanalyzer -Wno-analyzer-malloc-leak" all

# The table of core/advice_table.c and core/advice_texts.c; tests/lint.sh
# compares.
docs/errors.md: $(BUILD)/mailtoken
	$(BUILD)/mailtoken explain --list >$@.new && mv $@.new $@

format:
	clang-format -i $(filter %.c,$(C_FILES))

SANFLAGS = -fsanitize=address,undefined -fno-sanitize-recover=all \
	  -fno-omit-frame-pointer

SANITIZED = BUILD=$(BUILD)/sanitize SAN="$(SANFLAGS)" HARD= LDHARD= \
	  CFLAGS="-O1 -g"

sanitize:
	$(MAKE) $(SANITIZED) all check-unit
	$(MAKE) fuzz FUZZ_SECONDS=5

# For the system tests: Postfix and Dovecot themselves are not instrumented.
sanitized-modules:
	$(MAKE) $(SANITIZED) modules

modules: $(BUILD)/libxoauth2.so $(DOVECOT:%=$(BUILD)/dovecot/%)

# The system tests with an agent, a command and hosts that are instrumented:
# all of them, or those that SANITIZED_TESTS names.
check-sanitized: all sanitized-modules sanitized-threads
	$(MAKE) $(SANITIZED) all hosts
	BUILD=$(abspath $(BUILD)/sanitize) PLUGINS=$(abspath $(BUILD)) \
	    tests/system/run $(strip $(SANITIZED_TESTS))

# Those that make the agent and the command do most, with both run by valgrind.
VALGRIND = valgrind -q --vgdb=no --error-exitcode=9 --leak-check=full \
	  --errors-for-leak-kinds=definite --show-leak-kinds=definite
VALGRIND_TESTS ?= test_agent.py test_cli.py test_grants.py test_sealed.py \
	  test_socketmap.py
check-valgrind: all hosts
	BUILD=$(abspath $(BUILD)) WRAPPER="$(VALGRIND)" \
	    tests/system/run $(VALGRIND_TESTS)

# For the system tests: what a program's threads may use at the same time.
sanitized-threads:
	$(MAKE) BUILD=$(BUILD)/threads CORE="$(CORE_PLUGIN)" \
	    SAN=-fsanitize=thread HARD= LDHARD= CFLAGS="-O1 -g" threads

threads: $(addprefix $(BUILD)/,libxoauth2.so libmailtoken.so.0 \
	tests/system/hosts/threadhost tests/system/hosts/libraryhost)

FUZZFLAGS = -fno-sanitize-recover=all -fsanitize=address,undefined

# Built with clang in a tree of its own, since everything is instrumented.
fuzz:
	$(MAKE) BUILD=$(BUILD)/fuzz CC=clang SAN="$(FUZZFLAGS),fuzzer-no-link" \
	    HARD= LDHARD= CFLAGS="-O1 -g" fuzzers
	@set -e; for f in $(notdir $(FUZZERS)); do \
	    mkdir -p $(BUILD)/fuzz/corpus/$$f tests/fuzz/corpus/$$f; \
	    echo "$$f: $(FUZZ_SECONDS) s"; \
	    $(BUILD)/fuzz/tests/fuzz/$$f -max_total_time=$(FUZZ_SECONDS) \
	        -max_len=65536 -timeout=10 -rss_limit_mb=2048 -verbosity=0 \
	        -print_final_stats=1 -artifact_prefix=$(BUILD)/fuzz/$$f- \
	        $(BUILD)/fuzz/corpus/$$f tests/fuzz/corpus/$$f \
	        >$(BUILD)/fuzz/$$f.log 2>&1 || { cat $(BUILD)/fuzz/$$f.log; exit 1; }; \
	    sed -n 's/^stat::number_of_executed_units: */    runs: /p' \
	        $(BUILD)/fuzz/$$f.log; done

# Which lines the corpora reach; needs the package llvm.
fuzz-coverage:
	$(MAKE) BUILD=$(BUILD)/coverage CC=clang HARD= LDHARD= CFLAGS="-O1 -g" \
	    SAN="-fsanitize=fuzzer-no-link -fprofile-instr-generate -fcoverage-mapping" \
	    fuzzers
	@tests/fuzz/coverage $(BUILD)/coverage

$(FUZZERS): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/libcore.a
	$(LINK) -fsanitize=fuzzer -o $@ $^ $(shell $(PKG) --libs $(LIBS_CORE))

bench: all $(BENCHES)
	BUILD=$(abspath $(BUILD)) $(PYTHON) -B tests/bench/bench.py

install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(SBINDIR) $(DESTDIR)$(SASLDIR) \
	    $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 \
	    $(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(DOCDIR) \
	    $(DESTDIR)$(SYSCONFDIR)/mailtoken
	install -m 755 $(BUILD)/mailtoken $(DESTDIR)$(BINDIR)/
	install -m 755 $(BUILD)/mailtokend $(DESTDIR)$(SBINDIR)/
	install -m 644 $(BUILD)/libxoauth2.so $(DESTDIR)$(SASLDIR)/
	set -e; for m in $(DOVECOT); do \
	    install -D -m 644 $(BUILD)/dovecot/$$m \
	        $(DESTDIR)$(DOVECOT_MODULEDIR)/$$m; done
	install -D -m 644 $(BUILD)/libmailtoken.so.0 \
	    $(DESTDIR)$(LIBDIR)/libmailtoken.so.0
	ln -sf libmailtoken.so.0 $(DESTDIR)$(LIBDIR)/libmailtoken.so
	install -D -m 644 library/mailtoken.h \
	    $(DESTDIR)$(PREFIX)/include/mailtoken.h
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig
	sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' \
	    library/mailtoken.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/mailtoken.pc
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/mailtoken.pc
	install -m 644 docs/*.1 $(DESTDIR)$(MANDIR)/man1/
	install -D -m 644 docs/libmailtoken.3 \
	    $(DESTDIR)$(MANDIR)/man3/libmailtoken.3
	install -m 644 docs/*.5 $(DESTDIR)$(MANDIR)/man5/
	install -m 644 docs/*.8 $(DESTDIR)$(MANDIR)/man8/
	install -m 644 README.md CHANGELOG.md LICENSE docs/*.md \
	    docs/mailtoken.conf.example $(DESTDIR)$(DOCDIR)/
	install -d $(DESTDIR)$(SHAREDIR)/bash-completion/completions \
	    $(DESTDIR)$(SHAREDIR)/zsh/site-functions \
	    $(DESTDIR)$(SHAREDIR)/fish/vendor_completions.d
	cd $(DESTDIR)$(SHAREDIR) && m=$(abspath $(BUILD))/mailtoken && \
	    $$m completion bash >bash-completion/completions/mailtoken && \
	    $$m completion zsh >zsh/site-functions/_mailtoken && \
	    $$m completion fish >fish/vendor_completions.d/mailtoken.fish && \
	    chmod 644 bash-completion/completions/mailtoken \
	        zsh/site-functions/_mailtoken fish/vendor_completions.d/mailtoken.fish
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)/usr/lib/sysusers.d
	set -e; for u in mailtokend.service mailtokend.socket \
	    mailtokend-postfix.socket mailtokend-socketmap.socket; do \
	    sed 's|@SBINDIR@|$(SBINDIR)|; s|@BINDIR@|$(BINDIR)|; s|@SYSCONFDIR@|$(SYSCONFDIR)|' \
	        helpers/$$u >$(DESTDIR)$(UNITDIR)/$$u; \
	    chmod 644 $(DESTDIR)$(UNITDIR)/$$u; done
	install -d $(DESTDIR)$(USERUNITDIR)
	set -e; for u in mailtokend.service mailtokend.socket; do \
	    sed 's|@SBINDIR@|$(SBINDIR)|' helpers/user/$$u \
	        >$(DESTDIR)$(USERUNITDIR)/$$u; \
	    chmod 644 $(DESTDIR)$(USERUNITDIR)/$$u; done
	install -m 644 helpers/sysusers.conf \
	    $(DESTDIR)/usr/lib/sysusers.d/mailtoken.conf
	set -e; for p in $(APPARMOR); do \
	    install -d $(DESTDIR)$(APPARMORDIR)/$$(dirname $$p); \
	    sed 's|@SBINDIR@|$(SBINDIR)|; s|@BINDIR@|$(BINDIR)|; s|@SYSCONFDIR@|$(SYSCONFDIR)|' \
	        apparmor/$$p >$(DESTDIR)$(APPARMORDIR)/$$p; \
	    chmod 644 $(DESTDIR)$(APPARMORDIR)/$$p; done
	install -d $(DESTDIR)$(SELINUXDIR)
	install -m 644 selinux/mailtoken.* $(DESTDIR)$(SELINUXDIR)/

clean:
	rm -rf $(BUILD)

.PHONY: all check check-unit check-abi check-layers check-system hosts fuzzers \
	demo lint analyze format sanitize sanitized-modules modules \
	check-sanitized check-valgrind \
	sanitized-threads threads fuzz fuzz-coverage bench faults \
	install clean FORCE
.SECONDARY:
-include $(wildcard $(BUILD)/*/*.d $(BUILD)/*/*/*.d $(BUILD)/*/*/*/*.d)
