package danube

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// fileAge is how old what was read from a token file may be: files are replaced at any time.
	fileAge = 5 * time.Second
	// tokenAge is how old a token may be whose end is not known.
	tokenAge = time.Minute
	// tokenMargin is how long before its end a token is replaced, or a fifth of its life if that is less.
	tokenMargin = time.Minute
	// tokenPause is how soon a token that is about to end is asked for again, if no other was to be had.
	tokenPause = time.Second
)

// tokens keep the token that calls carry, and get another one in time. No text that they make shows a token.
type tokens struct {
	from  string // for texts: where tokens come from
	fetch func(context.Context) (string, error)
	age   time.Duration // a token is fetched again when it is that old; 0 for only when it ends or is refused
	log   *zap.Logger

	fetching chan struct{} // holds one element while somebody fetches

	mu      sync.Mutex
	header  string    // "Bearer " and the token; empty before the first
	renew   time.Time // when to fetch another; zero for never
	fetches int
}

func newTokens(from string, age time.Duration, fetch func(context.Context) (string, error)) *tokens {
	return &tokens{from: from, fetch: fetch, age: age, log: zap.NewNop(), fetching: make(chan struct{}, 1)}
}

// readToken makes a fetch of the token in a file.
func readToken(path string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		text, err := os.ReadFile(path)
		return string(text), err
	}
}

// get gives the value of the token header. Nobody waits for another token who has one: the broker decides whether it is still good.
func (t *tokens) get(ctx context.Context) (string, error) {
	header, fetches, due := t.now()
	if !due {
		return header, nil
	}
	if header == "" {
		return t.update(ctx, fetches)
	}
	select {
	case t.fetching <- struct{}{}:
		defer t.fetched()
	default:
		return header, nil
	}
	if newer, err := t.fetchOnce(ctx, fetches); err == nil {
		return newer, nil
	} else if ctx.Err() == nil {
		t.log.Warn("the old token serves for now", zap.Error(err))
	}
	return header, nil
}

// instead gives another token in place of one that was refused, empty if there is no other. An error means that none could be had.
func (t *tokens) instead(ctx context.Context, refused string) (string, error) {
	header, fetches, _ := t.now()
	if header != refused {
		return header, nil
	}
	header, err := t.update(ctx, fetches)
	if header == refused {
		header = ""
	}
	return header, err
}

// update fetches a token as soon as nobody else does.
func (t *tokens) update(ctx context.Context, fetches int) (string, error) {
	select {
	case t.fetching <- struct{}{}:
		defer t.fetched()
		return t.fetchOnce(ctx, fetches)
	case <-ctx.Done():
		return "", status.FromContextError(ctx.Err()).Err()
	}
}

func (t *tokens) fetched() { <-t.fetching }

// now is the present token, how many were fetched before, and whether it is time for another.
func (t *tokens) now() (header string, fetches int, due bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	due = t.header == "" || !t.renew.IsZero() && !time.Now().Before(t.renew)
	return t.header, t.fetches, due
}

// fetchOnce fetches a token, unless somebody has since the fetches were counted. The caller holds the right to fetch.
func (t *tokens) fetchOnce(ctx context.Context, fetches int) (string, error) {
	if header, done, _ := t.now(); done != fetches && header != "" {
		return header, nil
	}
	text, err := t.fetch(ctx)
	if err == nil {
		text, err = tokenIn(text)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fetches++
	now := time.Now()
	if err != nil {
		t.renew = now.Add(tokenPause)
		if ctx.Err() != nil {
			return "", status.FromContextError(ctx.Err()).Err() // where tokens come from may be well
		}
		return "", &localError{
			kind: ErrToken, code: codes.Unauthenticated, cause: err,
			text: fmt.Sprintf("%s cannot be had: %v", t.from, err), mend: "see to it that a token can be read there",
		}
	}
	t.header = "Bearer " + text
	t.renew = renewal(now, tokenEnd(text), t.age)
	return t.header, nil
}

// renewal is when a token that was fetched now should be fetched again.
func renewal(now, ends time.Time, age time.Duration) time.Time {
	var at time.Time
	if age > 0 {
		at = now.Add(age)
	}
	if ends.IsZero() {
		return at
	}
	ahead := ends.Add(-min(ends.Sub(now)/5, tokenMargin))
	if soonest := now.Add(tokenPause); ahead.Before(soonest) {
		ahead = soonest
	}
	if at.IsZero() || ahead.Before(at) {
		return ahead
	}
	return at
}

// refused explains the answer to a call that was made with a token: err, if that is not about the token.
func (t *tokens) refused(header string, err error) error {
	st := status.Convert(err)
	if _, local := err.(*localError); local || st.Code() != codes.Unauthenticated {
		return err
	}
	text := "the broker does not take " + t.from
	if ends := tokenEnd(strings.TrimPrefix(header, "Bearer ")); !ends.IsZero() && !time.Now().Before(ends) {
		text = fmt.Sprintf("%s, which ended at %s", text, ends.UTC().Format(time.RFC3339))
	}
	known := outcomeOf("", st.Code(), st.Message())
	return &localError{
		kind: ErrToken, code: st.Code(), cause: err, permanent: true, text: text + ": " + st.Message(), mend: known.mend,
	}
}

// tokenIn takes the token from a text that may have white space around it and the word Bearer before it.
func tokenIn(text string) (string, error) {
	token := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), "Bearer "))
	if token == "" {
		return "", errors.New("it is empty")
	}
	for _, c := range []byte(token) {
		if c <= ' ' || c >= 0x7f {
			return "", errors.New("it holds more than a token")
		}
	}
	return token, nil
}

// tokenEnd is when a JSON web token ends by its own words, which are not verified; zero if it has none or is something else.
func tokenEnd(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	const year9999 = 253402300799
	if err := json.Unmarshal(text, &claims); err != nil || claims.Exp <= 0 || claims.Exp > year9999 {
		return time.Time{}
	}
	return time.Unix(int64(claims.Exp), 0)
}
