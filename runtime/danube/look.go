package danube

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

// lookTime bounds each look at an address where nobody answers.
const lookTime = time.Second

// Who answers at an address.
type listener int

const (
	nobody  listener = iota // nothing that could be told
	http2er                 // HTTP/2, as a broker does
	plainer                 // in plain text, to a client with TLS
	tlser                   // with TLS, to a client without
	other                   // something else
)

// diagnose looks at an address where a connection failed that never worked, and says why; nil if it finds nothing wrong.
//
// It dials by itself, because what grpc-go tells of a failed connection is a text. What only another configuration can mend is
// permanent. Once a broker has answered at an address, all that happens there is taken for an outage, which ends.
func (e *endpoint) diagnose(ctx context.Context) error {
	who, err := e.look(ctx)
	if who == http2er {
		return nil
	}
	if who == nobody && err == nil {
		who = e.lookOtherwise(ctx)
	}
	found := &localError{kind: ErrNotBroker, code: codes.Unavailable, cause: err, permanent: true}
	switch who {
	case plainer:
		found.text = e.addr + " speaks plain text and the client TLS"
		found.mend = "write http:// in the broker's URL, or switch on TLS in the broker"
	case tlser:
		found.text = e.addr + " speaks TLS and the client plain text"
		found.mend = "write https:// in the broker's URL and name its certificate authority"
	case other:
		found.text = e.addr + " does not speak HTTP/2 as Danube brokers do"
		found.mend = "name the right one of the broker's ports, by default 6650 for clients and 50051 for administrators"
	default:
		if err == nil {
			found.permanent = false
			found.text = e.addr + " takes connections and closes them or says nothing"
			found.mend = "see whether a broker runs behind that address"
			break
		}
		return e.explainDial(found)
	}
	return found
}

// explainDial completes what is known of an error of dialling or of the TLS handshake.
func (e *endpoint) explainDial(found *localError) error {
	found.text = found.cause.Error()
	var (
		unverified *tls.CertificateVerificationError
		unknown    x509.UnknownAuthorityError
		name       x509.HostnameError
		invalid    x509.CertificateInvalidError
		handshake  handshakeError
	)
	switch {
	case errors.As(found.cause, &unknown):
		found.mend = "give the client the certificate of the authority that signed the broker's"
	case errors.As(found.cause, &name):
		found.mend = "name the broker by a host that its certificate is for, or tell the client which name to expect"
	case errors.As(found.cause, &invalid) && invalid.Reason == x509.Expired:
		found.mend = "renew the broker's certificate, or set the clock"
	case errors.As(found.cause, &unverified):
		found.mend = "give the broker a certificate that clients can verify"
	case errors.As(found.cause, &handshake):
		found.text = "TLS with " + e.addr + " fails: " + found.text
		found.mend = "give the client a certificate that the broker or proxy takes, if it asks for one; TLS must be of version 1.2 or later and offer HTTP/2"
	default:
		found.permanent, found.kind = false, nil
		found.mend = outcomeOf(opLookup, found.code, found.text).mend
	}
	return found
}

// look connects and sees who answers. An error is one of dialling or of TLS.
func (e *endpoint) look(ctx context.Context) (who listener, err error) {
	err = e.visit(ctx, func(ctx context.Context, conn net.Conn) error {
		if e.tls == nil {
			who, err = greet(conn)
			return err
		}
		secured := tls.Client(conn, e.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			who, err = heard(err)
			return err
		}
		if who = other; secured.ConnectionState().NegotiatedProtocol == "h2" {
			who, err = greet(secured)
		}
		return err
	})
	return who, err
}

// lookOtherwise looks whether somebody is there who speaks TLS where this client does not, or the reverse.
func (e *endpoint) lookOtherwise(ctx context.Context) (who listener) {
	_ = e.visit(ctx, func(ctx context.Context, conn net.Conn) error { // it is known already that nobody could be reached
		if e.tls != nil {
			if first, _ := greet(conn); first == http2er {
				who = plainer
			}
			return nil
		}
		// Nothing is sent on this connection and its answer is not believed, so it does not matter who the other side is.
		config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, NextProtos: []string{"h2"}}
		err := tls.Client(conn, config).HandshakeContext(ctx)
		if err == nil || isRefusal(err) {
			who = tlser
		}
		return nil
	})
	return who
}

// visit dials and hands the connection over for a short time.
func (e *endpoint) visit(ctx context.Context, use func(context.Context, net.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	conn, err := e.dial(ctx, e.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(end); err != nil {
			return err
		}
	}
	return use(ctx, conn)
}

// A handshakeError is one of TLS.
type handshakeError struct{ error }

func (e handshakeError) Unwrap() error { return e.error }

// heard tells from how a TLS handshake failed who is there.
func heard(err error) (listener, error) {
	var plain tls.RecordHeaderError
	var network net.Error
	switch {
	case errors.As(err, &plain):
		if bytes.HasPrefix(plain.RecordHeader[:], []byte("HTTP")) {
			return other, nil
		}
		return plainer, nil
	case isRefusal(err):
		return nobody, handshakeError{err}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &network), errors.Is(err, context.DeadlineExceeded):
		return nobody, nil // closed, or silent
	}
	return nobody, handshakeError{err}
}

// greet begins HTTP/2 and tells from the first bytes of the answer who is there.
func greet(conn net.Conn) (listener, error) {
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return nobody, nil
	}
	if err := http2.NewFramer(conn, nil).WriteSettings(); err != nil {
		return nobody, nil
	}
	const frameHeader = 9
	first := make([]byte, frameHeader)
	n, err := io.ReadFull(conn, first)
	switch {
	case isRefusal(err): // with TLS 1.3, a refused client certificate shows only now
		return nobody, handshakeError{err}
	case n == 0:
		return nobody, nil
	case isAlert(first):
		return tlser, nil
	case n == frameHeader && http2.FrameType(first[3]) == http2.FrameSettings:
		return http2er, nil
	}
	return other, nil
}

// isAlert tells whether bytes begin a TLS alert, with which a server answers what is no TLS.
func isAlert(first []byte) bool { return first[0] == 21 && first[1] == 3 }

// isRefusal tells whether err is the other side's alert.
func isRefusal(err error) bool {
	var sent *net.OpError
	return errors.As(err, &sent) && sent.Op == "remote error"
}
