package danube_test

import "testing"

// TestChaosOnTheImitatingBroker does the same with all traps of the real broker, in programs that lose nothing by its rules.
func TestChaosOnTheImitatingBroker(t *testing.T) {
	t.Parallel()
	chaos(t, 120, true)
}
