#!/bin/sh -eu
# layers.sh MODULE... - core/ in dependency order: each module may include
# only itself and what stands to its left, and nothing in core/ looks outside.
# Products include core/ and themselves, never each other.
seen=" cleanup "
for m in "$@"; do
	seen="$seen$m "
	for f in "core/$m.h" "core/$m.c"; do
		for inc in $(sed -n 's/^#include "\(.*\)\.h"$/\1/p' "$f"); do
			case $seen in
			*" $inc "*) ;;
			*) echo "$f: must not include $inc.h"; exit 1 ;;
			esac
		done
	done
done
for f in core/*.[ch]; do
	m=$(basename "${f%.*}")
	case $seen in
	*" $m "*) ;;
	*) echo "$f: not in CORE of the Makefile"; exit 1 ;;
	esac
done
# Who may know which library.
only() {	# only HEADER FILE... - no other file includes it
	header=$1; shift
	for f in $(grep -rlE "^#include <$header" core sasl-plugin \
	    dovecot-plugin helpers library || true); do
		case " $* " in
		*" $f "*) ;;
		*) echo "$f: must not include <$header>"; exit 1 ;;
		esac
	done
}
only 'sasl/' sasl-plugin/plugin.c sasl-plugin/ask.c sasl-plugin/ask.h
only 'curl/' core/http.c core/http_failure.[ch] core/http_request.c core/http_url.c helpers/agent.c helpers/cli.c helpers/cli_mailbox.c
only 'json' core/json.c helpers/cli_json.c
only 'openssl/' core/assertion.c core/assertion_key.c core/seal.c core/authorization.c core/fernet.c
echo "layers: as designed"
