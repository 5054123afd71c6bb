package danubetest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// tokenLeeway is how long after its end a token is still taken, because clocks differ.
const tokenLeeway = 60 * time.Second

// Why a token is not taken. Each tells the mend.
var (
	errTokenForm   = errors.New("it is not a JSON web token signed with HS256; other algorithms are not accepted")
	errTokenForged = errors.New("its signature is wrong; sign it with the secret of this broker")
	errTokenClaims = errors.New("it lacks a claim; iss, exp, sub, principal_type (service_account, user or broker_internal) and principal_name are required")
	errTokenOver   = errors.New("it has expired; make a new one, or set the clock")
)

// A principal is who calls.
type principal struct{ kind, name string }

func (p principal) String() string { return p.kind + ":" + p.name }

var tokenEncoding = base64.RawURLEncoding.Strict()

// Token makes a token for a service account that ends after lifetime.
func (a Auth) Token(name string, lifetime time.Duration) string {
	claims, err := json.Marshal(map[string]any{
		"iss": "danubetest", "exp": time.Now().Add(lifetime).Unix(), "sub": name, "principal_type": "service_account", "principal_name": name,
	})
	if err != nil {
		panic(err) // strings and a number can be marshalled
	}
	signed := tokenEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + tokenEncoding.EncodeToString(claims)
	return signed + "." + tokenEncoding.EncodeToString(signature(a.Secret, signed))
}

func signature(secret []byte, signed string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	return mac.Sum(nil)
}

// verifyToken tells whose token it is. The error is one of the above.
func verifyToken(secret []byte, token string, now time.Time) (principal, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return principal{}, errTokenForm
	}
	if header, err := tokenPart(parts[0]); err != nil || header["alg"] != "HS256" {
		return principal{}, errTokenForm
	}
	mac, err := tokenEncoding.DecodeString(parts[2])
	if err != nil {
		return principal{}, errTokenForm
	}
	if !hmac.Equal(mac, signature(secret, parts[0]+"."+parts[1])) {
		return principal{}, errTokenForged
	}
	claims, err := tokenPart(parts[1])
	if err != nil {
		return principal{}, errTokenForm
	}
	return checkClaims(claims, now)
}

// tokenPart decodes a part that is a JSON object.
func tokenPart(encoded string) (map[string]any, error) {
	text, err := tokenEncoding.DecodeString(encoded)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, err
	}
	return object, nil
}

// checkClaims checks what a signed token claims. The issuer must be there and may be anybody.
func checkClaims(claims map[string]any, now time.Time) (principal, error) {
	for _, name := range []string{"iss", "sub", "principal_type", "principal_name"} {
		if s, ok := claims[name].(string); !ok || s == "" {
			return principal{}, fmt.Errorf("%s: %w", name, errTokenClaims)
		}
	}
	p := principal{claims["principal_type"].(string), claims["principal_name"].(string)}
	if p.kind != "service_account" && p.kind != "user" && p.kind != "broker_internal" {
		return principal{}, fmt.Errorf("principal_type: %w", errTokenClaims)
	}
	end, ok := claims["exp"].(float64)
	if !ok {
		return principal{}, fmt.Errorf("exp: %w", errTokenClaims)
	}
	if end+tokenLeeway.Seconds() < float64(now.Unix()) {
		return principal{}, errTokenOver
	}
	return p, nil
}
