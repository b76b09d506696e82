#!/usr/bin/env bash
# The action's one step: its inputs, a line each in the environment, to the arguments of `vqdoctor gate`.
set -euo pipefail

arguments=(--format github)
take() { # take OPTION LINES: OPTION before each line that is not blank; an empty OPTION adds the line alone
    local line
    while IFS= read -r line; do
        line="${line#"${line%%[![:space:]]*}"}"
        line="${line%"${line##*[![:space:]]}"}"
        [ -n "$line" ] || continue
        [ -z "$1" ] || arguments+=("$1")
        arguments+=("$line")
    done <<< "$2"
}
take --features "${FEATURES:-}"
take -o "${REPORTS:-}"
take "" "${ARGUMENTS:-}"
arguments+=(--)
before=${#arguments[@]}
take "" "${PATHS:-}"
if [ ${#arguments[@]} = "$before" ]; then
    echo "::error::vqdoctor: name at least one file in the input paths" >&2
    exit 2
fi
exec vqdoctor gate "${arguments[@]}"
