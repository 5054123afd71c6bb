package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a page may take for anything.
const patience = 20 * time.Second

// A chromium is a headless browser that is driven over a pipe by the DevTools protocol: JSON objects with a zero byte after each.
type chromium struct {
	t       *testing.T
	ctx     context.Context
	to      *os.File
	mu      sync.Mutex
	last    int
	answers map[int]chan reply
	broken  []string // what the console of a page complained about
	gone    chan struct{}
}

type reply struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// startChromium starts program, which ends with the test.
func startChromium(t *testing.T, program string) *chromium {
	t.Helper()
	fromUs, to, err := os.Pipe()
	require.NoError(t, err)
	from, toUs, err := os.Pipe()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
		"--user-data-dir="+profile(t), "--remote-debugging-pipe")
	cmd.ExtraFiles = []*os.File{fromUs, toUs} // it reads descriptor 3 and writes 4
	cmd.WaitDelay = 5 * time.Second
	require.NoError(t, cmd.Start())
	require.NoError(t, fromUs.Close())
	require.NoError(t, toUs.Close())
	c := &chromium{t: t, ctx: ctx, to: to, answers: make(map[int]chan reply), gone: make(chan struct{})}
	go c.read(from)
	t.Cleanup(func() {
		_, _ = c.try("", "Browser.close", nil) // killed below if it does not
		select {
		case <-c.gone:
		case <-time.After(patience):
		}
		cancel()
		_ = cmd.Wait() // how it ended is not the test's matter
		_ = to.Close()
		_ = from.Close()
	})
	return c
}

// profile is a folder for what a browser keeps. Its helpers write there for a moment after it has ended, so that nothing is made of a
// folder that cannot be removed at once.
func profile(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "chromium")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// read hands out answers until the browser is gone.
func (c *chromium) read(from *os.File) {
	defer close(c.gone)
	in := bufio.NewReader(from)
	for {
		raw, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var r reply
		if json.Unmarshal(bytes.TrimSuffix(raw, []byte{0}), &r) != nil {
			continue
		}
		c.mu.Lock()
		if r.Method == "Runtime.exceptionThrown" || r.Method == "Log.entryAdded" {
			c.broken = append(c.broken, string(r.Params))
		}
		ch := c.answers[r.ID]
		delete(c.answers, r.ID)
		c.mu.Unlock()
		if ch != nil {
			ch <- r
		}
	}
}

// try calls a method of the protocol for a session, or with none for the browser.
func (c *chromium) try(session, method string, params any) (json.RawMessage, error) {
	c.mu.Lock()
	c.last++
	id, ch := c.last, make(chan reply, 1)
	c.answers[id] = ch
	c.mu.Unlock()
	call := map[string]any{"id": id, "method": method}
	if params != nil {
		call["params"] = params
	}
	if session != "" {
		call["sessionId"] = session
	}
	raw, err := json.Marshal(call)
	if err != nil {
		return nil, err
	}
	if _, err := c.to.Write(append(raw, 0)); err != nil {
		return nil, err
	}
	select {
	case r := <-ch:
		if r.Error != nil {
			return nil, fmt.Errorf("%s: %s", method, r.Error.Message)
		}
		return r.Result, nil
	case <-c.gone:
		return nil, fmt.Errorf("%s: the browser is gone", method)
	case <-time.After(2 * patience):
		return nil, fmt.Errorf("%s: no answer", method)
	}
}

// A page is a tab.
type page struct {
	c       *chromium
	session string
}

// A screen is what a page is shown on.
type screen struct {
	width, height int
	dark          bool
}

func (s screen) String() string {
	return fmt.Sprintf("%d-%s", s.width, map[bool]string{true: "dark", false: "light"}[s.dark])
}

// open shows a URL in a new tab.
func (c *chromium) open(url string, s screen) *page {
	c.t.Helper()
	var target struct{ TargetID string }
	c.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	c.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	p := &page{c: c, session: attached.SessionID}
	scheme := map[bool]string{true: "dark", false: "light"}[s.dark]
	c.call(p.session, "Runtime.enable", nil, nil)
	c.call(p.session, "Log.enable", nil, nil)
	c.call(p.session, "Emulation.setEmulatedMedia",
		map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	c.call(p.session, "Emulation.setDeviceMetricsOverride",
		map[string]any{"width": s.width, "height": s.height, "deviceScaleFactor": 1, "mobile": false}, nil)
	c.call(p.session, "Page.navigate", map[string]any{"url": url}, nil)
	p.loaded()
	return p
}

// loaded waits until the blank page has given way. What is asked in between may be lost with it.
func (p *page) loaded() {
	p.c.t.Helper()
	ask := map[string]any{"awaitPromise": true, "returnByValue": true,
		"expression": `new Promise(done => setTimeout(() => done(location.protocol === "http:" && document.readyState === "complete"), 20))`}
	for begin := time.Now(); time.Since(begin) < patience; {
		var r struct{ Result struct{ Value bool } }
		raw, err := p.c.try(p.session, "Runtime.evaluate", ask)
		if err == nil && json.Unmarshal(raw, &r) == nil && r.Result.Value {
			return
		}
	}
	require.FailNow(p.c.t, "the page does not load")
}

func (c *chromium) call(session, method string, params, result any) {
	c.t.Helper()
	raw, err := c.try(session, method, params)
	require.NoError(c.t, err)
	if result != nil {
		require.NoError(c.t, json.Unmarshal(raw, result))
	}
}

// eval gives the value of an expression in the page, or fails with what it throws. A promise is waited for.
func (p *page) eval(expression string, value any) {
	p.c.t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	p.c.call(p.session, "Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &r)
	require.Empty(p.c.t, string(r.ExceptionDetails), expression)
	if value != nil {
		require.NoError(p.c.t, json.Unmarshal(r.Result.Value, value), expression)
	}
}

// until waits until an expression is true in the page.
func (p *page) until(expression string) {
	p.c.t.Helper()
	var met bool
	p.eval(fmt.Sprintf(`new Promise(done => {
		const end = Date.now() + %d;
		const look = () => { if (%s) done(true); else if (Date.now() > end) done(false); else setTimeout(look, 20); };
		look();
	})`, patience.Milliseconds(), expression), &met)
	if !met {
		var text string
		p.eval(`document.body?.innerText ?? ""`, &text)
		require.FailNow(p.c.t, "the page never shows it", "%s\n--- the page:\n%s", expression, text)
	}
}

// key presses a key in the page.
func (p *page) key(key string, code int) {
	p.c.t.Helper()
	text := map[string]string{"Enter": "\r"}[key]
	for _, kind := range []string{"keyDown", "keyUp"} {
		p.c.call(p.session, "Input.dispatchKeyEvent",
			map[string]any{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}, nil)
	}
}

// shoot saves a picture of the whole page.
func (p *page) shoot(dir, name string) {
	p.c.t.Helper()
	if dir == "" {
		return
	}
	var shot struct{ Data string }
	p.c.call(p.session, "Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	require.NoError(p.c.t, err)
	require.NoError(p.c.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644))
}

// complaints is what the consoles of all pages said so far.
func (c *chromium) complaints() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken
}
