package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/spool"
)

// eachSpool opens the spool of each route that has one.
func eachSpool(s SinkSettings, do func(r SinkRoute, dir string, store *spool.Spool) error) error {
	if err := s.prepare(); err != nil {
		return err
	}
	for _, r := range s.Routes {
		dir := s.spoolDir(r)
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			continue // opening would make it
		}
		options := s.spoolOptions(dir)
		options.Salvage = true
		store, err := spool.Open(options)
		if err != nil {
			return err
		}
		if err := errors.Join(do(r, dir, store), store.Close()); err != nil {
			return err
		}
	}
	return nil
}

// showSpools says what waits in the spool of each route.
func showSpools(w io.Writer, s SinkSettings) error {
	none := true
	err := eachSpool(s, func(r SinkRoute, dir string, store *spool.Spool) error {
		none = false
		stats := store.Stats()
		fmt.Fprintf(w, "%s: %d messages wait in %s, which has %d bytes\n", r.From, stats.Waiting(), dir, stats.Bytes)
		if stats.Waiting() == 0 {
			return nil
		}
		reader := store.Reader(stats.Settled)
		oldest, since, err := reader.Next()
		if err == nil {
			fmt.Fprintf(w, "%s: the oldest is offset %d, spooled at %s\n", r.From, oldest.Offset, since.UTC().Format(time.RFC3339))
		}
		return errors.Join(err, reader.Close())
	})
	if none && err == nil {
		fmt.Fprintln(w, "there is no spool")
	}
	return err
}

// spooledMessage is how a waiting message is exported.
type spooledMessage struct {
	Topic       string            `json:"topic"`
	Partition   int               `json:"partition"` // -1 on a topic without partitions
	Offset      uint64            `json:"offset"`
	Key         string            `json:"key,omitempty"`
	EventID     string            `json:"event_id"`
	PublishTime time.Time         `json:"publish_time"`
	Producer    string            `json:"producer"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	Text        *string           `json:"text,omitempty"`   // the payload, if it is UTF-8
	Base64      []byte            `json:"base64,omitempty"` // else this
}

// exportSpools writes the waiting messages as JSON lines, in order. When one cannot be read, those before it have been written.
func exportSpools(w io.Writer, s SinkSettings) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	return eachSpool(s, func(_ SinkRoute, _ string, store *spool.Spool) (err error) {
		stats := store.Stats()
		reader := store.Reader(stats.Settled)
		defer func() { err = errors.Join(err, reader.Close()) }()
		for range stats.Waiting() {
			m, _, err := reader.Next()
			if err != nil {
				return err
			}
			if err := out.Encode(exported(&m)); err != nil {
				return err
			}
		}
		return nil
	})
}

func exported(m *danube.Message) spooledMessage {
	e := spooledMessage{
		Topic: m.Topic, Partition: m.Partition, Offset: m.Offset, Key: m.Key, PublishTime: m.PublishTime.UTC(), Producer: m.Producer,
		Attributes: m.Attributes, EventID: recordOf(m, "").EventID(),
	}
	if text := string(m.Payload); utf8.ValidString(text) {
		e.Text = &text
	} else {
		e.Base64 = m.Payload
	}
	return e
}

// spoolCommand runs `spool show`, `spool export` or `spool drain`.
func spoolCommand(ctx context.Context, p Process, c *connector, word, file string) error {
	in, err := load(p, c, file)
	if err != nil {
		return err
	}
	if in.sink == nil {
		return errUsage{errors.New("a source has no spool")}
	}
	log, err := newLogger(in.core, p.Stderr)
	if err != nil {
		return err
	}
	settings := in.sink.settings(in.core.settings(log, newOperations(in.core.Name)))
	switch word {
	case "show":
		return showSpools(p.Stdout, settings)
	case "export":
		return exportSpools(p.Stdout, settings)
	}
	if err := drainSpools(ctx, settings, in.sink.open); err != nil {
		return err
	}
	return showSpools(p.Stdout, settings)
}
