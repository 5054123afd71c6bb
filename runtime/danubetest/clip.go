package danubetest

import (
	"strings"

	"google.golang.org/grpc/status"
)

// maxErrorText is the longest text of an error. Clients take 16 KiB of headers, in which a character may take three bytes.
const maxErrorText = 4 << 10

// clipped shortens the text of an error that repeats what a client sent.
func clipped(err error) error {
	if text := status.Convert(err).Message(); len(text) > maxErrorText {
		return status.Error(status.Code(err), strings.ToValidUTF8(text[:maxErrorText], "")+"…")
	}
	return err
}
