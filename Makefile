# dbperf builds with PGXS:
#
#   make && sudo make install
#   make installcheck           against a running server that has dbperf preloaded
#
# PG_CONFIG=/path/to/pg_config chooses the server, WERROR=1 makes warnings errors.

MODULE_big = dbperf
EXTENSION = dbperf
DATA = $(sort $(wildcard dbperf--*.sql))
PGFILEDESC = "dbperf - slow statements, index advice, maintenance, a result cache and a connection pool"

OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
PG_CPPFLAGS = -I$(srcdir)/src -I$(libpq_srcdir)
SHLIB_LINK_INTERNAL = $(libpq)

# The server loads libraries with all symbols resolved, so calling its functions
# through stubs, which could do that later, would only cost an instruction a call.
# Compilers of before 2016 do not know the option.
PG_CFLAGS += $(shell $(CC) -fno-plt -E -x c /dev/null >/dev/null 2>&1 && echo -fno-plt)

ifeq ($(WERROR),1)
PG_CFLAGS += -Werror -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers -Wpointer-arith -Wwrite-strings
endif

REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))

ISOLATION = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(srcdir)/test

ifneq ($(wildcard test/t/*.pl),)
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl
endif

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)

# Servers are built with LLVM where a compiler for its bitcode is often missing.
# Without one the extension does without bitcode (which only inlines its SQL
# functions into jitted expressions) instead of failing to build.
server_clang := $(shell sed -n 's/^CLANG[ \t]*=[ \t]*//p' $(dir $(PGXS))../Makefile.global)
ifeq ($(shell command -v $(or $(server_clang),clang)),)
override with_llvm = no
endif

include $(PGXS)

# Debian's PGXS comes without dependency tracking, and a struct that differs
# between two objects is a crash: any header rebuilds everything.
headers := $(wildcard src/*.h src/*/*.h)
$(OBJS): $(headers)
$(OBJS:.o=.bc): $(headers)
