package danubetest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRingHash(t *testing.T) {
	t.Parallel()
	two := []*consumer{{id: 1}, {id: 2}}
	three := []*consumer{{id: 100}, {id: 101}, {id: 102}}
	for _, tt := range []struct {
		key     string
		hash    uint32
		ofTwo   uint64
		ofThree uint64
	}{
		{"", 0xc610ff71, 1, 101},
		{"a", 0x767d5927, 2, 102},
		{"keyA", 0x681b7f8d, 1, 102},
		{"keyB", 0x8e0bdc9f, 2, 102},
		{"payment", 0xfcf9e347, 2, 100},
		{"shipping", 0x9d671a65, 1, 100},
		{"user-1", 0xb41709e3, 2, 100},
		{"order-123", 0xcc728681, 1, 100},
		{"é", 0x411cee8d, 2, 101},
	} {
		require.Equal(t, tt.hash, ringHash(tt.key), tt.key)
		require.Equal(t, tt.ofTwo, onRing(two, tt.key).id, tt.key)
		require.Equal(t, tt.ofThree, onRing(three, tt.key).id, tt.key)
	}
	require.Equal(t, uint32(0x457b844a), ringHash("1-0"))
	require.Equal(t, uint32(0x4cfb8087), ringHash("2-99"))
	require.Nil(t, onRing(nil, "a"))
}
