//go:build windows

package position

// syncDir does nothing: a rename is durable with the file system's own log.
func syncDir(string) error { return nil }
