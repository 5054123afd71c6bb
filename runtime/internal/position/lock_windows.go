//go:build windows

package position

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// acquire opens path without sharing, which locks it until the file is closed or the process ends.
func acquire(path string) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, fmt.Errorf("lock position: %w", err)
	}
	h, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, fmt.Errorf("position %s is in use by another process (%w); stop it, or give this connector another connector_name or state_dir",
			strings.TrimSuffix(path, ".lock"), err)
	}
	return os.NewFile(uintptr(h), path), nil
}

// syncDir does nothing: a rename is durable with the file system's own log.
func syncDir(string) error { return nil }
