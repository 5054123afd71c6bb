package schema

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Bounds of what one payload may make the reader do: a few bytes can promise many values, and compressed ones grow.
const (
	maxAvroBytes = 32 << 20 // of all blocks, uncompressed
	maxAvroEmpty = 1 << 20  // values that take no bytes, such as null
)

var errAvroShort = errors.New("it ends in the middle of a value")

// validateAvroFile says why payload is not a complete Avro object container file, whatever the schema is that it carries.
func validateAvroFile(payload []byte) error {
	if err := readAvroFile(payload); err != nil {
		return fmt.Errorf("payload is not an Avro container file: %w", err)
	}
	return nil
}

func readAvroFile(payload []byte) error {
	rest, ok := bytes.CutPrefix(payload, []byte("Obj\x01"))
	if !ok {
		return errors.New("it does not begin with Obj and the byte 1")
	}
	left := &avroBudget{bytes: maxAvroBytes, empty: maxAvroEmpty}
	r := &avroReader{data: rest, left: left}
	meta := make(map[string]string)
	r.blocks(func() {
		key := r.text()
		meta[key] = r.text()
	})
	sync := r.take(16)
	if r.err != nil {
		return fmt.Errorf("header: %w", r.err)
	}
	t, _, err := parseAvro([]byte(meta["avro.schema"]))
	if err != nil {
		return fmt.Errorf("header: avro.schema: %w", err)
	}
	for len(r.data) > 0 {
		count, block := r.long(), r.take(r.long())
		if r.err != nil {
			return r.err
		}
		if !bytes.Equal(sync, r.take(16)) {
			return errors.New("a block does not end with the file's marker")
		}
		if err := left.readBlock(t, meta["avro.codec"], count, block); err != nil {
			return err
		}
	}
	return r.err
}

// An avroBudget is what may still be read of a payload.
type avroBudget struct{ bytes, empty int }

// readBlock reads count values of type t and checks that nothing follows.
func (left *avroBudget) readBlock(t *avroType, codec string, count int64, block []byte) error {
	switch codec {
	case "", "null":
	case "deflate":
		var err error
		if block, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(block)), int64(left.bytes)+1)); err != nil {
			return fmt.Errorf("a block cannot be decompressed: %w", err)
		}
		if left.bytes -= len(block); left.bytes < 0 {
			return fmt.Errorf("its blocks have more than %d bytes", maxAvroBytes)
		}
	default:
		return fmt.Errorf("its codec is %q; this broker reads null and deflate", codec)
	}
	r := &avroReader{data: block, left: left}
	for ; count > 0 && r.err == nil; count-- {
		r.skip(t, 0)
	}
	if r.err == nil && len(r.data) > 0 {
		return fmt.Errorf("%d bytes follow the values of a block", len(r.data))
	}
	return r.err
}

// An avroReader goes through encoded values. After the first error it does nothing more.
type avroReader struct {
	data []byte
	left *avroBudget
	err  error
}

func (r *avroReader) fail(err error) {
	if r.err == nil {
		r.data, r.err = nil, err
	}
}

// long reads an int or a long.
func (r *avroReader) long() int64 {
	v, n := binary.Varint(r.data)
	if n <= 0 {
		r.fail(errAvroShort)
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *avroReader) take(n int64) []byte {
	if n < 0 || n > int64(len(r.data)) {
		r.fail(errAvroShort)
		return nil
	}
	taken := r.data[:n]
	r.data = r.data[n:]
	return taken
}

func (r *avroReader) text() string { return string(r.take(r.long())) }

// blocks calls item for each item of an array or a map.
func (r *avroReader) blocks(item func()) {
	for r.err == nil {
		count := r.long()
		if count < 0 { // a negative count is followed by the size of the block
			count = -count
			r.long()
		}
		if count == 0 {
			return
		}
		for ; count > 0 && r.err == nil; count-- {
			item()
		}
	}
}

// skip reads one value of type t, which is nested so deep in others.
func (r *avroReader) skip(t *avroType, depth int) {
	if depth > maxAvroDepth {
		r.fail(fmt.Errorf("values are nested more than %d deep", maxAvroDepth))
		return
	}
	before := len(r.data)
	r.value(t, depth)
	if len(r.data) < before {
		return
	}
	if r.left.empty--; r.left.empty < 0 {
		r.fail(fmt.Errorf("it has more than %d values that take no bytes", maxAvroEmpty))
	}
}

func (r *avroReader) value(t *avroType, depth int) {
	switch t.kind {
	case "boolean":
		if b := r.take(1); r.err == nil && b[0] > 1 {
			r.fail(errors.New("a boolean is neither 0 nor 1"))
		}
	case "int", "long":
		r.long()
	case "float":
		r.take(4)
	case "double":
		r.take(8)
	case "bytes", "string":
		r.take(r.long())
	case "fixed":
		r.take(t.size)
	case "array":
		r.blocks(func() { r.skip(t.items, depth+1) })
	case "map":
		r.blocks(func() {
			r.text()
			r.skip(t.items, depth+1)
		})
	case "record":
		for _, f := range t.fields {
			if r.skip(f.kind, depth+1); r.err != nil {
				return
			}
		}
	case "enum":
		r.choice(len(t.symbols))
	case "union":
		if i := r.choice(len(t.branches)); r.err == nil {
			r.skip(t.branches[i], depth+1)
		}
	}
}

// choice reads an index below n.
func (r *avroReader) choice(n int) int64 {
	i := r.long()
	if i < 0 || i >= int64(n) {
		r.fail(fmt.Errorf("index %d is not below %d", i, n))
	}
	return i
}
