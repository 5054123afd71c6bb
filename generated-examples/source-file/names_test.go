package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	t.Parallel()
	tests := []struct {
		base, name       string
		related, rotated bool
	}{
		{"app.log", "app.log", false, false},
		{"app.log", "app.log.1", true, true},
		{"app.log", "app.log.12", true, true},
		{"app.log", "app.log-20250131", true, true},
		{"app.log", "app.log.2025-01-31T12:00:00Z", true, true},
		{"app.log", "app-2025-01-31.log", true, true},
		{"app.log", "app.1.log", true, true},
		{"app.log", "app.log.old", true, false},
		{"app.log", "app.log~", true, false},
		{"app.log", "app.log.1.gz", true, false},
		{"app.log", "app-worker.log", true, false},
		{"app.log", "application.log", false, false},
		{"app.log", "other.log", false, false},
		{"syslog", "syslog.1", true, true},
		{"syslog", "sys", false, false},
	}
	for _, tt := range tests {
		require.Equal(t, tt.related, related(tt.base, tt.name), "related(%q, %q)", tt.base, tt.name)
		require.Equal(t, tt.rotated, rotated(tt.base, tt.name), "rotated(%q, %q)", tt.base, tt.name)
	}
}
