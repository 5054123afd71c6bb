package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// prettyLimit is how much of a payload is shown, in bytes.
const prettyLimit = 64 << 10

// A prettyPrinter prints messages for people. Nothing that a message holds can do more to a terminal than be seen.
type prettyPrinter struct {
	out    io.Writer
	colour bool
}

// newPrettyPrinter uses colours on a terminal, unless the environment has NO_COLOR.
func newPrettyPrinter(out io.Writer) *prettyPrinter {
	_, isTerminal := terminalWidth(out)
	return &prettyPrinter{out: out, colour: isTerminal && os.Getenv("NO_COLOR") == ""}
}

func (p *prettyPrinter) print(d danube.Delivery) error {
	var b strings.Builder
	head := fmt.Sprintf("%s @%d", d.Topic, d.Offset)
	if d.Key != "" {
		head += "  key " + plain(d.Key)
	}
	head += fmt.Sprintf("  %s  from %s", d.PublishTime.UTC().Format(time.RFC3339Nano), plain(d.Producer))
	b.WriteString(p.paint("1", head) + "\n")
	for _, name := range slices.Sorted(maps.Keys(d.Attributes)) {
		b.WriteString(p.paint("2", "  "+plain(name)+": "+plain(d.Attributes[name])) + "\n")
	}
	preview := danubetest.PreviewOf(d.Payload, prettyLimit)
	if preview.Format == "empty" {
		preview.Text = p.paint("2", "(empty)")
	}
	b.WriteString(strings.ReplaceAll(preview.Text, "\r", "") + "\n")
	if preview.Cut {
		b.WriteString(p.paint("2", fmt.Sprintf("… of %d bytes", len(d.Payload))) + "\n")
	}
	b.WriteString("\n")
	_, err := io.WriteString(p.out, b.String())
	return err
}

// paint puts text between the terminal's codes.
func (p *prettyPrinter) paint(code, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// plain quotes what is not plain text.
func plain(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
