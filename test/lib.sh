# shellcheck shell=bash
# What the test programs share. Sourced from the repository's root.

# The same build tags as everywhere: the Makefile is their one place. Without paths of
# this checkout in them, what was built in another one is not built again.
TAGS=$(sed -n 's/^TAGS := //p' Makefile)
export GOFLAGS="-trimpath -tags=$TAGS" CGO_ENABLED=0
# Tools are built once and kept outside the checkout, keyed by version.
CACHE=${SEXTANT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sextant}

say() { printf '\n== %(%T)T %s\n' -1 "$*"; }

# tool MODULE@VERSION: the path of a tool, built when it is not there yet
tool() {
  local at=${1##*@} name
  name=${1%@*}
  case $name in */v[0-9]*) name=${name%/v[0-9]*} ;; esac
  name=${name##*/}
  local dir=$CACHE/$name-$at
  if [ ! -x "$dir/$name" ]; then
    echo "building $name $at" >&2
    GOFLAGS='' GOBIN=$dir go install -ldflags='-s -w' "$1" >&2
  fi
  echo "$dir/$name"
}
