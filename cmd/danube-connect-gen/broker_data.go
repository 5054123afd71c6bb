package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// brokerData is where and how long the broker keeps messages.
type brokerData struct {
	dir  string        // empty: in memory only
	size byteSize      // passed messages of a topic that are kept; 0 sets no bound if age does
	age  time.Duration // how long they are kept; 0 sets no bound if size does
	disk byteSize      // what the messages of all topics may take; 0 for as much as there is
}

func (d *brokerData) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.dir, "data-dir", "", "`DIR` that keeps topics, messages and subscriptions; a publish is answered once it is on disk there")
	cmd.Flags().Var(&d.size, "retention-size", "keep messages that all subscriptions have passed while their topic takes no more than `BYTES`, such as 500MiB; with --data-dir")
	cmd.Flags().Var(&d.disk, "max-disk", "refuse publishes to reliable topics while their messages take `BYTES` on disk, such as 10GiB; with --data-dir")
	cmd.Flags().DurationVar(&d.age, "retention-time", 0, "keep messages that all subscriptions have passed for `TIME`, such as 24h; with --data-dir")
}

// options are the broker's.
func (d *brokerData) options() ([]danubetest.Option, error) {
	if d.dir == "" {
		if d.size > 0 || d.age > 0 {
			return nil, badInput("broker", errors.New("there is nothing to retain in memory"), "name a folder with --data-dir")
		}
		if d.disk > 0 {
			return nil, badInput("broker", errors.New("--max-disk limits nothing while all is in memory"), "name a folder with --data-dir")
		}
		return nil, nil
	}
	options := []danubetest.Option{danubetest.DataDir(d.dir), danubetest.Retention(int64(d.size), d.age)}
	if d.disk > 0 {
		options = append(options, danubetest.Disk(int64(d.disk)))
	}
	return options, nil
}

// notice says what becomes of the messages.
func (d *brokerData) notice() string {
	if d.dir == "" {
		return "everything is kept in memory only; Ctrl-C ends it"
	}
	return "messages are kept in " + d.dir + "; Ctrl-C ends it"
}

// newBrokerFailure tells a data directory that cannot be used from wrong flags.
func newBrokerFailure(err error) error {
	if errors.Is(err, danubetest.ErrDataDir) {
		return &failure{exit: exitEnvironment, code: "data_dir", what: "broker", err: err}
	}
	return badInput("broker", err, "see danube-connect-gen broker --help")
}

// byteSize is a flag such as 1048576, 500MiB or 2GiB.
type byteSize int64

var byteUnits = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}}

func (s *byteSize) Set(text string) error {
	digits, unit := text, int64(1)
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			digits, unit = rest, u.bytes
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return fmt.Errorf("%q is not a size; write bytes, or KiB, MiB, GiB or TiB behind a whole number", text)
	}
	*s = byteSize(n * unit)
	return nil
}

func (s *byteSize) String() string {
	for i := len(byteUnits) - 1; i >= 0; i-- {
		if u := byteUnits[i]; *s > 0 && int64(*s)%u.bytes == 0 {
			return strconv.FormatInt(int64(*s)/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(*s), 10)
}

// Type is what help shows where the usage names nothing.
func (s *byteSize) Type() string { return "bytes" }
