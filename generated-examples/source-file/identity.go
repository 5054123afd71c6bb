package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
)

// A fileID is a file's device and inode: what stays the same when the file is renamed, and what the file system gives to another
// file once this one is deleted.
type fileID struct{ dev, ino uint64 }

func idOf(info fs.FileInfo) fileID {
	st := info.Sys().(*syscall.Stat_t)
	return fileID{dev: uint64(st.Dev), ino: st.Ino}
}

// Sizes of the two samples by which a file's content is known again: its first bytes and the last ones that were published.
const (
	headBytes = 1024
	tailBytes = 64
)

// A mark is a hash over a sample of a file and the sample's length. It is stored in place of the sample.
type mark struct {
	n   int
	sum uint64
}

func markOf(sample []byte) mark {
	if len(sample) == 0 {
		return mark{}
	}
	sum := sha256.Sum256(sample)
	return mark{n: len(sample), sum: binary.BigEndian.Uint64(sum[:])}
}

// MarshalText gives "length:hash", the empty mark as "".
func (m mark) MarshalText() ([]byte, error) {
	if m.n == 0 {
		return nil, nil
	}
	return fmt.Appendf(nil, "%d:%016x", m.n, m.sum), nil
}

// UnmarshalText reads what MarshalText wrote.
func (m *mark) UnmarshalText(text []byte) error {
	*m = mark{}
	if len(text) == 0 {
		return nil
	}
	n, sum, _ := strings.Cut(string(text), ":")
	var err error
	if m.n, err = strconv.Atoi(n); err != nil || m.n < 1 || m.n > headBytes {
		return fmt.Errorf("mark %q has no length from 1 to %d", text, headBytes)
	}
	if m.sum, err = strconv.ParseUint(sum, 16, 64); err != nil {
		return fmt.Errorf("mark %q has no hash", text)
	}
	return nil
}

// contentID names a body of lines for ever: by the file in which it began, by how often that file was emptied before, and by its
// first line. Two files that follow each other on one inode differ in one of these.
func contentID(file fileID, generation int, firstLine []byte) string {
	var b []byte
	b = binary.BigEndian.AppendUint64(b, file.dev)
	b = binary.BigEndian.AppendUint64(b, file.ino)
	b = binary.BigEndian.AppendUint64(b, uint64(generation))
	sum := sha256.Sum256(append(b, firstLine...))
	return hex.EncodeToString(sum[:8])
}

// firstLine is the first line of a file that begins with head, of a line longer than the head the head; nil as long as the line is
// not complete.
func firstLine(head []byte) []byte {
	if i := bytes.IndexByte(head, '\n'); i >= 0 {
		return head[:i+1]
	}
	if len(head) == headBytes {
		return head
	}
	return nil
}
