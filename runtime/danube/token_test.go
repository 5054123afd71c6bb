package danube

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// jwt is a token that looks like one and ends at a time.
func jwt(ends time.Time) string {
	claims := fmt.Sprintf(`{"sub":"app","exp":%d}`, ends.Unix())
	return "hushheader." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".hushsignature"
}

// A source counts how often tokens are asked for.
type source struct {
	mu    sync.Mutex
	asked int
	give  func(n int) (string, error)
}

func (s *source) fetch(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.give(s.asked)
}

func (s *source) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func TestTokensAreReplacedAheadOfTheirEnd(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ life, early time.Duration }{
		"an hour":    {time.Hour, time.Minute},
		"a minute":   {time.Minute, 12 * time.Second},
		"no time":    {0, -tokenPause},
		"in a blink": {2 * time.Second, 400 * time.Millisecond},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				s := &source{give: func(int) (string, error) { return jwt(time.Now().Add(tt.life)), nil }}
				tokens := newTokens("it", 0, s.fetch)
				first, err := tokens.get(t.Context())
				require.NoError(t, err)
				require.True(t, strings.HasPrefix(first, "Bearer hushheader."))
				time.Sleep(tt.life - tt.early - time.Nanosecond)
				again, err := tokens.get(t.Context())
				require.NoError(t, err)
				require.Equal(t, first, again)
				require.Equal(t, 1, s.count())
				time.Sleep(time.Nanosecond)
				_, err = tokens.get(t.Context())
				require.NoError(t, err)
				require.Equal(t, 2, s.count(), "after %v", time.Since(start))
			})
		})
	}
}

func TestTokensWithoutAnEndAreAskedForByAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &source{give: func(n int) (string, error) { return fmt.Sprint("opaque", n), nil }}
		tokens := newTokens("it", tokenAge, s.fetch)
		for range 5 {
			for range 10 {
				_, err := tokens.get(t.Context())
				require.NoError(t, err)
			}
			time.Sleep(tokenAge)
		}
		require.Equal(t, 5, s.count())
	})
}

func TestAFailingSourceLeavesTheOldToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &source{give: func(n int) (string, error) {
			if n == 1 || n > 4 {
				return fmt.Sprint("opaque", n), nil
			}
			return "", errors.New("vault is sealed")
		}}
		core, logs := observer.New(zap.InfoLevel)
		tokens := newTokens("it", tokenAge, s.fetch)
		tokens.log = zap.New(core)
		_, err := tokens.get(t.Context())
		require.NoError(t, err)
		time.Sleep(tokenAge)
		for range 3 {
			for range 10 {
				old, err := tokens.get(t.Context())
				require.NoError(t, err)
				require.Equal(t, "Bearer opaque1", old)
			}
			time.Sleep(tokenPause)
		}
		require.Equal(t, 3, logs.FilterMessageSnippet("old token").Len(), "asked once a pause, however many calls there are")
		newer, err := tokens.get(t.Context())
		require.NoError(t, err)
		require.Equal(t, "Bearer opaque5", newer)
	})
}

func TestATokenIsFetchedByOneForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &source{give: func(n int) (string, error) { return fmt.Sprint("opaque", n), nil }}
		tokens := newTokens("it", tokenAge, func(ctx context.Context) (string, error) {
			time.Sleep(time.Second)
			return s.fetch(ctx)
		})
		var wg sync.WaitGroup
		all := func(want string, get func() (string, error)) {
			for range 50 {
				wg.Go(func() {
					got, err := get()
					if err != nil || got != want {
						t.Errorf("got %q and %v, want %q", got, err, want)
					}
				})
			}
			wg.Wait()
		}
		all("Bearer opaque1", func() (string, error) { return tokens.get(t.Context()) })
		all("Bearer opaque2", func() (string, error) { return tokens.instead(t.Context(), "Bearer opaque1") })
		require.Equal(t, 2, s.count())

		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		tokens = newTokens("it", tokenAge, func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() })
		_, err := tokens.get(ctx)
		require.Equal(t, codes.DeadlineExceeded, status.Code(err))
	})
}

func TestACallIsMadeAgainOnceWithAnotherToken(t *testing.T) {
	t.Parallel()
	for _, method := range []string{seenLookup, seenCreate, seenSend, seenPartitions, seenSubscribe, seenReceive, seenAck} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			b := newCluster(t, "one:6650")
			b.topics = []string{orders}
			good := "good1"
			b.admit = func(c seen) error {
				if c.first(tokenHeader) != "Bearer "+good {
					return status.Error(codes.Unauthenticated, "Invalid token")
				}
				if c.method == method && good == "good1" { // the token is replaced while the call is under way
					good = "good2"
					return status.Error(codes.Unauthenticated, "Invalid token")
				}
				return nil
			}
			b.admit = oneAtATime(b.admit)
			s := &source{give: func(n int) (string, error) { return fmt.Sprint("good", n), nil }}
			c := b.client("one:6650", WithToken(s.fetch))
			require.NoError(t, publish(t, c))
			k, err := c.NewConsumer(ConsumerSettings{Topic: orders, Subscription: "s", Name: "c"})
			require.NoError(t, err)
			defer k.Close()
			d, err := k.Receive(t.Context())
			require.NoError(t, err)
			k.Ack(d)
			require.Eventually(t, func() bool { return k.Stats().Confirmed == 1 }, 10*time.Second, time.Millisecond)
			calls := b.seen(method)
			i := 0
			for calls[i].first(tokenHeader) != "Bearer good2" {
				i++
			}
			require.Equal(t, 1, i, "one call with the old token, then the new one")
			require.Equal(t, 2, s.count())
		})
	}
}

func oneAtATime(admit func(seen) error) func(seen) error {
	var mu sync.Mutex
	return func(c seen) error {
		mu.Lock()
		defer mu.Unlock()
		return admit(c)
	}
}

func TestARefusedTokenIsGivenUpAfterOneMoreTryAndNeverShown(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	for name, tt := range map[string]struct {
		give  func(n int) (string, error)
		calls int
		want  string
	}{
		"the same": {func(int) (string, error) { return jwt(time.Unix(1e9, 0)), nil }, 1, "the token of the given function, which ended at 2001-09-09T01:46:40Z: Invalid token"},
		"another":  {func(n int) (string, error) { return fmt.Sprint("hush", n), nil }, 2, "the broker does not take the token of the given function: Invalid token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCluster(t, "one:6650")
			b.admit = func(seen) error { return status.Error(codes.Unauthenticated, "Invalid token") }
			s := &source{give: tt.give}
			c := b.client("one:6650", WithToken(s.fetch), WithLogger(zap.New(core)))
			err := publish(t, c)
			require.ErrorIs(t, err, ErrToken)
			require.True(t, IsPermanent(err))
			require.ErrorContains(t, err, tt.want)
			require.Len(t, b.seen(""), tt.calls)
			k, kerr := c.NewConsumer(ConsumerSettings{Topic: orders, Subscription: "s", Name: "c"})
			require.NoError(t, kerr)
			defer k.Close()
			_, kerr = k.Receive(t.Context())
			require.ErrorIs(t, kerr, ErrToken)
			for _, text := range []string{fmt.Sprintf("%v %+v %#v", err, err, err), fmt.Sprintf("%+v", kerr), fmt.Sprintf("%+v", logs.All())} {
				require.NotContains(t, text, "hush")
			}
		})
	}
}

func TestATokenThatCannotBeHadIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCluster(t, "one:6650")
		start := time.Now()
		s := &source{give: func(int) (string, error) {
			if time.Since(start) < time.Minute {
				return "", errors.New("vault is sealed")
			}
			return "good", nil
		}}
		p, err := b.client("one:6650", WithToken(s.fetch)).NewProducer(ProducerSettings{Topic: orders, Name: "p"})
		require.NoError(t, err)
		defer p.Close()
		sent := make(chan error)
		go func() { sent <- p.Send(t.Context(), Message{}) }()
		time.Sleep(30 * time.Second)
		require.ErrorContains(t, p.Health(), "the token of the given function cannot be had: vault is sealed")
		require.ErrorIs(t, p.Health(), ErrToken)
		require.False(t, IsPermanent(p.Health()))
		require.Empty(t, b.seen(""))
		require.NoError(t, <-sent)
		require.Less(t, s.count(), 40, "asked at the pace of retries")
	})
}

func TestATokenFileIsReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	write("Bearer one\n")
	synctest.Test(t, func(t *testing.T) {
		tokens := newTokens("it", fileAge, readToken(path))
		get := func() string {
			header, err := tokens.get(t.Context())
			require.NoError(t, err)
			return header
		}
		require.Equal(t, "Bearer one", get())
		write("two")
		require.Equal(t, "Bearer one", get())
		time.Sleep(fileAge)
		require.Equal(t, "Bearer two", get())
		write("three")
		header, err := tokens.instead(t.Context(), "Bearer two")
		require.NoError(t, err)
		require.Equal(t, "Bearer three", header, "read at once when the broker refuses")
		header, err = tokens.instead(t.Context(), "Bearer three")
		require.NoError(t, err)
		require.Empty(t, header)
		write("") // as it is while somebody writes it
		time.Sleep(fileAge)
		require.Equal(t, "Bearer three", get())
		require.NoError(t, os.Remove(path))
		_, err = tokens.instead(t.Context(), "Bearer three")
		require.ErrorContains(t, err, path)
		require.ErrorIs(t, wrap(opSend, orders, err), os.ErrNotExist)
	})
}

func FuzzTokenEnd(f *testing.F) {
	f.Add(jwt(time.Unix(1_900_000_000, 0)))
	f.Add("a.eyJleHAiOjFlMzAwfQ.c")
	f.Add("a.eyJleHAiOi0xfQ==.c")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if ends := tokenEnd(token); !ends.IsZero() && (ends.Unix() <= -1 || ends.Year() > 10_000) {
			t.Errorf("tokenEnd(%q) = %v", token, ends)
		}
	})
}

func TestTokenEnd(t *testing.T) {
	t.Parallel()
	ends := time.Unix(1_900_000_000, 0)
	require.True(t, tokenEnd(jwt(ends)).Equal(ends))
	for _, token := range []string{"", "opaque", "a.b", "a.!.c", "a.e30.c", "a." + base64.RawURLEncoding.EncodeToString([]byte(`{"exp":"soon"}`)) + ".c"} {
		require.Zero(t, tokenEnd(token), token)
	}
}
