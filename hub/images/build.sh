#!/usr/bin/env bash
# Build the images: hub/images/build.sh [TARGET...], or make images. Settings are variables:
#   BASE    the image to stand on (by default the official one that the Containerfile names)
#   TAG     their tag beside `latest` (by default the version of gpdata)
#   ENGINE  podman, buildah or docker (by default the first of these that is there)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
file=hub/images/Containerfile
official=$(sed --quiet 's/^ARG BASE=//p' $file)
base=${BASE:-$official}
tag=${TAG:-$(sed --quiet 's/^version = "\(.*\)"$/\1/p' pyproject.toml)}
die() { echo "images: $1" >&2 && exit 2; }

engine=${ENGINE:-$(for p in podman buildah docker; do command -v $p >/dev/null && echo $p && break; done)} ||
    die "podman, buildah or docker is needed; none is there (Debian: apt-get install podman)."
case $engine in
podman | buildah)
    build=("$engine" build --layers --isolation "${BUILDAH_ISOLATION:-chroot}" --network host)
    # A site whose TLS goes through an authority of its own: let the build see the certificates, and keep none of them.
    [ -z "${SSL_CERT_FILE:-}" ] || build+=(--volume "$SSL_CERT_FILE:/etc/ssl/certs/ca-certificates.crt:ro")
    ;;
docker) build=(docker build) ;;
*) die "ENGINE is '$engine'; valid are podman, buildah and docker." ;;
esac
if [[ $base != localhost/* ]] && ! "$engine" pull "$base" >/dev/null; then
    die "$base cannot be fetched, see above. Without a registry make a base here: sudo hub/images/base.sh, then
        make images BASE=localhost/gpdata-base"
fi
for target in "${@:-ingest spark singleuser hub}"; do
    for one in $target; do
        echo "images: gpdata-$one:$tag on $base" >&2
        "${build[@]}" --file $file --target "$one" --build-arg "BASE=$base" \
            --tag "gpdata-$one:$tag" --tag "gpdata-$one:latest" . >&2
    done
done
