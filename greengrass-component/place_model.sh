#!/bin/sh
# Puts a model bundle in place, whole or not at all, and moves the link `current` to it.
#
#   place_model.sh BUNDLE WORK
#
# BUNDLE is the folder that `edgetally convert` made, WORK the component's work folder:
#
#   WORK/models/<name>-<version>-<first 8 of bundle.json's SHA-256>/
#   WORK/current   -> the model that was deployed last
#   WORK/in-use    -> the one that counts now
#   WORK/previous  -> the one that counted before that
#
# A running edgetally writes the last two, once it has taken another model. This script does not, but
# where none ever ran: then `previous` leads to what was deployed before.
#
# What none of the links leads to is removed. It may be killed at any instant: the next run repairs
# what that one left, and where nothing has changed it does nothing. It needs nothing but a POSIX
# shell and the commands of coreutils or BusyBox.
set -eu
umask 022
export LC_ALL=C

fail() {
    printf 'place_model: %s\n' "$*" >&2
    exit 1
}

[ $# -eq 2 ] && [ -n "$1" ] && [ -n "$2" ] ||
    fail "give the folder of the bundle and the work folder"
bundle=$1 work=$2
manifest=$bundle/bundle.json
[ -f "$manifest" ] || fail "$bundle is no model bundle (no bundle.json); build the artifact again"

# The value of a key of the manifest, with what may not stand in a folder's name replaced.
named() {
    sed -n "s/^  \"$1\": \"\(.*\)\",\{0,1\}\$/\1/p" "$manifest" |
        head -n 1 | tr -c 'A-Za-z0-9._\n-' _ | cut -c 1-80
}

# What a folder holds, in the form in which two folders can be compared.
content() {
    [ ! -d "$1" ] || (cd "$1" && find . -type f -exec sha256sum {} + | sort)
}

# The manifest's own list of files, as sha256sum reads it.
promised() {
    sed -n 's/^ *"path": "\(.*\)",\{0,1\}$/\1/p; s/^ *"sha256": "\(.*\)",\{0,1\}$/\1/p' "$manifest" |
        while read -r path && read -r sum; do printf '%s  %s\n' "$sum" "$path"; done
}

led_to() {
    readlink "$work/$1" || :
}

# A rename is what makes it one step: at every instant the link leads to the old or the new place.
lead() {
    [ "$(led_to "$1")" != "$2" ] || return 0
    ln -s "$2" "$work/.link-$$"
    mv -T "$work/.link-$$" "$work/$1"
}

# Whether a link leads to a model other than the one that is put in place.
is_other() {
    [ -n "$1" ] && [ "$1" != "$target" ] && [ -f "$work/$1/bundle.json" ]
}

name=$(named name) version=$(named version)
[ -n "$name" ] && [ -n "$version" ] || fail "$manifest names no model; build the artifact again"
promised | (cd "$bundle" && sha256sum -c - >/dev/null) ||
    fail "$bundle is damaged: a file differs from what bundle.json says; build the artifact again"
sum=$(sha256sum <"$manifest" | cut -c 1-8)
place=_$name-$version-$sum
case $name in .*) ;; *) place=${place#_} ;; esac
models=$work/models target=models/$place

mkdir -p "$models"
rm -rf "$models"/.new-* "$models"/.old-* "$work"/.link-* # of a run that was cut short
if [ "$(content "$bundle")" != "$(content "$work/$target")" ]; then
    new=$models/.new-$$ old=$models/.old-$$
    trap 'rm -rf "$new"' EXIT
    mkdir "$new"
    cp -R "$bundle/." "$new" || fail "$bundle could not be copied to $models; make room there"
    chmod -R u+rwX,a+rX "$new"
    # Else a power cut might keep the name and lose what is in the files.
    sync -f "$new" 2>/dev/null || sync
    [ ! -e "$work/$target" ] || mv -T "$work/$target" "$old" # it was damaged
    mv -T "$new" "$work/$target"
fi

if [ ! -f "$work/in-use/bundle.json" ]; then
    before=$(led_to current)
    if is_other "$before"; then lead previous "$before"; fi
fi
lead current "$target"

for folder in "$models"/.old-* "$models"/*; do
    case models/${folder##*/} in
    "$target" | "$(led_to previous)" | "$(led_to in-use)") ;;
    models/.old-*) rm -rf "$folder" ;;
    *)
        # Renamed first, so that half of a model never has a model's name.
        mv -T "$folder" "$models/.old-$$-${folder##*/}"
        rm -rf "$models/.old-$$-${folder##*/}"
        ;;
    esac
done
