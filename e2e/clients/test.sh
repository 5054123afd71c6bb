#!/usr/bin/env bash
# Runs programs that use the official Rust and Python clients against the development broker, which is started for them and ended after.
# Needs cargo 1.85 or later, protoc, python3 3.11 or later with venv, and the network for the first run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${E2E_CACHE:-$(cd "$here/../.." && pwd)/.tmp/e2e}/clients
mkdir -p "$cache"

for tool in cargo protoc python3; do
	command -v "$tool" >/dev/null || {
		echo "$tool is missing; on Debian: apt-get install -y protobuf-compiler python3-venv, and a Rust toolchain of 1.85 or later with rustup" >&2
		exit 1
	}
done
go build -C "$here/../.." -o "$cache/danube-connect-gen" ./cmd/danube-connect-gen
CARGO_TARGET_DIR=$cache/rust cargo build --quiet --locked --manifest-path "$here/rust/Cargo.toml"
if ! cmp -s "$here/python/requirements.txt" "$cache/venv/requirements.txt"; then
	python3 -m venv --clear "$cache/venv"
	"$cache/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/python/requirements.txt"
	cp "$here/python/requirements.txt" "$cache/venv/"
fi

coproc broker { exec "$cache/danube-connect-gen" broker --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --http 127.0.0.1:0; }
pid=$broker_PID
trap 'kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null || true' EXIT
url='' status=''
while [ -z "$url" ] || [ -z "$status" ]; do
	read -r -t 20 line <&"${broker[0]}" || { echo "the broker did not start" >&2; exit 1; }
	case $line in
	"broker ready:"*) url=${line##* } ;;
	"status page:"*) status=${line##* } ;;
	esac
done
echo "broker on $url, process $pid"
echo "--- Rust client"
timeout 120 "$cache/rust/debug/danube-clients-e2e" "$url" "$status"
echo "--- Python client"
timeout 120 "$cache/venv/bin/python" "$here/python/main.py" "$url" "$status"
