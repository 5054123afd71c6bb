package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProgressLine(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		width   int
		done    int
		share   float64
		elapsed time.Duration
		want    string
	}{
		"nobody knows the end": {80, 20, -1, 4 * time.Second, "20 messages, 5.0/s"},
		"half":                 {80, 500, 0.5, 10 * time.Second, "[####################--------------------]  50 %  500 messages, 50/s, 10s left"},
		"begin":                {80, 0, 0, 0, "[----------------------------------------]   0 %  0 messages, 0/s"},
		"end":                  {80, 9, 1, 3 * time.Second, "[########################################] 100 %  9 messages, 3.0/s"},
		"too far":              {80, 9, 1.5, 3 * time.Second, "[########################################] 100 %  9 messages, 3.0/s"},
		"no room for a bar":    {40, 500, 0.5, 10 * time.Second, " 50 %  500 messages, 50/s, 10s left"},
		"narrow":               {12, 500, 0.5, 10 * time.Second, " 50 %  500 "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := progress{width: tt.width}
			require.Equal(t, tt.want, p.line(tt.done, tt.share, tt.elapsed))
		})
	}
}

func TestProgressIsForTerminals(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newProgress(&out)
	p.update(1, 0.5)
	p.clear()
	require.Empty(t, out.String())
}

func TestSummary(t *testing.T) {
	t.Parallel()
	require.Equal(t, "1 message to /default/x in 500ms, 2.0/s", summary(1, "to /default/x", 500*time.Millisecond))
	require.Equal(t, "0 messages to /default/x in 0s, 0/s", summary(0, "to /default/x", 0))
	require.Equal(t, "3000 messages to /default/x in 2s, 1500/s", summary(3000, "to /default/x", 2*time.Second))
}
