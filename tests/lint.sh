#!/bin/sh
# lint.sh - what documents and code say about each other, and the size and
# form of files.  Prints one line per finding; exits 1 if there is any.
set -u
cd "$(dirname "$0")/.." || exit 1
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT
: >"$t/findings"

find_() {	# find_ TEXT... - one finding
	printf '%s\n' "$*" >>"$t/findings"
}
have() {	# have FILE - or it is a finding
	[ -f "$1" ] && return 0
	find_ "$1: missing"
	return 1
}
# rows FILE ARRAY - the first word in quotes of each row of a C table
rows() {
	awk -v array="$2" '
		index($0, array "[] = {") { on = 1; next }
		on && /^}/ { on = 0 }
		on && match($0, /^\t\{ "[^"]*"/) {
			s = substr($0, RSTART, RLENGTH)
			sub(/^[^"]*"/, "", s); sub(/"$/, "", s); print s
		}' "$1"
}
# differ WHAT CODE DOC CODE-NAME DOC-NAME - both lists have the same words
differ() {
	sort "$2" >"$t/code"; sort "$3" >"$t/doc"
	[ -s "$t/code" ] || find_ "$4: no $1 found in its table"
	comm -23 "$t/code" "$t/doc" | while read -r w; do
		find_ "$5: $1 '$w' of $4 is not described"
	done
	comm -13 "$t/code" "$t/doc" | while read -r w; do
		find_ "$5: $1 '$w' is described but not in $4"
	done
	uniq -d "$t/doc" | while read -r w; do
		find_ "$5: $1 '$w' is described twice"
	done
}

# 1. Each configuration key is in its man page, and the other way round.
if have core/config_data.c && have core/account.c && have docs/mailtoken.conf.5
then
	{ rows core/config_data.c agent_settings
	  rows core/account.c account_settings; } >"$t/keys"
	sed -n 's/^\.It Ic //p' docs/mailtoken.conf.5 >"$t/described"
	differ key "$t/keys" "$t/described" "core/config_data.c, core/account.c" \
	    docs/mailtoken.conf.5
fi

# 2. Each command is in its man page: `.It Ic NAME ...` or `.It Nm NAME`.
if have helpers/cli.c && have docs/mailtoken.1; then
	rows helpers/cli.c commands >"$t/commands"
	[ -s "$t/commands" ] || find_ "helpers/cli.c: no command table found"
	while read -r w; do
		grep -qE "^\.It (Ic|Nm|Cm) (mailtoken )?$w( |\$)" docs/mailtoken.1 ||
		    find_ "docs/mailtoken.1: command '$w' of helpers/cli.c is not described (.It Ic $w)"
	done <"$t/commands"
fi

# 3. Files that can be read in one sitting.
for f in core/*.[ch] sasl-plugin/*.[ch] helpers/*.[ch]; do
	[ -f "$f" ] || continue
	n=$(wc -l <"$f")
	[ "$n" -le 500 ] || find_ "$f: $n lines, more than 500"
done

# 4. One version number.
if have VERSION && have CHANGELOG.md; then
	version=$(cat VERSION)
	newest=$(sed -n 's/^## \[\{0,1\}v\{0,1\}\([0-9][0-9A-Za-z.+-]*\).*/\1/p' \
	    CHANGELOG.md | head -n 1)
	[ "$version" = "$newest" ] ||
	    find_ "CHANGELOG.md: newest version is '$newest', VERSION says '$version'"
fi

# 5. No trailing white space in tracked text files (-I: text).  Corpora and
# test vectors are bytes, not text.
git grep -nIE '[[:blank:]]+$' -- . ':!tests/fuzz/corpus' ':!tests/unit/data' \
    2>/dev/null | cut -d: -f1,2 | while read -r place; do
	find_ "$place: trailing white space"
done

# 6. Relative links of Markdown files lead somewhere.
git ls-files -- '*.md' | while read -r f; do
	[ -f "$f" ] || continue
	# Not in code blocks; several links may stand in one line.
	awk '/^[ \t]*```/ { code = !code; next } !code' "$f" |
	    grep -oE '\]\([^) ]+' | sed 's/^](//; s/#.*//' | sort -u |
	    while read -r link; do
		case $link in
		''|*://*|mailto:*) continue ;;
		esac
		[ -e "$(dirname "$f")/$link" ] ||
		    find_ "$f: link to '$link', which is not there"
	    done
done

# 7. docs/errors.md is what the table says: the newest built mailtoken's, if
# nothing of the table has changed since, or one that is built for it.
if have docs/errors.md; then
	explain=${BUILD:-build}/mailtoken
	if [ ! -x "$explain" ] || [ -n "$(find core/advice_table.c \
	    core/advice_texts.c helpers/cli_explain.c -newer "$explain")" ]; then
		explain=$t/build/mailtoken
		make -s BUILD="$t/build" "$explain" >"$t/make" 2>&1 || cat "$t/make"
	fi
	"$explain" explain --list >"$t/errors.md" &&
	    cmp -s "$t/errors.md" docs/errors.md ||
	    find_ "docs/errors.md: not as mailtoken explain --list has it: make docs/errors.md"
fi

[ -s "$t/findings" ] || exit 0
cat "$t/findings"
exit 1
