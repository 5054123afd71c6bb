#!/usr/bin/env bash
# Starts a MongoDB server for the end-to-end tests on 127.0.0.1 and prints its connection string once it accepts connections.
# usage: run.sh [PORT]     0, the default, takes a free port; end it with SIGTERM to this process.
# Needs a JDK of 17 or later, and Maven with its network for the first run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
jars=${E2E_CACHE:-$here/../../.tmp/e2e}/mongodb

for tool in java mvn; do
	command -v "$tool" >/dev/null || { echo "$tool is missing; on Debian: apt-get install -y default-jdk-headless maven" >&2; exit 1; }
done
if [ ! -e "$jars/complete" ]; then
	mkdir -p "$jars"
	mvn -q -B -Dstyle.color=never -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$jars" >&2
	touch "$jars/complete"
fi
# exec: the caller's child is the server itself, so that its pid is the one to end.
exec java -Xmx384m -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$jars/*" "$here/Server.java" "${1:-0}"
