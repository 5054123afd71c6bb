package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

const positionVersion = 1

// savedFile is one content in a position.
type savedFile struct {
	Path   string `json:"path"`
	At     string `json:"at,omitempty"` // where the file is, unless that is path
	Dev    uint64 `json:"dev"`
	Ino    uint64 `json:"ino"`
	Gen    int    `json:"gen,omitempty"`
	ID     string `json:"id,omitempty"`
	Head   mark   `json:"head"`
	Tail   mark   `json:"tail"`
	Offset int64  `json:"offset"`
	Part   int    `json:"part,omitempty"`
	Size   int64  `json:"size"`             // when it was last looked at: tells how much a lost file held
	MTime  int64  `json:"mtime"`            // likewise, in nanoseconds since 1970
	CopyOf string `json:"copyOf,omitempty"` // id of the content that it repeats
}

// A lastGen is the generation of a file that is gone. The file system may give its inode to a new file, whose content must not pass
// for the old one.
type lastGen struct {
	Dev uint64 `json:"dev"`
	Ino uint64 `json:"ino"`
	Gen int    `json:"gen"`
}

// maxForgotten bounds the list of generations: an inode is reused soon or, on a busy disk, by files that nobody watches.
const maxForgotten = 64

// position encodes where the source stands. Only contents that changed since the last call are encoded anew.
func (s *source) position() connect.Position {
	out := fmt.Appendf(nil, `{"v":%d,"files":[`, positionVersion)
	for i, c := range s.contents {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, c.encoded()...)
	}
	out = append(out, ']')
	if len(s.forgotten) > 0 {
		gone, _ := json.Marshal(s.forgotten) // three numbers: it cannot fail
		out = append(append(out, `,"gone":`...), gone...)
	}
	return append(out, '}')
}

func (c *content) encoded() []byte {
	now := savedFile{
		Path: c.path, Dev: c.file.dev, Ino: c.file.ino, Gen: c.gen, ID: c.id, Head: c.marks.head, Tail: c.marks.tail,
		Offset: c.offset, Part: c.part, Size: c.size, MTime: c.mtime.UnixNano(),
	}
	if !c.blank.IsZero() {
		now.ID, now.Head, now.Size, now.MTime = "", mark{}, 0, c.blank.UnixNano() // what it holds since may be another content
	}
	if c.at != c.path {
		now.At = c.at
	}
	if c.copyOf != nil {
		now.CopyOf = c.copyOf.id
	}
	if c.json == nil || now != c.saved {
		c.saved = now
		c.json, _ = json.Marshal(now) // strings, numbers and marks: it cannot fail
	}
	return c.json
}

// restore takes up where the position says. Files are opened by the first scan.
func (s *source) restore(from connect.Position) error {
	var stored struct {
		Version int         `json:"v"`
		Files   []savedFile `json:"files"`
		Gone    []lastGen   `json:"gone"`
	}
	if err := json.Unmarshal(from, &stored); err != nil {
		return fmt.Errorf("read the stored position: %w; remove it to start again from the beginning of the files", err)
	}
	if stored.Version != positionVersion {
		return fmt.Errorf("the stored position has version %d, this connector knows %d; use the connector that wrote it, or remove it to start again", stored.Version, positionVersion)
	}
	s.forgotten = stored.Gone
	byID := make(map[string]*content)
	for _, f := range stored.Files {
		c := newContent(f.Path, fileID{dev: f.Dev, ino: f.Ino}, f.Gen)
		c.id, c.offset, c.part, c.marks = f.ID, f.Offset, f.Part, marks{head: f.Head, tail: f.Tail}
		c.size, c.mtime = f.Size, time.Unix(0, f.MTime)
		if c.id == "" && c.untouched() {
			c.blank = c.mtime
		}
		if f.At != "" {
			c.at = f.At
		}
		s.append(c)
		byID[c.id] = c
	}
	for i, f := range stored.Files {
		if f.CopyOf != "" {
			s.contents[i].copyOf = byID[f.CopyOf]
		}
	}
	return nil
}
