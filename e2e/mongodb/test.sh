#!/usr/bin/env bash
# Runs the tests of a MongoDB connector against a server that is started for them and ended after them.
# usage: test.sh DIR [go test argument…]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=${1:?usage: test.sh DIR [go test argument…]}
shift

coproc server { exec "$here/run.sh" 0; }
pid=$server_PID
trap 'kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null || true' EXIT
if ! read -r -t 120 uri <&"${server[0]}"; then
	echo "the MongoDB server did not start" >&2
	exit 1
fi
echo "MongoDB server on $uri, process $pid"
cd "$dir"
MONGODB_TEST_URI=$uri go test -count=1 "$@" .
