package danubetest_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/test/bufconn"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// The real broker answers every ping and never complains about their number; here all come at one instant.
func TestDB49PingsOfAnyFrequency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, err := danubetest.New()
		require.NoError(t, err)
		t.Cleanup(b.Close)
		l := bufconn.Listen(1 << 16)
		require.NoError(t, b.Serve(l, nil))
		conn, err := l.DialContext(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = conn.Write([]byte(http2.ClientPreface))
		require.NoError(t, err)
		framer := http2.NewFramer(conn, conn)
		require.NoError(t, framer.WriteSettings())

		settings := make(map[http2.SettingID]uint32)
		for answered := byte(0); answered < 50; {
			require.NoError(t, framer.WritePing(false, [8]byte{answered}))
			for pinged := false; !pinged; {
				frame, err := framer.ReadFrame()
				require.NoError(t, err)
				switch f := frame.(type) {
				case *http2.SettingsFrame:
					require.NoError(t, f.ForeachSetting(func(s http2.Setting) error {
						settings[s.ID] = s.Val
						return nil
					}))
				case *http2.PingFrame:
					require.Equal(t, [8]byte{answered}, f.Data)
					answered++
					pinged = true
				case *http2.GoAwayFrame:
					require.FailNow(t, "connection ended", "%v", f)
				}
			}
		}
		require.Equal(t, uint32(1<<20), settings[http2.SettingInitialWindowSize])
		require.Equal(t, uint32(16<<10), settings[http2.SettingMaxHeaderListSize])
		require.NotContains(t, settings, http2.SettingMaxConcurrentStreams)
	})
}
