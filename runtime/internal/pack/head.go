package pack

// A head is what a framed pack says of a record. Its strings are parts of the heads.
type head struct {
	flags       byte
	payload     uint64 // bytes
	key         string
	eventID     string
	publishTime int64  // milliseconds
	attributes  string // their number, names and values, encoded
	sum         uint32
}

// parseHead reads the head at s[at:] and returns the place after it. A reason that is not empty says why it cannot be read, and next is
// then the place of the trouble.
func parseHead(s string, at int) (h head, next int, reason string) {
	p := headParser{s: s, at: at}
	h.flags = p.byte()
	if h.flags&^byte(knownFlags) != 0 {
		return head{}, at, "its head has flags that this version does not know"
	}
	h.payload = p.uvarint()
	if h.flags&hasKey != 0 {
		h.key = p.string()
	}
	if h.flags&hasEventID != 0 {
		h.eventID = p.string()
	}
	if h.flags&hasPublishTime != 0 {
		u := p.uvarint()
		h.publishTime = int64(u>>1) ^ -int64(u&1)
	}
	if h.flags&hasAttributes != 0 {
		start := p.at
		p.attributes()
		h.attributes = s[start:p.at]
	}
	if sum := p.take(checksumBytes); sum != "" {
		h.sum = uint32(sum[0]) | uint32(sum[1])<<8 | uint32(sum[2])<<16 | uint32(sum[3])<<24
	}
	return h, p.at, p.reason
}

func (h *head) readAttributes() map[string]string {
	p := headParser{s: h.attributes}
	n := p.uvarint()
	m := make(map[string]string, n) // as many were there when the pack was checked
	for range n {
		name := p.string()
		m[name] = p.string()
	}
	return m
}

// A headParser reads from s[at:]. After trouble it stays where it is and gives zeros.
type headParser struct {
	s      string
	at     int
	reason string
}

func (p *headParser) fail(reason string) {
	if p.reason == "" {
		p.reason = reason
	}
}

func (p *headParser) take(n uint64) string {
	if p.reason != "" || n > uint64(len(p.s)-p.at) {
		p.fail("its head is longer than what is left")
		return ""
	}
	start := p.at
	p.at += int(n)
	return p.s[start:p.at]
}

func (p *headParser) byte() byte {
	if s := p.take(1); s != "" {
		return s[0]
	}
	return 0
}

func (p *headParser) uvarint() uint64 {
	var v uint64
	for shift := 0; p.reason == "" && p.at < len(p.s); shift += 7 {
		b := p.s[p.at]
		if shift == 63 && b > 1 { // so there is no further round
			break
		}
		p.at++
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	p.fail("its head has a number that does not end or has more than 64 bits")
	return 0
}

func (p *headParser) string() string { return p.take(p.uvarint()) }

// attributes passes over them. Their names must ascend: a name that came twice would hide a value.
func (p *headParser) attributes() {
	last := ""
	for i, n := uint64(0), p.uvarint(); i < n && p.reason == ""; i++ {
		at, name := p.at, p.string()
		if i > 0 && name <= last && p.reason == "" {
			p.at = at
			p.fail("the names of its attributes do not ascend")
		}
		last = name
		p.string()
	}
}
