package unary

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

// read takes in what comes, all that is there at a time, until the connection ends.
func (c *conn) read() {
	l := c.link
	for {
		_, err := c.peek()
		l.mu.Lock()
		c.reading = true
		c.readAt, c.pingAt = time.Now(), time.Time{}
		for c.err == nil {
			if err == nil {
				err = c.frame()
			}
			if err != nil {
				c.end(fmt.Errorf("read: %w", err))
			}
			if !c.buffered() {
				break
			}
		}
		l.unlock() // calls back; what is started meanwhile goes out in one piece
		l.mu.Lock()
		c.reading = false
		if c.roused {
			c.roused = false
			c.wake.Signal()
		}
		ended := c.err != nil
		l.mu.Unlock()
		if ended {
			return
		}
	}
}

// frame handles one frame, which is buffered. The lock is held, as for all below. An error ends the connection.
func (c *conn) frame() error {
	h, err := c.frames.ReadFrameHeader()
	if err != nil {
		return c.violation(err)
	}
	// The frames of nearly all answers are read where they lie; the Framer would make an object for each.
	const bare = http2.FlagDataEndStream | http2.FlagHeadersEndHeaders
	if (h.Type == http2.FrameHeaders || h.Type == http2.FrameData || h.Type == http2.FrameContinuation) && h.Flags&^bare == 0 {
		payload, err := c.in.Peek(int(h.Length))
		if err != nil {
			return err
		}
		switch h.Type {
		case http2.FrameData:
			err = c.onData(h, payload)
		case http2.FrameHeaders:
			err = c.onHeaders(h, payload)
		default:
			err = c.onBlock(payload, h.Flags.Has(http2.FlagContinuationEndHeaders))
		}
		if err == nil {
			_, err = c.in.Discard(int(h.Length))
		}
		return err
	}
	f, err := c.frames.ReadFrameForHeader(h)
	var bad http2.StreamError
	switch {
	case err == nil:
		return c.dispatch(f)
	case errors.As(err, &bad) && h.Type != http2.FrameHeaders: // an unread header block would spoil all later ones
		if call := c.streams[bad.StreamID]; call != nil {
			c.refuse(call, codes.Internal, err.Error(), false)
		}
		return nil
	default:
		return c.violation(err)
	}
}

// violation puts the Framer's complaints into our own words.
func (c *conn) violation(err error) error {
	v := &violation{http2.ErrCodeProtocol, err.Error()}
	if code, ok := errors.AsType[http2.ConnectionError](err); ok {
		v.code = http2.ErrCode(code)
		if detail := c.frames.ErrorDetail(); detail != nil {
			v.what = detail.Error()
		}
	}
	return v
}

func (c *conn) dispatch(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.HeadersFrame:
		return c.onHeaders(f.FrameHeader, f.HeaderBlockFragment())
	case *http2.ContinuationFrame:
		return c.onBlock(f.HeaderBlockFragment(), f.HeadersEnded())
	case *http2.DataFrame:
		return c.onData(f.FrameHeader, f.Data())
	case *http2.SettingsFrame:
		return c.onSettings(f)
	case *http2.PingFrame:
		if f.IsAck() {
			return nil // that something came is all there is to know
		}
		_ = c.frames.WritePing(true, f.Data) // out takes everything
		return c.reply()
	case *http2.WindowUpdateFrame:
		return c.onWindowUpdate(f.StreamID, int64(f.Increment))
	case *http2.RSTStreamFrame:
		return c.onReset(f.StreamID, f.ErrCode)
	case *http2.GoAwayFrame:
		return c.onGoAway(f.LastStreamID, f.ErrCode, f.DebugData())
	case *http2.PushPromiseFrame:
		return &violation{http2.ErrCodeProtocol, "PUSH_PROMISE, which we have forbidden"}
	default:
		return nil // PRIORITY, and what is not known yet, means nothing here
	}
}

// reply counts an answer to a PING or SETTINGS that has gone into out.
func (c *conn) reply() error {
	c.replies++
	c.rouse()
	if c.replies > maxReplies {
		return &violation{http2.ErrCodeEnhanceYourCalm, "a flood of PING or SETTINGS, whose answers are not read"}
	}
	return nil
}

// idle tells whether there was never a stream of that number.
func (c *conn) idle(id uint32) bool { return id%2 == 0 || id >= c.nextID }

func (c *conn) onSettings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return c.violation(err)
		}
		switch s.ID {
		case http2.SettingHeaderTableSize:
			c.headers.limit(s.Val)
		case http2.SettingMaxConcurrentStreams:
			c.maxStreams = s.Val
		case http2.SettingInitialWindowSize:
			c.firstWindow = int64(s.Val) // counts for open streams too: their credit is relative to it
		case http2.SettingMaxFrameSize:
			c.frameLen = int(min(s.Val, batchLen))
		case http2.SettingMaxHeaderListSize:
			c.maxHeaders = s.Val
		case http2.SettingEnablePush:
			if s.Val != 0 {
				return &violation{http2.ErrCodeProtocol, "a server cannot enable push"}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	_ = c.frames.WriteSettingsAck() // out takes everything
	return c.reply()
}

func (c *conn) onWindowUpdate(id uint32, n int64) error {
	if id == 0 {
		c.window += n
		c.rouse()
		if c.window > maxWindow {
			return &violation{http2.ErrCodeFlowControl, "a window of more than 2^31-1 bytes for the connection"}
		}
		return nil
	}
	if c.idle(id) {
		return &violation{http2.ErrCodeProtocol, fmt.Sprintf("WINDOW_UPDATE for stream %d, which there is not", id)}
	}
	call := c.streams[id]
	if call == nil {
		return nil
	}
	call.credit += n
	c.rouse()
	if c.firstWindow+call.credit > maxWindow {
		c.refuse(call, codes.ResourceExhausted, "the server opened the stream's window beyond 2^31-1 bytes", false)
	}
	return nil
}

func (c *conn) onReset(id uint32, code http2.ErrCode) error {
	if c.idle(id) {
		return &violation{http2.ErrCodeProtocol, fmt.Sprintf("RST_STREAM for stream %d, which there is not", id)}
	}
	if code == http2.ErrCodeHTTP11Required {
		c.link.pool.note(fmt.Errorf("%w: it demands HTTP/1.1", ErrProtocol))
	}
	call := c.streams[id]
	if call == nil {
		return nil
	}
	e := Error{Code: resetCode(code), Message: "stream terminated by RST_STREAM with error code: " + code.String()}
	e.Unprocessed = code == http2.ErrCodeRefusedStream
	if e.Code == codes.Canceled && !time.Now().Before(call.Deadline) {
		e.Code = codes.DeadlineExceeded // the server's clock was a little faster
	}
	c.link.finish(call, e)
	return nil
}

func (c *conn) onGoAway(last uint32, code http2.ErrCode, debug []byte) error {
	if last != 0 && last%2 == 0 || last > c.lastID {
		return &violation{http2.ErrCodeProtocol, fmt.Sprintf("GOAWAY for streams above %d after %d", last, c.lastID)}
	}
	c.lastID = last
	why := fmt.Errorf("the server asked to leave: %v %.200q", code, debug)
	if complaint(code) {
		why = fmt.Errorf("%w: %w", ErrProtocol, why)
		c.link.pool.note(why)
	}
	c.link.leave(c, why)
	for call := c.open.head; call != nil; {
		next := call.next
		if call.id > last {
			c.link.finish(call, Error{Code: codes.Unavailable, Message: why.Error(), Unprocessed: true, cause: why})
		}
		call = next
	}
	if c.open.head == nil {
		c.end(errDrained)
	}
	return nil
}

// complaint tells whether a server that leaves does so because it does not understand us.
func complaint(code http2.ErrCode) bool {
	switch code {
	case http2.ErrCodeNo, http2.ErrCodeInternal, http2.ErrCodeEnhanceYourCalm, http2.ErrCodeCancel, http2.ErrCodeRefusedStream, http2.ErrCodeConnect:
		return false
	default:
		return true
	}
}
