package main

import (
	"errors"
	"io"
	"os"
	"strings"
	"time"
)

// A file whose last change is younger than this may change again without a newer time stamp.
const timestampGrain = 50 * time.Millisecond

// A content is one body of lines, from the file in which it began to wherever rotation takes it. A file that is emptied and
// written again begins another content.
type content struct {
	path   string // under which it was found first
	name   string // path as records carry it: valid UTF-8
	at     string // where its file is now, symbolic links resolved
	file   fileID // that file
	origin fileID // the file in which it began
	gen    int    // how many contents that file held before
	id     string // see contentID; "" until the first line is complete

	offset int64  // of the next line to publish
	part   int    // how many pieces of the line at offset were published
	head   []byte // the first bytes, at most headBytes; unknown until the file was opened
	tail   []byte // the last bytes before offset, at most tailBytes; likewise
	marks  marks  // of head and tail

	f       *os.File  // nil: not opened yet, or not readable
	buf     []byte    // bytes from offset on that were read but not published
	scanned int       // first bytes of buf that hold no line end
	size    int64     // of the file when it was last read and held this content
	mtime   time.Time // likewise
	settled bool      // the file cannot have changed since without another size or time
	blank   time.Time // when the file was last known not to hold a whole line yet; zero: since then nothing else stood in it

	ready   bool      // the file may hold more
	empty   bool      // the last look found every byte published
	stale   bool      // the file holds other content now
	gone    bool      // no file holds this content any more
	ending  time.Time // when a last line without an end is published; zero: never, the file is still written
	after   *content  // to be published before this one; nil: nothing
	copyOf  *content  // which this file repeats, compared byte by byte as far as offset; nil: none
	checked bool      // found not to be a copy
	fault   error     // why the file could not be read at the last try
	retry   time.Time // when the next try may be

	saved savedFile // the last encoding in a position
	json  []byte
}

// marks is what a position keeps of the samples of a content.
type marks struct{ head, tail mark }

func newContent(path string, file fileID, gen int) *content {
	return &content{path: path, name: strings.ToValidUTF8(path, "\uFFFD"), at: path, file: file, origin: file, gen: gen}
}

// open attaches f, which must be the file of c.file, when it holds c. It takes ownership of f only then.
func (c *content) open(f *os.File) (bool, error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	head, tail, err := c.samples(f, info.Size())
	if err != nil || head == nil {
		return false, err
	}
	c.f, c.head, c.tail, c.marks = f, head, tail, marks{head: markOf(head), tail: markOf(tail)}
	c.buf, c.scanned = nil, 0
	c.ready, c.empty, c.stale, c.fault = true, false, false, nil
	c.look(info.Size(), info.ModTime())
	return true, nil
}

// samples reads head and tail of c from f; both are nil when f does not hold c.
func (c *content) samples(f io.ReaderAt, size int64) (head, tail []byte, err error) {
	if size < c.offset {
		return nil, nil, nil
	}
	head = make([]byte, min(size, headBytes))
	tail = make([]byte, min(c.offset, tailBytes))
	if n := c.marks.tail.n; n > 0 && n < len(tail) {
		tail = tail[:n]
	}
	for _, s := range []struct {
		b  []byte
		at int64
	}{{b: head, at: 0}, {b: tail, at: c.offset - int64(len(tail))}} {
		if n, err := f.ReadAt(s.b, s.at); n < len(s.b) {
			if errors.Is(err, io.EOF) {
				return nil, nil, nil // truncated since its size was read
			}
			return nil, nil, err
		}
	}
	known := c.marks
	if len(head) < known.head.n || markOf(head[:known.head.n]) != known.head || known.tail.n > 0 && markOf(tail) != known.tail {
		return nil, nil, nil
	}
	return head, tail, nil
}

// identify fixes the content's id once its first line is known; with whole set, the line is what there is.
func (c *content) identify(whole bool) {
	if c.id != "" {
		return
	}
	line := firstLine(c.head)
	if line == nil && whole {
		line = c.head
	}
	if line != nil {
		c.id = contentID(c.origin, c.gen, line)
	}
}

// look notes the file's size and time, once its first bytes are known.
func (c *content) look(size int64, mtime time.Time) {
	c.size, c.mtime = size, mtime
	c.settled = time.Since(mtime) > timestampGrain
	c.identify(false)
	if c.id == "" && c.untouched() && c.blank.IsZero() {
		c.blank = mtime
	}
}

// untouched tells that nothing of c was published.
func (c *content) untouched() bool { return c.offset == 0 && c.part == 0 && c.copyOf == nil }

// length is the present size of c's file, 0 when it is not open.
func (c *content) length() int64 {
	if c.f == nil {
		return 0
	}
	info, err := c.f.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// written is when the content was written last, as far as that is known.
func (c *content) written() time.Time {
	if c.f != nil {
		if info, err := c.f.Stat(); err == nil {
			return info.ModTime()
		}
	}
	return c.mtime
}

// intact tells whether the open file still holds c. A file that cannot be read right now is given the benefit of the doubt.
func (c *content) intact() bool {
	return c.f != nil && !c.stale && c.in(c.f)
}

func (c *content) in(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return true
	}
	head, _, err := c.samples(f, info.Size())
	return err != nil || head != nil
}

// stillIn is intact for a content whose file f may not be open yet.
func (c *content) stillIn(f found) bool {
	if c.f != nil {
		return c.intact()
	}
	file, err := os.Open(f.real)
	if err != nil {
		return true
	}
	defer file.Close()
	return c.in(file)
}

// fail closes the file after err. It is opened again at the first scan after retry.
func (c *content) fail(err error, retry time.Time) {
	c.close()
	c.fault, c.retry = err, retry
}

func (c *content) close() {
	if c.f != nil {
		_ = c.f.Close() // read only: nothing can be lost
		c.f = nil
	}
	c.buf, c.scanned = nil, 0
}
