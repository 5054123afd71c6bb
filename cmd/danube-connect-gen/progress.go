package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// A progress is a line on a terminal that tells how far a command has come. The zero value shows nothing.
type progress struct {
	out   io.Writer // nil for none
	width int
	start time.Time
	next  time.Time // when the line is drawn again
}

// progressPause is the shortest time between two drawings.
const progressPause = 100 * time.Millisecond

// newProgress shows on w if that is a terminal.
func newProgress(w io.Writer) *progress {
	p := &progress{start: time.Now()}
	if width, ok := terminalWidth(w); ok {
		p.out, p.width = w, width
	}
	return p
}

// terminalWidth is how many columns w has if it is a terminal.
func terminalWidth(w any) (columns int, ok bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil || columns < 1 {
		columns = 80
	}
	return columns, true
}

// update tells how many messages are done and what share of the work that is; a negative share is unknown.
func (p *progress) update(done int, share float64) {
	now := time.Now()
	if p.out == nil || now.Before(p.next) {
		return
	}
	p.next = now.Add(progressPause)
	fmt.Fprintf(p.out, "\r%s\x1b[K", p.line(done, share, now.Sub(p.start)))
}

// clear takes the line away.
func (p *progress) clear() {
	if p.out != nil {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// line is the text, never wider than the terminal.
func (p *progress) line(done int, share float64, elapsed time.Duration) string {
	text := fmt.Sprintf("%d messages, %s", done, perSecond(done, elapsed))
	if share >= 0 {
		share = min(share, 1)
		text = fmt.Sprintf("%3.0f %%  %s", share*100, text)
		if share > 0 && share < 1 {
			left := time.Duration(float64(elapsed) * (1 - share) / share)
			text += fmt.Sprintf(", %v left", left.Round(time.Second))
		}
		if room := min(p.width-len(text)-4, 40); room >= 10 {
			full := int(share * float64(room))
			text = "[" + strings.Repeat("#", full) + strings.Repeat("-", room-full) + "] " + text
		}
	}
	if len(text) >= p.width {
		text = text[:max(p.width-1, 0)]
	}
	return text
}

// shareOf is how much of a count is done, negative without one.
func shareOf(n, count int) float64 {
	if count == 0 {
		return -1
	}
	return float64(n) / float64(count)
}

// perSecond is a rate in words.
func perSecond(n int, elapsed time.Duration) string {
	if elapsed <= 0 {
		return "0/s"
	}
	rate := float64(n) / elapsed.Seconds()
	if rate > 0 && rate < 10 {
		return fmt.Sprintf("%.1f/s", rate)
	}
	return fmt.Sprintf("%.0f/s", rate)
}

// summary is what a command says at its end, such as "3 messages to /default/x in 1.2s, 2.5/s".
func summary(n int, where string, elapsed time.Duration) string {
	unit := "messages"
	if n == 1 {
		unit = "message"
	}
	return fmt.Sprintf("%d %s %s in %v, %s", n, unit, where, elapsed.Round(time.Millisecond), perSecond(n, elapsed))
}
