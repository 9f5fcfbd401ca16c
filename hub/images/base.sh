#!/usr/bin/env bash
# Make the image that the others stand on where no registry is within reach: Debian with Python, from a package mirror.
#   sudo hub/images/base.sh [NAME]         then: make images BASE=localhost/gpdata-base
# MIRROR and SECURITY_MIRROR name other mirrors. The machine's own architecture; Debian 12 has Python 3.11.
set -euo pipefail
name=${1:-localhost/gpdata-base}
suite=bookworm
mirror=${MIRROR:-http://deb.debian.org/debian}
security=${SECURITY_MIRROR:-http://deb.debian.org/debian-security}
die() { echo "base: $1" >&2 && exit 2; }
[ "$(id -u)" = 0 ] || die "making a root file system needs root; run it with sudo."
for program in debootstrap tar; do
    command -v $program >/dev/null || die "$program is missing. Install it (Debian: apt-get install $program)."
done
engine=$(command -v podman || command -v docker) || die "neither podman nor docker is there (Debian: apt-get install podman)."

root=$(mktemp --directory)
trap 'rm --recursive --force --one-file-system "$root"' EXIT
echo "base: Debian $suite from $mirror" >&2
debootstrap --variant=minbase --include=ca-certificates,media-types,python3,tzdata "$suite" "$root" "$mirror" >&2
cat >"$root/etc/apt/sources.list" <<SOURCES
deb $mirror $suite main
deb $mirror $suite-updates main
deb $security $suite-security main
SOURCES
inside() { env DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }
inside apt-get update --quiet=2
inside apt-get upgrade --quiet=2 --yes >/dev/null
inside apt-get clean
# What nobody reads in a container; licences stay.
find "$root/usr/share/doc" ! -type d ! -name copyright -delete
rm -rf "$root"/usr/share/{info,locale,man}/* "$root"/var/lib/apt/lists/* "$root"/var/log/*.log "$root"/var/cache/*
# Names and addresses of the machine that this ran on are none of the image's.
rm -f "$root/etc/resolv.conf" "$root/etc/hostname" "$root/etc/machine-id"
tar --create --directory "$root" --one-file-system . | "$engine" import --change 'CMD ["python3"]' - "$name" >/dev/null
echo "base: $name is there; go on with: make images BASE=$name" >&2
