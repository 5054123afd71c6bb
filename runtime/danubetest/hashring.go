package danubetest

import (
	"hash/fnv"
	"strconv"
)

// ringPoints is how many places a consumer has on the ring of a Key-Shared subscription.
const ringPoints = 100

// ringHash is the real broker's hash of keys and of places: FNV-1a folded to 32 bits, then mixed as murmur3 does.
func ringHash(s string) uint32 {
	f := fnv.New64a()
	_, _ = f.Write([]byte(s)) // a hash does not fail
	folded := f.Sum64()
	h := uint32(folded>>32 ^ folded)
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	h ^= h >> 16
	return h
}

// onRing picks one of consumers for a key: the one whose place follows that of the key. It is nil when there are none.
func onRing(consumers []*consumer, key string) (owner *consumer) {
	at := ringHash(key)
	var nearest uint32
	for _, c := range consumers {
		for _, place := range c.ringPlaces() {
			if distance := place - at; owner == nil || distance < nearest { // unsigned, so it goes round
				owner, nearest = c, distance
			}
		}
	}
	return owner
}

// ringPlaces are the consumer's places on the ring.
func (c *consumer) ringPlaces() []uint32 {
	if c.places32 == nil {
		c.places32 = make([]uint32, ringPoints)
		for i := range c.places32 {
			c.places32[i] = ringHash(strconv.FormatUint(c.id, 10) + "-" + strconv.Itoa(i))
		}
	}
	return c.places32
}
