#!/usr/bin/env bash
# Looks at the status page of the development broker in a real browser.
# usage: test.sh [go test argument…]     E2E_CHROMIUM names another browser of that family, E2E_SHOTS a folder for pictures
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export E2E_CHROMIUM=${E2E_CHROMIUM:-chromium}
command -v "$E2E_CHROMIUM" >/dev/null || {
	echo "$E2E_CHROMIUM is missing; on Debian: apt-get install -y --no-install-recommends chromium fonts-dejavu-core" >&2
	exit 1
}
[ -z "${E2E_SHOTS:-}" ] || mkdir -p "$E2E_SHOTS"
go test -count=1 -v -run E2E "$@" .
