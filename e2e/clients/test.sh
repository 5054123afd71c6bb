#!/usr/bin/env bash
# Runs programs that use the official Rust and Python clients against the development broker, which is started for them and ended after:
# a friendly one, one with TLS and tokens, and one that behaves like the real broker.
# Needs cargo 1.85 or later, protoc, openssl 3, python3 3.11 or later with venv, and the network for the first run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${E2E_CACHE:-$(cd "$here/../.." && pwd)/.tmp/e2e}/clients
mkdir -p "$cache"

for tool in cargo protoc openssl python3; do
	command -v "$tool" >/dev/null || {
		echo "$tool is missing; on Debian: apt-get install -y protobuf-compiler openssl python3-venv, and a Rust toolchain of 1.85 or later with rustup" >&2
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

pid=''
stop() {
	[ -z "$pid" ] || { kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; } || true
	pid=''
}
trap stop EXIT

# against LABEL [FLAG…]: both programs with a broker that has these flags
against() {
	local line='' url='' status=''
	coproc broker { exec "$cache/danube-connect-gen" broker --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --http 127.0.0.1:0 "${@:2}"; }
	pid=$broker_PID
	while [ -z "$url" ] || [ -z "$status" ]; do
		read -r -t 20 line <&"${broker[0]}" || { echo "the broker did not start" >&2; exit 1; }
		case $line in
		"broker ready:"*) url=${line##* } ;;
		"status page:"*) status=${line##* } ;;
		esac
	done
	echo "--- $1, Rust client"
	timeout 120 "$cache/rust/debug/danube-clients-e2e" "$url" "$status"
	echo "--- $1, Python client"
	timeout 120 "$cache/venv/bin/python" "$here/python/main.py" "$url" "$status"
	stop
}

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# token NAME: a token as the official tools make them, signed without this repository's code
token() {
	local signed
	signed=$(printf '{"alg":"HS256","typ":"JWT"}' | base64url).$(printf \
		'{"iss":"e2e","exp":%d,"sub":"%s","principal_type":"service_account","principal_name":"%s"}' $(($(date +%s) + 3600)) "$1" "$1" | base64url)
	printf '%s.%s' "$signed" "$(printf '%s' "$signed" | openssl dgst -sha256 -hmac "e2e secret" -binary | base64url)"
}

# certificates DIR: an authority of its own and a server's certificate by it
certificates() {
	local new=(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2)
	"${new[@]}" -keyout "$1/ca-key.pem" -out "$1/ca.pem" -subj "/CN=e2e authority"
	"${new[@]}" -CA "$1/ca.pem" -CAkey "$1/ca-key.pem" -keyout "$1/server-key.pem" -out "$1/server.pem" -subj /CN=localhost \
		-addext basicConstraints=critical,CA:FALSE -addext subjectAltName=IP:127.0.0.1
}

against "friendly broker"

certificates "$cache" 2>"$cache/openssl.log" || { cat "$cache/openssl.log" >&2; exit 1; }
cat >"$cache/auth.toml" <<-'EOF'
	[tls]
	cert_file = "server.pem"
	key_file = "server-key.pem"
	[jwt]
	secret_key = "e2e secret"
	[[bindings]]
	principal = "app"
	permissions = ["Lookup", "Produce", "Consume", "ManageSchema", "ManageCluster"]
	cluster = true
	[[bindings]]
	principal = "stranger"
	permissions = ["Lookup"]
	cluster = true
EOF
E2E_CA=$cache/ca.pem E2E_TOKEN=$(token app) E2E_STRANGER=$(token stranger) against "TLS and tokens" --auth "$cache/auth.toml"

E2E_IMITATES=1 against "like v0.15" --imitate v0.15
